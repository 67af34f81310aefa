"""Writing of temperatures as a float32 TIFF file in degC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import OutputError, UsageError
from ivfuse.image.exif_tiff import GDAL_NODATA, with_fields
from ivfuse.image.formats import TIFF
from ivfuse.runtime.files import write_atomic


def check_raster(path: Path) -> None:
    """Check that a file name has a TIFF suffix.

    Raises:
        UsageError: if it has another suffix.
    """
    if path.suffix.lower() not in TIFF.suffixes:
        raise UsageError(
            f"{path}: temperatures are written as float TIFF, expected {' or '.join(TIFF.suffixes)}"
        )


def write_celsius(path: Path, celsius: NDArray[np.float32]) -> None:
    """Write temperatures atomically.

    Args:
        path: the .tif or .tiff file to write.
        celsius: (H, W) float32 in degC; NaN, where there is none, is stated as the value without data.

    Raises:
        UsageError: if the file name does not have a TIFF suffix.
        OutputError: if the file cannot be written.
    """
    check_raster(path)
    import cv2

    done, data = cv2.imencode(".tiff", np.ascontiguousarray(celsius, np.float32))
    if not done:
        raise OutputError(f"{path}: the encoder failed on {celsius.shape} float32")
    tiff = memoryview(np.ascontiguousarray(data).data)
    write_atomic(path, with_fields(tiff, None, {GDAL_NODATA: b"nan\0"} if np.isnan(celsius).any() else {}))
