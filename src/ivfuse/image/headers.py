"""Headers of PNG, JPEG and WebP files, parsed before memory is allocated for pixels.

The parsers also detect truncated files, which the decoders do not always report.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ivfuse.image.directories import ORIENTATION, read_directory
from ivfuse.image.directories import BadFileError as BadFileError

# PNG color type -> samples per pixel and the bits that these may have.
_PNG_COLORS = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Header:
    """Properties of an image file.

    Attributes:
        kind: ``PNG`` or ``JPEG``.
        width: width in pixels.
        height: height in pixels.
        bits: bits per sample.
        samples: number of channels in the file, including alpha.
        simple: whether the stored samples are the pixel values: no palette, transparent color, animation or
            bit packing.
        orientation: EXIF orientation, 1 to 8.
        more: whether the file contains further images.
    """

    kind: str
    width: int
    height: int
    bits: int
    samples: int
    simple: bool = True
    orientation: int = 1
    more: bool = False


def read_header(kind: str, data: bytes) -> Header:
    """Read the header of a PNG or JPEG file; see :mod:`ivfuse.image.tiff` for TIFF.

    Args:
        kind: name of the format, as returned by :func:`ivfuse.image.formats.sniff`.
        data: the whole file.

    Raises:
        BadFileError: if the file is truncated or inconsistent.
    """
    try:
        return {"PNG": _png, "JPEG": _jpeg}[kind](data)
    except (struct.error, IndexError) as error:
        raise BadFileError(f"a truncated {kind} file") from error


def _png(data: bytes) -> Header:
    """Read the chunks up to the end marker and verify their checksums."""
    view = memoryview(data)
    width, height, bits, color, compression, filters, passes = struct.unpack_from(">IIBBBBB", data, 16)
    samples, depths = _PNG_COLORS.get(color, (0, ()))
    first = data[8:16] == b"\0\0\0\x0dIHDR"
    if not first or bits not in depths or compression or filters or passes > 1:
        raise BadFileError("a damaged PNG file (its header)")
    transparent = animated = False
    orientation, at = 1, 8
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        (expected,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != expected:
            raise BadFileError("a damaged PNG file (a checksum is wrong)")
        if name == b"IEND":
            break
        if name == b"IHDR" and at > 8:
            raise BadFileError("a damaged PNG file (several headers)")
        transparent |= name == b"tRNS"
        animated |= name == b"acTL"
        if name == b"eXIf":
            orientation = exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    simple = bits >= 8 and color != 3 and not transparent and not animated
    return Header(
        "PNG", width, height, bits, samples,
        simple=simple, orientation=orientation, more=animated,
    )  # fmt: skip


def _jpeg(data: bytes) -> Header:
    """Read the segments up to the first scan, then search for the end marker."""
    frame: tuple[int, int, int, int] | None = None
    orientation, at = 1, 2
    while True:
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise BadFileError("a damaged JPEG file")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_FRAMES:
            frame = struct.unpack_from(">BHHB", data, at + 4)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[at + 10 : at + 2 + length])
        if marker == 0xDA:
            break
        at += 2 + length
    if frame is None:
        raise BadFileError("a damaged JPEG file (no frame header)")
    if data.find(b"\xff\xd9", at) < 0:
        raise BadFileError("a truncated JPEG file")
    bits, height, width, samples = frame
    return Header("JPEG", width, height, bits, samples, orientation=orientation)


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height of the canvas of a WebP file from its first chunk.

    Raises:
        BadFileError: if it is damaged.

    Source: RFC 9649 (container and lossless), RFC 6386, 9.1 (lossy).
    """
    name = data[12:16]
    if name == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if name == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and len(data) >= 30:
        sizes = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        return sizes[0] & 0x3FFF, sizes[1] & 0x3FFF
    raise BadFileError("a damaged WebP file (its header)")


def exif_orientation(exif: bytes) -> int:
    """Read the orientation of an EXIF block; a damaged or missing one counts as 1 and is no error."""
    try:
        value = read_directory(exif.removeprefix(b"Exif\0\0")).one(ORIENTATION, 1)
    except BadFileError:
        return 1
    return value if 1 <= value <= 8 else 1
