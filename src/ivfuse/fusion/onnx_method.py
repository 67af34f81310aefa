"""Learned methods: ONNX graphs run by OpenVINO or ONNX Runtime on the CPU or an accelerator.

The runtime is imported and the graph compiled for the first pair, so that creating a method is fast.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.errors import InputError, IvfuseError, ShapeError, first_line
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.reduced import Shape
from ivfuse.image.arrays import Gray
from ivfuse.image.tiling import FuseGray
from ivfuse.runtime.devices import Choice, Device, Precision, Runtime, choose
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.onnx import Graph, open_graph

_INPUTS = {"ir", "vi"}
_LEVEL = "level"
_OUTPUT = "fused"


class OnnxMethod:
    """An ONNX graph as a :class:`~ivfuse.fusion.method.WholeImageMethod`.

    The graph has the inputs ``ir`` and ``vi`` and the output ``fused``, float32 (B, 1, H, W) in [0, 1], with
    dynamic B, H and W. It may have a third input ``level``, (B, 1, 1, 1): the mean of the whole thermal
    image.
    """

    def __init__(
        self,
        info: MethodInfo,
        path: Path | str,
        *,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        device: Device = "auto",
    ) -> None:
        """Store the settings; the graph is loaded for the first pair.

        Args:
            info: properties of the method.
            path: the ONNX file.
            runtime: the runtime; ``auto`` selects that of the device, on the CPU OpenVINO if it is installed.
            precision: compute precision; ``auto`` selects bfloat16 in OpenVINO on processors that are faster
                with it and float32 otherwise; ``int8`` if ``path`` is a graph in 8-bit integers.
            threads: number of CPU threads; ``None`` lets the runtime choose.
            device: the device; ``auto`` selects an NVIDIA GPU that ONNX Runtime can use, else the CPU.

        Raises:
            UsageError: if the runtime does not support the precision or device, or the threads are not
                1 to 1024.
            MissingExtraError: if packages for the requested runtime or device are missing.
            IvfuseError: if the machine does not have the requested device.
        """
        check_threads(threads)
        self.info = info
        self.path = Path(path)
        self.choice = choose(runtime, precision, device)
        self._or_cpu = device == "auto" and self.choice.device != "cpu"
        self.precision = precision
        self.threads = threads
        self._expected: Shape | None = None
        self._graphs: dict[Shape | None, Graph] = {}  # by the only shape they are for; None for any
        self._lock = threading.Lock()

    @property
    def runtime(self) -> str:
        """The runtime: ``openvino`` or ``onnxruntime``."""
        return self.choice.runtime

    def __getstate__(self) -> dict[str, Any]:
        """State for pickling, without the compiled graph, which another process compiles again."""
        return {name: value for name, value in vars(self).items() if name not in ("_graphs", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """See :meth:`__getstate__`."""
        vars(self).update(state, _graphs={}, _lock=threading.Lock())

    def preload(self) -> None:
        """See :meth:`ivfuse.fusion.method.PreloadedMethod.preload`."""
        self._open()

    def expect(self, shape: Shape) -> None:
        """See :meth:`ivfuse.fusion.method.SizedMethod.expect`."""
        self._expected = shape

    def fuse(self, ir: Gray, vi: Gray) -> Gray:
        """See :meth:`ivfuse.fusion.method.Method.fuse`."""
        fused: Gray = self.fuse_batch(ir[np.newaxis], vi[np.newaxis])[0]
        return fused

    def for_image(self, ir: Gray, vi: Gray) -> FuseGray:
        """See :meth:`ivfuse.fusion.method.WholeImageMethod.for_image`."""
        level = _mean(ir[np.newaxis])

        def fuse(ir: Gray, vi: Gray) -> Gray:
            fused: Gray = self.fuse_batch(ir[np.newaxis], vi[np.newaxis], level)[0]
            return fused

        return fuse

    def fuse_batch(self, ir: Gray, vi: Gray, level: Gray | None = None) -> Gray:
        """Fuse a batch of pairs of the same size.

        Args:
            ir: thermal images, (B, H, W) float32 in [0, 1].
            vi: luma of the visible images, of the same shape and range.
            level: mean of each whole thermal image, (B,); ``None`` if ``ir`` holds whole images.

        Returns:
            The fused lumas, (B, H, W) float32.

        Raises:
            ShapeError: if the shapes differ or are not (B, H, W).
            IvfuseError: if the runtime fails or its result is not finite; the message is one line.
        """
        if ir.ndim != 3 or ir.shape != vi.shape or 0 in ir.shape:
            raise ShapeError(f"thermal {ir.shape} and visible {vi.shape}: expected the same (B, H, W)")
        graph = self._open(ir.shape[1:] if len(ir) == 1 else None)
        inputs = {
            name: np.ascontiguousarray(x[:, np.newaxis], dtype=np.float32)
            for name, x in (("ir", ir), ("vi", vi))
        }
        if _LEVEL in graph.inputs:
            inputs[_LEVEL] = (_mean(ir) if level is None else level).reshape(-1, 1, 1, 1)
        try:
            fused = graph.run(inputs, _OUTPUT)
        except Exception as error:  # each runtime has its own exception classes
            raise IvfuseError(f"{self.path}: {self.choice.runtime} failed: {first_line(error)}") from error
        if fused.shape != inputs["ir"].shape:
            raise IvfuseError(f"{self.path}: the graph returned {fused.shape}, expected {inputs['ir'].shape}")
        if not np.isfinite(fused).all():
            raise IvfuseError(
                f"{self.path}: the graph returned NaN or infinite values; its weights are damaged"
            )
        return fused[:, 0]

    def _open(self, shape: Shape | None = None) -> Graph:
        """Return the graph for pairs of a shape one by one, or for any; it is compiled at the first call."""
        if shape != self._expected or self.choice != Choice("openvino", "cpu"):
            shape = None
        with self._lock:
            if shape not in self._graphs:
                if not self.path.is_file():
                    raise InputError(f"{self.path}: no such file, expected an ONNX graph")
                try:
                    graph = self._open_chosen(shape)
                except IvfuseError:
                    if not self._or_cpu:
                        raise
                    self.choice = choose("auto", self.precision, "cpu")
                    graph = self._open_chosen(shape)
                _check_ports(self.path, graph)
                self._graphs[shape] = graph
            return self._graphs[shape]

    def _open_chosen(self, shape: Shape | None) -> Graph:
        shapes = None if shape is None else {"ir": (1, 1, *shape), "vi": (1, 1, *shape), _LEVEL: (1, 1, 1, 1)}
        try:
            return open_graph(self.path, self.choice, self.precision, self.threads, shapes)
        except IvfuseError:
            raise
        except Exception as error:  # as above
            raise IvfuseError(
                f"{self.path}: {self.choice.runtime} cannot load the graph: {first_line(error)}"
            ) from error


def _mean(planes: Gray) -> Gray:
    """Compute the mean of each image of (B, H, W), as (B,) float32."""
    return np.asarray(planes.mean((1, 2), dtype=np.float64), np.float32)


def _check_ports(path: Path, graph: Graph) -> None:
    """Check that the inputs and outputs of a graph are those of a fusion network."""
    if graph.inputs - {_LEVEL} != _INPUTS or _OUTPUT not in graph.outputs:
        raise InputError(
            f"{path}: the graph has inputs {sorted(graph.inputs)} and outputs {sorted(graph.outputs)}, "
            f"expected {sorted(_INPUTS)} and {[_OUTPUT]}"
        )
