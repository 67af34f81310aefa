"""Radiometric JPEG files of HIKMICRO cameras, whose counts follow the drawn image.

After the end of the JPEG stands ``HDRI``, a header of 44 bytes with width and height at 12, then the counts,
16 bit, little-endian. Their calibration is not documented, so that no temperatures are given.

Source: Quadricopter/hikmicro. No file of a camera was available for testing.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.runtime.files import check_regular
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.facts import value_range
from ivfuse.thermal.radiometry import Overrides

_MARK = b"\xff\xd9HDRI"
_HEADER = 44
_MAX_PIXELS = 16_000_000
_MAX_BYTES = 64 << 20  # of a file that is searched for the mark
_HINT = "export the temperatures with the maker's program and convert them to a float TIFF"
_NOTE = "the camera's calibration is not documented, so that its counts are used without temperatures"


@thermal_format("hikmicro-jpeg")
class HikmicroJpeg:
    """Reader of HIKMICRO radiometric JPEG files; see :class:`ThermalReader`."""

    name = "HIKMICRO radiometric JPEG"
    calibrated = False

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a JPEG file by the mark after its end."""
        file.seek(0)
        if file.read(2) != b"\xff\xd8" or os.fstat(file.fileno()).st_size > _MAX_BYTES:
            return False
        return _MARK in file.read()

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        counts = _read_counts(path)
        return {
            "file": str(path),
            "kind": self.name,
            "width": counts.shape[1],
            "height": counts.shape[0],
            "counts": value_range(counts),
            "notes": [_NOTE],
        }

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the counts; the visible photo is a separate file."""
        found = f"{path}: found a {self.name}"
        if photo:
            raise InputError(f"{found}, whose photo is a separate file", expected="both files")
        unknown = InputError(f"{found}, whose calibration is not documented", hint=_HINT)
        return RawThermal(_read_counts(path), notes=(_NOTE,), unknown=unknown)

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``."""
        return False


def _read_counts(path: Path) -> NDArray[np.uint16]:
    check_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", expected="a JPEG file") from error
    at = data.find(_MARK) + 2
    if at < 2 or len(data) < at + _HEADER:
        raise InputError(
            f"{path}: found a truncated header after the image", expected="the counts of a camera"
        )
    width, height = struct.unpack_from("<II", data, at + 12)
    if not 0 < width * height <= _MAX_PIXELS:
        raise InputError(f"{path}: found counts of {width}x{height}", expected="at most 16 megapixels")
    found, needed = len(data) - at - _HEADER, 2 * width * height
    if found < needed:
        raise InputError(f"{path}: found {found} bytes of counts", expected=f"{needed} for {width}x{height}")
    counts = np.frombuffer(data, "<u2", width * height, at + _HEADER)
    return counts.reshape(height, width).astype(np.uint16)
