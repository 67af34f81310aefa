"""A trained network as a method: an ONNX graph, run by OpenVINO or by ONNX Runtime on the CPU.

The runtime is imported and the graph compiled at the first pair, so that naming a method costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ivfuse.errors import InputError, IvfuseError, MissingExtraError, ShapeError, UsageError
from ivfuse.fusion.method import MethodInfo
from ivfuse.image.read import Gray
from ivfuse.image.tiling import FuseGray
from ivfuse.runtime.onnx import open_session

Runtime = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["auto", "fp32", "bf16"]

_INPUTS = {"ir", "vi"}
_LEVEL = "level"
_OUTPUTS = {"fused"}


@dataclass(frozen=True)
class _Graph:
    """A compiled graph: input name -> array in, ``fused`` out; whether it wants the level."""

    run: Callable[[Mapping[str, Gray]], Gray]
    takes_level: bool


class OnnxMethod:
    """An ONNX graph as a :class:`~ivfuse.fusion.method.WholeImageMethod`.

    The graph has the inputs ``ir`` and ``vi`` and the output ``fused``, float32 (B, 1, H, W) in [0, 1];
    all of B, H and W are free. It may have a third input ``level``, (B, 1, 1, 1): the mean of the whole
    infrared image.
    """

    def __init__(
        self,
        info: MethodInfo,
        path: Path | str,
        *,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        """Note what to run and how; nothing is loaded yet.

        Args:
            info: the method's facts.
            path: the graph.
            runtime: ``auto`` takes OpenVINO where it is installed.
            precision: ``auto`` takes bfloat16 in OpenVINO on a processor that computes in it, else float32.
            threads: CPU threads; ``None`` leaves it to the runtime.

        Raises:
            UsageError: if the runtime does not know the precision, or ``threads`` is below 1.
            MissingExtraError: if OpenVINO is asked for and not installed.
        """
        _check("runtime", runtime, get_args(Runtime))
        _check("precision", precision, get_args(Precision))
        if threads is not None and threads < 1:
            raise UsageError(f"threads: found {threads}, expected 1 or more")
        self.info = info
        self.path = Path(path)
        self.runtime = _choose_runtime(runtime)
        if self.runtime == "onnxruntime" and precision == "bf16":
            raise UsageError("precision bf16 needs the runtime openvino; onnxruntime computes in fp32")
        self.precision = precision
        self.threads = threads
        self._graph: _Graph | None = None
        self._lock = threading.Lock()

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`ivfuse.fusion.method.Method.fuse`."""
        fused: Gray = self.fuse_batch(ir[np.newaxis], vi[np.newaxis])[0]
        return fused

    def of_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """See :meth:`ivfuse.fusion.method.WholeImageMethod.of_image`."""
        level = _mean(ir[np.newaxis])

        def fuse(ir: Gray, vi: Gray) -> Gray:
            fused: Gray = self.fuse_batch(ir[np.newaxis], vi[np.newaxis], level)[0]
            return fused

        return fuse

    def fuse_batch(self, ir: Gray, vi: Gray, level: Gray | None = None) -> Gray:
        """Fuse pairs of one size at once.

        Args:
            ir: infrared, (B, H, W) float32 in [0, 1].
            vi: luma of the visible, the same shape and range.
            level: mean of each whole infrared image, (B,); ``None`` if ``ir`` is whole.

        Returns:
            The fused lumas, (B, H, W) float32.

        Raises:
            ShapeError: if the shapes differ or are not (B, H, W).
            IvfuseError: if the runtime fails; the message is one line.
        """
        if ir.ndim != 3 or ir.shape != vi.shape or 0 in ir.shape:
            raise ShapeError(f"infrared {ir.shape} and visible {vi.shape}: expected the same (B, H, W)")
        graph = self._open()
        inputs = {
            name: np.ascontiguousarray(x[:, np.newaxis], dtype=np.float32)
            for name, x in (("ir", ir), ("vi", vi))
        }
        if graph.takes_level:
            inputs[_LEVEL] = (_mean(ir) if level is None else level).reshape(-1, 1, 1, 1)
        try:
            fused = graph.run(inputs)
        except Exception as error:  # each runtime has exception classes of its own
            raise IvfuseError(f"{self.path}: {self.runtime} failed: {_first_line(error)}") from error
        if fused.shape != inputs["ir"].shape:
            raise IvfuseError(f"{self.path}: the graph gave {fused.shape}, expected {inputs['ir'].shape}")
        return fused[:, 0]

    def _open(self) -> _Graph:
        """The compiled graph; compiled at the first call."""
        with self._lock:
            if self._graph is None:
                if not self.path.is_file():
                    raise InputError(f"{self.path}: no such file, expected an ONNX graph")
                try:
                    if self.runtime == "openvino":
                        self._graph = _open_openvino(self.path, self.precision, self.threads)
                    else:
                        self._graph = _open_onnxruntime(self.path, self.threads)
                except IvfuseError:
                    raise
                except Exception as error:  # as above
                    raise IvfuseError(
                        f"{self.path}: {self.runtime} cannot load the graph: {_first_line(error)}"
                    ) from error
            return self._graph


def _mean(planes: Gray) -> Gray:
    """Mean of each plane of (B, H, W), as (B,) float32."""
    return np.asarray(planes.mean((1, 2), dtype=np.float64), np.float32)


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{what}: found {value!r}, expected one of {', '.join(known)}")


def _choose_runtime(runtime: Runtime) -> Literal["openvino", "onnxruntime"]:
    """Resolve ``auto`` without importing a runtime."""
    has_openvino = find_spec("openvino") is not None
    if runtime == "openvino" and not has_openvino:
        raise MissingExtraError("the runtime openvino", "fast")
    if runtime == "auto":
        return "openvino" if has_openvino else "onnxruntime"
    return runtime


def _open_onnxruntime(path: Path, threads: int | None) -> _Graph:
    """Open a session of ONNX Runtime."""
    session = open_session(path, threads)
    inputs = {x.name for x in session.get_inputs()}
    _check_ports(path, inputs, {x.name for x in session.get_outputs()})

    def run(inputs: Mapping[str, Gray]) -> Gray:
        return np.asarray(session.run(["fused"], dict(inputs))[0], dtype=np.float32)

    return _Graph(run, _LEVEL in inputs)


def _open_openvino(path: Path, precision: Precision, threads: int | None) -> _Graph:
    """Compile the graph with OpenVINO for the CPU."""
    import openvino as ov

    core = ov.Core()
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if _use_bf16(core, precision) else "f32",
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    model = core.read_model(str(path))
    ports = [{name for port in side for name in port.get_names()} for side in (model.inputs, model.outputs)]
    _check_ports(path, ports[0], ports[1])
    compiled = core.compile_model(model, "CPU", options)
    fused = compiled.output("fused")
    local = threading.local()  # a request runs one inference at a time: each thread has its own

    def run(inputs: Mapping[str, Gray]) -> Gray:
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        result = local.request.infer(dict(inputs), share_inputs=True)
        return np.array(result[fused], dtype=np.float32)  # a copy: the request reuses its buffer

    return _Graph(run, _LEVEL in ports[0])


def _use_bf16(core: Any, precision: Precision) -> bool:
    """Whether to compute in bfloat16: when asked, or where the processor has instructions for it."""
    if precision == "auto":
        return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return precision == "bf16"


def _check_ports(path: Path, inputs: set[str], outputs: set[str]) -> None:
    """Refuse a graph that is not a fusion network."""
    if inputs - {_LEVEL} != _INPUTS or not outputs >= _OUTPUTS:
        raise InputError(
            f"{path}: the graph has inputs {sorted(inputs)} and outputs {sorted(outputs)}, "
            f"expected {sorted(_INPUTS)} and {sorted(_OUTPUTS)}"
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
