"""Writing of temperatures as a float32 TIFF file in degC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import OutputError, UsageError
from ivfuse.image.directories import GDAL_METADATA, GDAL_NODATA, XMP
from ivfuse.image.embed import adapted
from ivfuse.image.formats import TIFF
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.runtime.files import write_atomic

# What GDAL and QGIS show of the band; the form is that of GDAL's GTiff driver.
_DEGREES = b"""<GDALMetadata>
  <Item name="DESCRIPTION" sample="0" role="description">temperature, degC</Item>
  <Item name="UNITTYPE" sample="0" role="unittype">degC</Item>
</GDALMetadata>
\0"""


def check_raster(path: Path) -> None:
    """Check that a file name has a TIFF suffix.

    Raises:
        UsageError: if it has another suffix.
    """
    if path.suffix.lower() not in TIFF.suffixes:
        raise UsageError(
            f"{path}: temperatures are written as float TIFF, expected {' or '.join(TIFF.suffixes)}"
        )


def write_celsius(path: Path, celsius: NDArray[np.float32], metadata: Metadata = NO_METADATA) -> None:
    """Write temperatures atomically.

    Args:
        path: the .tif or .tiff file to write.
        celsius: (H, W) float32 in degC, which is stated; NaN, where there is none, as the value without data.
        metadata: EXIF and XMP of the source.

    Raises:
        UsageError: if the file name does not have a TIFF suffix.
        OutputError: if the file cannot be written.
    """
    check_raster(path)
    import cv2

    from ivfuse.image.exif_tiff import with_fields

    done, data = cv2.imencode(".tiff", np.ascontiguousarray(celsius, np.float32))
    if not done:
        raise OutputError(f"{path}: the encoder failed on {celsius.shape} float32")
    kept = adapted(metadata, celsius.shape[1], celsius.shape[0])
    fields = {GDAL_METADATA: _DEGREES} | ({XMP: kept.xmp} if kept.xmp else {})
    if np.isnan(celsius).any():
        fields[GDAL_NODATA] = b"nan\0"
    write_atomic(path, with_fields(memoryview(np.ascontiguousarray(data).data), kept.exif, fields))
