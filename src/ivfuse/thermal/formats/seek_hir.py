"""HIR files of the Seek Shot: a JPEG of the screen, then temperatures and the photo, both uncompressed.

The temperatures begin 8192 bytes after the start of the block of 4096 bytes in which the JPEG ends: 206x156
values of 16 bit, little-endian, in 1/64 K from -40 degC. The photo of 1440x1080 begins 65536 bytes later: Y,
then Cb and Cr at half the resolution. The file has no mark of its own and is recognized by this arrangement.

Source: the description in git.tkolb.de/Public/decode_hir. No file of a camera was available for testing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.runtime.files import check_regular
from ivfuse.thermal.formats.base import EmbeddedPhoto, RawThermal, thermal_format
from ivfuse.thermal.formats.facts import value_range
from ivfuse.thermal.formats.jpeg_segments import walk
from ivfuse.thermal.radiometry import Overrides

_WIDTH, _HEIGHT = 206, 156
_PHOTO_WIDTH, _PHOTO_HEIGHT = 1440, 1080
_PHOTO_AT = 65536  # from the temperatures
_PHOTO_BYTES = _PHOTO_WIDTH * _PHOTO_HEIGHT * 3 // 2
_BLOCK = 4096
_MAX_JPEG = 4 << 20  # bytes of the picture of the screen
_MAX_REST = 1 << 20  # bytes after the photo


@thermal_format("seek-hir")
class SeekHir:
    """Reader of HIR files; see :class:`ThermalReader`."""

    name = "Seek Shot HIR"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a JPEG file that is followed by exactly these two images."""
        size = os.fstat(file.fileno()).st_size
        smallest = 2 * _BLOCK + _PHOTO_AT + _PHOTO_BYTES
        if not smallest <= size < smallest + _MAX_JPEG + _MAX_REST:
            return False
        start = _start(file)
        return start is not None and 0 <= size - start - _PHOTO_AT - _PHOTO_BYTES < _MAX_REST

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        raw = self.read(path, conditions)
        return {
            "file": str(path),
            "kind": self.name,
            "width": _WIDTH,
            "height": _HEIGHT,
            "payload": "16 bit, 1/64 K",
            "celsius": value_range(raw.values),
            "photo": {"width": _PHOTO_WIDTH, "height": _PHOTO_HEIGHT},
            "notes": list(raw.notes),
        }

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`ThermalReader`."""
        check_regular(path)
        try:
            with path.open("rb") as file:
                start = _start(file)
                counts = _part(path, file, start, 2 * _WIDTH * _HEIGHT)
                planes = _part(path, file, start and start + _PHOTO_AT, _PHOTO_BYTES) if photo else b""
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})", expected="a HIR file") from error
        values = np.frombuffer(counts, "<u2").reshape(_HEIGHT, _WIDTH)
        given = ", ".join(conditions.given())
        return RawThermal(
            (values / 64 - 40).astype(np.float32),
            True,
            notes=(f"{given} not used, the file holds temperatures without a calibration",) if given else (),
            photo=EmbeddedPhoto(_to_rgb(planes), None) if photo else None,
        )

    def holds_photo(self, path: Path) -> bool:
        """Return ``True``: each file holds the photo."""
        return True


def _start(file: BinaryIO) -> int | None:
    """Where the temperatures begin; ``None`` if the JPEG has no end."""
    scan = 2
    for segment in walk(file):
        scan = segment.at + segment.size
    file.seek(scan)
    end = file.read(_MAX_JPEG).find(b"\xff\xd9") if scan > 2 else -1
    return None if end < 0 else (scan + end + 2) // _BLOCK * _BLOCK + 2 * _BLOCK


def _part(path: Path, file: BinaryIO, start: int | None, count: int) -> bytes:
    if start is not None:
        file.seek(start)
        data = file.read(count)
        if len(data) == count:
            return data
    raise InputError(f"{path}: found a truncated file", expected="a complete HIR file")


def _to_rgb(planes: bytes) -> NDArray[np.uint8]:
    """Convert Y, Cb and Cr at half the resolution (BT.709) to (H, W, 3) uint8 in R, G, B order."""
    size = (_PHOTO_WIDTH, _PHOTO_HEIGHT)
    stored = np.frombuffer(planes, np.uint8).astype(np.float32)
    luma = stored[: size[0] * size[1]].reshape(size[::-1])
    half = stored[luma.size :].reshape(2, _PHOTO_HEIGHT // 2, _PHOTO_WIDTH // 2) - 128
    blue, red = (cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in half)
    rgb = (luma + 1.5748 * red, luma - 0.1873 * blue - 0.4681 * red, luma + 1.8556 * blue)
    return np.asarray(np.clip(np.rint(np.stack(rgb, axis=-1)), 0, 255), np.uint8)
