"""Writing of the metadata of the visible image into encoded JPEG, PNG and TIFF files."""

from __future__ import annotations

import re
import struct

from ivfuse.image.directories import EXIF_DIRECTORY, MAX_EXIF_ENTRIES, ORIENTATION, XMP
from ivfuse.image.formats import JPEG, PNG, TIFF, ImageFormat
from ivfuse.image.metadata import EXIF_MARK, PNG_XMP_MARK, XMP_MARK, Metadata
from ivfuse.image.png import chunk

_COLOR_SPACE = 40961
_WIDTHS, _HEIGHTS = (256, 40962), (257, 40963)
_SHORT, _LONG = 3, 4
_XMP_NUMBERS = rb"((?:tiff|exif):%s(?:=[\"']|>))\d+"


def adapted(metadata: Metadata, width: int, height: int) -> Metadata:
    """Adapt metadata to a result: upright, of its size, in sRGB and without a thumbnail.

    Values are changed in place, so that the offsets inside the notes of camera makers stay valid.

    Args:
        metadata: metadata of the visible image.
        width: width of the result, in pixels.
        height: height of the result, in pixels.

    Returns:
        EXIF and XMP; EXIF whose directory is damaged is dropped.
    """
    values = {ORIENTATION: 1, _COLOR_SPACE: 1}
    values |= dict.fromkeys(_WIDTHS, width) | dict.fromkeys(_HEIGHTS, height)
    exif = metadata.exif
    if exif is not None:
        try:
            exif = _patched(exif, values)
        except struct.error:
            exif = None
    xmp = metadata.xmp
    if xmp is not None:
        for name, value in (
            (b"Orientation", 1),
            (b"(?:ImageWidth|PixelXDimension)", width),
            (b"(?:ImageLength|PixelYDimension)", height),
        ):
            xmp = re.sub(_XMP_NUMBERS % name, rb"\g<1>%d" % value, xmp)
    return Metadata(exif=exif, xmp=xmp)


def _patched(exif: bytes, values: dict[int, int]) -> bytes:
    """Replace numbers in the first directory and that of EXIF, and end the list of directories."""
    out = bytearray(exif)
    order = "<" if exif[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", exif, 4)
    for at in (first, _patch(out, order, first, values)):
        if at == first:
            (count,) = struct.unpack_from(order + "H", exif, at)
            struct.pack_into(order + "I", out, at + 2 + 12 * count, 0)  # the thumbnail
        elif at:
            _patch(out, order, at, values)
    return bytes(out)


def _patch(out: bytearray, order: str, at: int, values: dict[int, int]) -> int:
    """Replace single numbers of a directory; returns the position of the EXIF directory, 0 if none."""
    (count,) = struct.unpack_from(order + "H", out, at)
    exif_at = 0
    for entry in range(at + 2, at + 2 + 12 * min(count, MAX_EXIF_ENTRIES), 12):
        tag, kind, length, value = struct.unpack_from(order + "HHII", out, entry)
        if tag == EXIF_DIRECTORY:
            exif_at = value
        if tag in values and length == 1 and kind in (_SHORT, _LONG):
            code = "Hxx" if kind == _SHORT and values[tag] < 65536 else "I"
            struct.pack_into(
                order + "HHI" + code, out, entry, tag, _SHORT if code == "Hxx" else _LONG, 1, values[tag]
            )
    return exif_at


def embed(kind: ImageFormat, data: memoryview, metadata: Metadata) -> memoryview:
    """Insert EXIF and XMP into an encoded file; other formats are returned unchanged.

    Args:
        kind: format of the file.
        data: the encoded file.
        metadata: see :func:`adapted`.
    """
    exif, xmp, parts = metadata.exif, metadata.xmp, []
    if kind is JPEG:
        for mark, content in ((EXIF_MARK, exif), (XMP_MARK, xmp)):
            if content:
                parts += [b"\xff\xe1", struct.pack(">H", 2 + len(mark) + len(content)), mark, content]
        has_app0 = bytes(data[2:4]) == b"\xff\xe0"
        at = 4 + int.from_bytes(data[4:6], "big") if has_app0 else 2
    elif kind is PNG:
        if exif:
            parts += chunk(b"eXIf", exif)
        if xmp:
            parts += chunk(b"iTXt", PNG_XMP_MARK + b"\0\0\0\0" + xmp)
        at = 33  # behind the header
    elif kind is TIFF and (exif or xmp):
        from ivfuse.image.exif_tiff import with_fields

        return with_fields(data, exif, {XMP: xmp} if xmp else {})
    return memoryview(b"".join((data[:at], *parts, data[at:]))) if parts else data
