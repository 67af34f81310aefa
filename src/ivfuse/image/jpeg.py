"""Decoding of JPEG files with libjpeg-turbo, whose warnings about damaged data count as errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError, Header

MAX_SCANS = 100  # encoders write about ten; every scan costs a pass over all coefficients
_MAX_PIXELS_PER_BYTE = 1024  # every 8x8 block takes a bit at least; half of that allows for odd subsampling
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(
    rb"\xff[\x01-\xcf\xd8-\xfe]"
)  # neither a stuffed byte, nor a restart marker, nor filling


class DamagedError(BadFileError):
    """A file that can be decoded in part."""


def decode_jpeg(header: Header, data: bytes, *, allow_damaged: bool = False) -> tuple[NDArray[Any], str]:
    """Decode a JPEG file.

    Args:
        header: the header of the file.
        data: the whole file; anything after its first image is ignored.
        allow_damaged: whether to return what can be decoded of a damaged file.

    Returns:
        (H, W) or (H, W, 3) uint8 in B, G, R order, and a note on the damage or "".

    Raises:
        DamagedError: if libjpeg warns about the data and ``allow_damaged`` is false.
        BadFileError: if the file cannot be decoded, or would take too long.
    """
    _check_cost(header, data)
    if header.samples == 4:
        return _decode_cmyk(data), ""
    colorspace = "GRAY" if header.samples == 1 else "BGR"
    try:
        return _decode(data, colorspace), ""
    except DamagedError as error:
        if not allow_damaged:
            raise
        return _decode(data, colorspace, strict=False), f"damaged, decoded in part ({error})"


def _check_cost(header: Header, data: bytes) -> None:
    """Reject files that are too short for their size, or whose number of scans makes them slow."""
    if header.width * header.height > _MAX_PIXELS_PER_BYTE * len(data):
        size = f"{len(data)} bytes cannot hold {header.width}x{header.height} pixels"
        raise BadFileError(f"a truncated JPEG file ({size})")
    # The plain count also finds the bytes of a marker inside segments and behind the image, but is fast.
    if data.count(b"\xff\xda") > MAX_SCANS and _scans(data) > MAX_SCANS:
        raise BadFileError(f"a JPEG file with more than {MAX_SCANS} scans (not supported)")


def _scans(data: bytes) -> int:
    """Count the scans of the first image, to one more than the limit."""
    count, at = 0, 2
    while count <= MAX_SCANS and (found := _MARKER.search(data, at)):
        marker, at = data[found.end() - 1], found.end()
        if marker == _END:
            break
        count += marker == _SCAN
        at += int.from_bytes(data[at : at + 2], "big")
    return count


def _decode(data: bytes, colorspace: str, *, strict: bool = True) -> NDArray[Any]:
    from simplejpeg import decode_jpeg as decode

    try:
        array: NDArray[Any] = decode(data, colorspace, strict=strict)
    except ValueError as error:
        reason = str(error).removeprefix("Corrupt JPEG data: ")
        raise DamagedError(f"a damaged JPEG file ({reason})") from error
    except MemoryError as error:
        raise BadFileError("a JPEG file that needs more memory than is available") from error
    return array[..., 0] if colorspace == "GRAY" else array


def _decode_cmyk(data: bytes) -> NDArray[Any]:
    """Decode with OpenCV, which converts the inks to color, after libjpeg-turbo has checked the data."""
    import cv2

    _decode(data, "CMYK")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise BadFileError("a JPEG file that cannot be decoded")
    return pixels
