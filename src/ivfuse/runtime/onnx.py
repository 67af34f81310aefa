"""Inference of ONNX graphs on the CPU with ONNX Runtime or OpenVINO.

Each runtime is imported only when a graph is opened with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import MissingExtraError, UsageError
from ivfuse.runtime.processor import bf16_is_faster

MAX_THREADS = 1024  # of a runtime, which creates them at once

Runtime = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["auto", "fp32", "bf16", "int8"]  # int8: another file, chosen by the manifest of weights
Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Graph:
    """A compiled graph; several threads may run it at the same time.

    Attributes:
        inputs: names of the inputs.
        outputs: names of the outputs.
        run: function that takes a mapping from input names to arrays and the name of an output, and returns
            that output.
    """

    inputs: frozenset[str]
    outputs: frozenset[str]
    run: Callable[[Arrays, str], NDArray[np.float32]]


def choose_runtime(runtime: Runtime, precision: Precision) -> Literal["openvino", "onnxruntime"]:
    """Resolve the runtime ``auto`` without importing a runtime.

    Raises:
        UsageError: if the runtime or precision is unknown, or the runtime does not support the precision.
        MissingExtraError: if OpenVINO is requested but not installed.
    """
    for field, value, known in (
        ("runtime", runtime, get_args(Runtime)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in known:
            raise UsageError(field=field, found=repr(value), expected=f"one of {', '.join(known)}")
    has_openvino = find_spec("openvino") is not None
    if runtime == "openvino" and not has_openvino:
        raise MissingExtraError("the runtime openvino", "fast")
    if runtime == "auto":
        runtime = "openvino" if has_openvino else "onnxruntime"
    if runtime == "onnxruntime" and precision == "bf16":
        raise UsageError("precision bf16 needs the runtime openvino; onnxruntime computes in fp32")
    return runtime


def open_graph(
    path: Path, runtime: Literal["openvino", "onnxruntime"], precision: Precision, threads: int | None
) -> Graph:
    """Load and compile a graph.

    Args:
        path: the ONNX file.
        runtime: the runtime to use.
        precision: compute precision of OpenVINO; ``auto`` selects bfloat16 on processors that are faster with
            it and float32 on all others.
        threads: number of CPU threads; ``None`` lets the runtime choose.

    Raises:
        Exception: an exception of the runtime, if it cannot load the graph.
    """
    if runtime == "openvino":
        return _open_openvino(path, precision, threads)
    session = open_session(path, threads)

    def run(arrays: Arrays, output: str) -> NDArray[np.float32]:
        return np.asarray(session.run([output], dict(arrays))[0], dtype=np.float32)

    inputs = frozenset(each.name for each in session.get_inputs())
    return Graph(inputs, frozenset(each.name for each in session.get_outputs()), run)


def open_session(path: Path, threads: int | None = None) -> Any:
    """Open an ONNX Runtime session on the CPU.

    Args:
        path: the ONNX file.
        threads: number of CPU threads; ``None`` lets the runtime choose.

    Raises:
        Exception: an exception of ONNX Runtime, if it cannot load the graph.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Input sizes vary, and a memory plan is kept for each size, so memory use would grow. The arena stays
    # enabled: it halves the time and does not grow.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = threads
    return ort.InferenceSession(
        str(path),
        sess_options=options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it would print, and try the same provider again
    )


def _open_openvino(path: Path, precision: Precision, threads: int | None) -> Graph:
    import openvino as ov

    core = ov.Core()
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if _computes_bf16(core, precision) else "f32",
        # Every process would pin its threads to the same first cores, and leave the others idle.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(str(path))
    inputs, outputs = (
        frozenset(name for port in side for name in port.get_names())
        for side in (model.inputs, model.outputs)
    )
    compiled = core.compile_model(model, "CPU", options)
    local = threading.local()  # an infer request is not reentrant: each thread gets its own

    def run(arrays: Arrays, output: str) -> NDArray[np.float32]:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        result = local.request.infer(dict(arrays), share_inputs=True)
        # A copy, because OpenVINO reuses the output buffer.
        return np.array(result[compiled.output(output)], dtype=np.float32)

    return Graph(inputs, outputs, run)


def _computes_bf16(core: Any, precision: Precision) -> bool:
    """Whether to compute in bfloat16: on request, or if the processor can, and is not slower with it."""
    if precision == "auto":
        return bf16_is_faster() is not False and "BF16" in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        )
    return precision == "bf16"
