"""Headers of PNG, JPEG and TIFF files, parsed before memory is allocated for pixels.

The parsers also detect truncated files, which the decoders do not always report.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ivfuse.image.formats import TIFF

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 16: 8}  # TIFF field type -> bytes per value
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 16: "Q"}  # ... -> struct code
_PALETTE, _MIN_IS_WHITE = 3, 0  # TIFF photometric interpretations

EXIF_ORIENTATION = 274


class BadFileError(Exception):
    """A file that cannot be decoded; the message is a short description of what was found."""


@dataclass(frozen=True)
class Header:
    """Properties of an image file.

    Attributes:
        kind: ``PNG``, ``JPEG`` or ``TIFF``.
        width: width in pixels.
        height: height in pixels.
        bits: bits per sample.
        samples: number of channels in the file, including alpha.
        floating: whether samples are floating-point numbers.
        simple: whether the stored samples are the pixel values: no palette, transparent color, animation or
            bit packing.
        inverted: whether 0 means white.
        planar: whether the channels are stored one after another.
        orientation: EXIF orientation, 1 to 8.
        more: whether the file contains further images.
        orientation_one: position of the orientation value in a TIFF file, and the bytes that encode 1 there.
    """

    kind: str
    width: int
    height: int
    bits: int
    samples: int
    floating: bool = False
    simple: bool = True
    inverted: bool = False
    planar: bool = False
    orientation: int = 1
    more: bool = False
    orientation_one: tuple[int, bytes] | None = None


def read_header(kind: str, data: bytes) -> Header:
    """Read the header of a PNG, JPEG or TIFF file.

    Args:
        kind: name of the format, as returned by :func:`ivfuse.image.formats.sniff`.
        data: the whole file.

    Raises:
        BadFileError: if the file is truncated or inconsistent.
    """
    try:
        return {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff}[kind](data)
    except (struct.error, IndexError) as error:
        raise BadFileError(f"a truncated {kind} file") from error


def _png(data: bytes) -> Header:
    """Read the chunks up to the end marker and verify their checksums."""
    view = memoryview(data)
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    transparent = animated = False
    orientation, at = 1, 8
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        (expected,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != expected:
            raise BadFileError("a damaged PNG file (a checksum is wrong)")
        if name == b"IEND":
            break
        transparent |= name == b"tRNS"
        animated |= name == b"acTL"
        if name == b"eXIf":
            orientation = _orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 0)
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
            orientation = _orientation(data[at + 10 : at + 2 + length])
        if marker == 0xDA:
            break
        at += 2 + length
    if frame is None:
        raise BadFileError("a damaged JPEG file (no frame header)")
    if data.find(b"\xff\xd9", at) < 0:
        raise BadFileError("a truncated JPEG file")
    bits, height, width, samples = frame
    return Header("JPEG", width, height, bits, samples, orientation=orientation)


@dataclass(frozen=True)
class _Directory:
    """One image file directory of a TIFF file: its fields, and the offset of the next one (0 if none)."""

    fields: dict[int, tuple[int, ...]]
    next_at: int
    orientation_one: tuple[int, bytes] | None

    def one(self, tag: int, default: int) -> int:
        values = self.fields.get(tag, ())
        return values[0] if values else default


def _tiff(data: bytes) -> Header:
    """Read the first directory and check that all strips or tiles lie within the file."""
    first = _directory(data)
    samples, photometric = first.one(277, 1), first.one(262, 1)
    if not first.one(256, 0) or not first.one(257, 0):
        raise BadFileError("a damaged TIFF file (no size)")
    offsets = first.fields.get(273) or first.fields.get(324) or ()
    counts = first.fields.get(279) or first.fields.get(325) or ()
    if not offsets:
        raise BadFileError("a damaged TIFF file (no pixels)")
    if any(offset + count > len(data) for offset, count in zip(offsets, counts, strict=False)):
        raise BadFileError("a truncated TIFF file")
    bits = first.one(258, 1)
    sample_format = first.one(339, 1)
    return Header(
        "TIFF", first.one(256, 0), first.one(257, 0), bits, samples,
        floating=sample_format == 3,
        simple=sample_format in (1, 3) and bits in (8, 16, 32, 64) and photometric in (0, 1, 2),
        inverted=photometric == _MIN_IS_WHITE,
        planar=first.one(284, 1) == 2 and samples > 1,
        orientation=first.one(EXIF_ORIENTATION, 1),
        more=first.next_at != 0,
        orientation_one=first.orientation_one,
    )  # fmt: skip


def _directory(data: bytes) -> _Directory:
    """Read the first directory of a TIFF file or of an EXIF block, classic or BigTIFF."""
    if data[:4] not in TIFF.signatures:
        raise BadFileError("a damaged TIFF file")
    order = "<" if data[:2] == b"II" else ">"
    big = 0x2B in data[2:4]
    word, number = ("Q", "Q") if big else ("I", "H")
    (at,) = struct.unpack_from(order + word, data, 8 if big else 4)
    (count,) = struct.unpack_from(order + number, data, at)
    at += struct.calcsize(order + number)
    step = 20 if big else 12
    fields = {}
    one = None
    for entry in range(at, at + min(count, 4096) * step, step):
        tag, kind, length = struct.unpack_from(order + "HH" + word, data, entry)
        if kind in _SIZES:
            size = _SIZES[kind] * length
            room = 8 if big else 4
            where = entry + step - room
            if size > room:
                (where,) = struct.unpack_from(order + word, data, where)
            if where + size > len(data):
                if tag in (273, 279, 324, 325):
                    raise BadFileError("a truncated TIFF file")
                continue
            fields[tag] = struct.unpack_from(f"{order}{length}{_CODES[kind]}", data, where)
            if tag == EXIF_ORIENTATION and length == 1:
                one = where, struct.pack(order + _CODES[kind], 1)
    (next_at,) = struct.unpack_from(order + word, data, at + count * step)
    return _Directory(fields, next_at, one)


def _orientation(exif: bytes) -> int:
    """Read the orientation of an EXIF block; a damaged or missing one counts as 1 and is no error."""
    try:
        value = _directory(exif.removeprefix(b"Exif\0\0")).one(EXIF_ORIENTATION, 1)
    except (struct.error, IndexError, BadFileError):
        return 1
    return value if 1 <= value <= 8 else 1
