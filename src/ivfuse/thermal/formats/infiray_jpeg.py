"""JPEG files of the apps for phone cameras by InfiRay and Thermal Master (P2 Pro, P2), called IJPEG.

APP2 holds ``IJPEG`` at 4, the size of a first frame at 32, and width and height of the temperatures at 58 (or
of the first frame at 42), little-endian. The APP3 segments joined are the first frame, a gray preview, and
then the temperatures in 1/64 K. The JPEG itself is drawn in a palette.

Source: ExifTool (InfiRay tags) for the header; ks00x/p2proviewer and greg-randall/Thermal-Master-P2-Extractor
for the frames. The conditions are those of the app and are not applied again.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.runtime.files import check_regular
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.facts import value_range
from ivfuse.thermal.formats.jpeg_segments import APP2, APP3, Segment, walk
from ivfuse.thermal.radiometry import ZERO_C, Overrides

_HEADER = 80
_MAX_PIXELS = 16_000_000


@thermal_format("infiray-jpeg")
class InfirayJpeg:
    """Reader of IJPEG files; see :class:`ThermalReader`."""

    name = "InfiRay IJPEG"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by the mark in APP2."""
        return any(_is_header(segment) for segment in walk(file))

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        counts = _read_counts(path)
        return {
            "file": str(path),
            "kind": self.name,
            "width": counts.shape[1],
            "height": counts.shape[0],
            "payload": "16 bit, 1/64 K",
            "counts": value_range(counts),
            "celsius": value_range(_celsius(counts)),
            "notes": ["no photo in the file; fusion requires a visible image"],
        }

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the temperatures; there is no photo."""
        given = ", ".join(conditions.given())
        notes = (f"{given} not used, the file holds temperatures without a calibration",) if given else ()
        return RawThermal(_celsius(_read_counts(path)), True, notes=notes)

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``."""
        return False


def _is_header(segment: Segment) -> bool:
    return segment.marker == APP2 and segment.head[4:10] == b"IJPEG\0"


def _celsius(counts: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (counts / 64 - ZERO_C).astype(np.float32)


def _read_counts(path: Path) -> NDArray[np.uint16]:
    """Read the second frame of the APP3 segments."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            return _counts(path, file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", expected="an IJPEG file") from error


def _counts(path: Path, file: BinaryIO) -> NDArray[np.uint16]:
    first, width, height = _sizes(path, file)
    needed = first + 2 * width * height
    frames = bytearray()
    for segment in walk(file):
        if segment.marker == APP3 and len(frames) < needed:
            file.seek(segment.at)
            frames += file.read(segment.size)
    if len(frames) < needed:
        raise InputError(
            f"{path}: found {len(frames)} bytes of frames", expected=f"{needed} in an IJPEG file"
        )
    stored = np.frombuffer(frames, "<u2", width * height, first)
    return stored.reshape(height, width).astype(np.uint16)


def _sizes(path: Path, file: BinaryIO) -> tuple[int, int, int]:
    """Bytes of the first frame, and width and height of the second."""
    found = next((segment for segment in walk(file) if _is_header(segment)), None)
    if found is not None and found.size >= _HEADER:
        file.seek(found.at)
        head = file.read(_HEADER)
        if len(head) == _HEADER:
            first, width, height = (*struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 58))
            width, height = (width, height) if width and height else struct.unpack_from("<HH", head, 42)
            if 0 < width * height <= _MAX_PIXELS and first <= 2 * _MAX_PIXELS:
                return first, width, height
    raise InputError(f"{path}: found an invalid header", expected="a complete IJPEG file")
