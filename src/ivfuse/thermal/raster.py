"""Temperatures as a file: a float32 TIFF in degC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, OutputError, UsageError
from ivfuse.image.write import write_bytes

SUFFIXES = (".tif", ".tiff")
UNKNOWN = "the temperatures are not known; expected a radiometric file, or --scale for plain ones"


def check_raster(path: Path) -> None:
    """Refuse a name that does not promise a TIFF file.

    Raises:
        UsageError: naming the suffixes.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: temperatures are written as float TIFF, expected {' or '.join(SUFFIXES)}")


def write_celsius(path: Path, celsius: NDArray[np.float32] | None) -> None:
    """Write temperatures, whole or not at all.

    Args:
        path: a .tif or .tiff file.
        celsius: (H, W) float32 in degC; ``None`` if they are not known.

    Raises:
        InputError: if they are not known.
        UsageError: if the name is no TIFF's.
        OutputError: if the file cannot be written.
    """
    check_raster(path)
    if celsius is None:
        raise InputError(f"{path}: {UNKNOWN}")
    import cv2

    done, data = cv2.imencode(".tiff", np.ascontiguousarray(celsius, np.float32))
    if not done:
        raise OutputError(f"{path}: the encoder failed on {celsius.shape} float32")
    write_bytes(path, memoryview(np.ascontiguousarray(data).data))
