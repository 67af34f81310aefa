"""ONNX graphs in ONNX Runtime, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(path: Path, threads: int | None = None) -> Any:
    """A session of ONNX Runtime, which is imported here.

    Args:
        path: the graph.
        threads: CPU threads; ``None`` leaves it to the runtime.

    Raises:
        Exception: one of the runtime's own classes, if it cannot load the graph.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Sizes vary: memory plans made for each of them add up. The arena halves the time and does not grow.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
