"""Export of torch weights to an ONNX graph, verified against torch before it is kept."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn

from ivfuse.errors import IvfuseError
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import replacing, sha256_of
from ivfuse.runtime.onnx import open_session
from ivfuse.training.checkpoint import load_model
from ivfuse.training.nets import outputs_of, takes_level
from ivfuse.training.quantize import quantize

SIZES = ((1, 1, 1), (1, 7, 13), (2, 64, 48), (1, 131, 97), (1, 240, 320))  # batch, height, width
TOLERANCE = 1e-4
OPSET = 17
MIN_HALF_SIZE = 1024  # smallest number of values stored as float16, as each cast needs space too


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        path: the ONNX file.
        method: name of the network.
        facts: values for a manifest entry: file, SHA-256, size, parameters (without the parts used for
            training only), variant, alignment, and how its result is used where the network says so.
        difference: largest difference from torch over :data:`SIZES`.
    """

    path: Path
    method: str
    facts: dict[str, str | int]
    difference: float


def export_onnx(weights: Path, out: Path) -> Exported:
    """Export the network of a weights file to an ONNX graph with dynamic batch, height and width.

    Args:
        weights: a safetensors file, see :func:`ivfuse.training.checkpoint.load_model`.
        out: the ONNX file to write.

    Raises:
        InputError: if the weights cannot be read.
        IvfuseError: if the graph differs from the network by more than 1e-4; nothing is written.
    """
    net, about = load_model(weights)
    with replacing(out) as part:
        write_graph(net, part)
        fold_constants(part)
        store_halves(part)
        difference = compare(net, part)
        if not difference <= TOLERANCE:
            raise IvfuseError(
                f"{out}: the graph differs from torch by {difference:.1e}, expected {TOLERANCE:.0e}"
            )
    facts: dict[str, str | int] = {
        "file": out.name,
        "sha256": sha256_of(out),
        "size": out.stat().st_size,
        "parameters": live_parameters(net),
        "variant": str(about.get("variant", "fixed")),
        "align": int(getattr(net, "align", 1)),
    }
    facts |= {name: getattr(net, name) for name in ("reducible", "emphasis") if hasattr(net, name)}
    return Exported(out, str(about["method"]), facts, difference)


def export_int8(exported: Exported, pairs: Sequence[FilePair]) -> Exported:
    """Write the graph in 8-bit integers beside it, as ``NAME.int8.onnx``; see :func:`quantize`.

    Args:
        exported: the graph in float32.
        pairs: to calibrate by.

    Returns:
        File and digest as ``int8`` and ``int8_sha256``, and the mean difference.

    Raises:
        InputError: if an image cannot be read.
        IvfuseError: if there are no pairs, or the image would change too much.
    """
    out = exported.path.with_suffix(".int8.onnx")
    difference = quantize(exported.path, pairs, out)
    digest = sha256_of(out)
    facts: dict[str, str | int] = {"int8": out.name, "int8_sha256": digest}
    return Exported(out, exported.method, facts, difference)


def live_parameters(net: nn.Module) -> int:
    """Count the parameters used in inference, which excludes the reconstruction decoders."""
    return sum(p.numel() for name, p in net.named_parameters() if not name.startswith("reconstructor"))


def write_graph(net: nn.Module, path: Path) -> None:
    """Trace a network and write it as an ONNX file."""
    example = torch.rand(2, 1, 120, 136)
    inputs = {"ir": example, "vi": example.flip(-1)}
    outputs = outputs_of(net)
    axes = {name: {0: "batch", 2: "height", 3: "width"} for name in (*inputs, *outputs)}
    if len(outputs) > 1:  # one output per input image; the two images may differ in size
        axes = {name: {0: "batch", 2: f"{name[:2]}_height", 3: f"{name[:2]}_width"} for name in axes}
    if takes_level(net):
        inputs["level"] = example.mean((2, 3), keepdim=True)
        axes["level"] = {0: "batch"}
    with warnings.catch_warnings():
        # The newer exporter gives the same graph, but needs minutes to resolve dynamic sizes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def fold_constants(path: Path) -> None:
    """Compute what depends on no input, which halves the nodes of a traced graph and shortens each start.

    Only rules that hold on every processor are applied, and only standard operators are left.

    Raises:
        IvfuseError: if an operator is not a standard one.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3  # it warns that a graph for this machine alone could be written
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        model = onnx.load(folded)
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise IvfuseError(f"{path}: operators of {', '.join(sorted(foreign))}, expected standard ones alone")
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    onnx.checker.check_model(model)
    onnx.save(model, path)


def store_halves(path: Path) -> None:
    """Store weights as float16 if that is lossless, as for weights from a float16 file, to halve the size.

    A cast node restores float32; runtimes fold it when they load the graph.
    """
    model = onnx.load(path)
    casts = []
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.dtype != np.float32 or values.size < MIN_HALF_SIZE or not np.array_equal(half, values):
            continue
        name = weights.name
        weights.CopyFrom(onnx.numpy_helper.from_array(half, name + "_half"))
        casts.append(onnx.helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.save(model, path)


def compare(net: nn.Module, path: Path) -> float:
    """Compute the largest difference between a graph and its network over :data:`SIZES`."""
    session = open_session(path)
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, height, width in SIZES:
        ir, vi = torch.rand(2, batch, 1, height, width, generator=generator).unbind()
        inputs = {"ir": ir, "vi": vi}
        if takes_level(net):
            inputs["level"] = torch.rand(batch, 1, 1, 1, generator=generator)
        with torch.no_grad():
            given = net(*inputs.values())
        expected = given if isinstance(given, tuple) else (given,)
        found = session.run(outputs_of(net), {name: value.numpy() for name, value in inputs.items()})
        for a, b in zip(found, expected, strict=True):
            worst = max(worst, float(np.abs(a - b.numpy()).max()))
    return worst
