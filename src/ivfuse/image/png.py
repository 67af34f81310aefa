"""Preparation of PNG files for decoding: only the chunks that affect the pixels, and complete data.

The data is inflated here, since libpng prints its errors to the terminal and Pillow accepts missing rows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ivfuse.image.headers import BadFileError, Header

_GRAY, _RGB, _PALETTE = 0, 2, 3  # color types
_EXPANSION = 1032  # of zlib, at most
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """List the name, start and length of the content of all chunks; the header must have been read."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        yield name, at + 8, length
        if name == b"IEND":
            return
        at += 12 + length


def prepare(header: Header, data: bytes) -> bytes:
    """Write a PNG file of the same pixels with stored (not compressed) data and without metadata.

    Decoding this file costs little more than decoding the original one.

    Raises:
        BadFileError: if the data is damaged or does not hold all rows.
    """
    bits = header.bits * header.samples
    if header.width * header.height * bits > 8 * _EXPANSION * len(data):
        size = f"{len(data)} bytes cannot hold {header.width}x{header.height} pixels"
        raise BadFileError(f"a truncated PNG file ({size})")
    passes = _passes(header.width, header.height, interlaced=data[28] != 0)
    rows = [(height, 1 + (width * bits + 7) // 8) for width, height in passes if width and height]
    raw = _inflate(data, sum(height * length for height, length in rows))
    at = 0
    for height, length in rows:
        if max(raw[at : at + height * length : length]) > 4:
            raise BadFileError("a damaged PNG file (an unknown filter)")
        at += height * length
    pixels = (*chunk(b"IDAT", zlib.compress(raw, 0)), *chunk(b"IEND", b""))
    return b"".join((data[:33], *_colors(header, data), *pixels))


def _colors(header: Header, data: bytes) -> list[bytes]:
    """The chunks for palette and transparency, where they are valid and affect the pixels."""
    found: dict[bytes, bytes] = {}
    for name, start, size in chunks(data):
        found.setdefault(name, data[start : start + size])
    color, palette, clear = data[25], found.get(b"PLTE", b""), found.get(b"tRNS", b"")
    parts: list[bytes] = []
    if color == _PALETTE:
        if not palette or len(palette) % 3 or len(palette) > 3 << header.bits:
            raise BadFileError("a damaged PNG file (its palette)")
        parts += chunk(b"PLTE", palette)
        if 0 < len(clear) <= len(palette) // 3:
            parts += chunk(b"tRNS", clear)
    elif color in (_GRAY, _RGB) and len(clear) == 2 * header.samples:
        levels = struct.unpack(f">{header.samples}H", clear)
        if max(levels) < 1 << header.bits:  # no pixel has a value beyond
            parts += chunk(b"tRNS", clear)
    return parts


def chunk(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the parts of a chunk, in order."""
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I4s", len(content), name), content, struct.pack(">I", checksum)


def _inflate(data: bytes, size: int) -> bytes:
    """Inflate the image data, of which exactly ``size`` bytes are used."""
    inflater, parts, missing = zlib.decompressobj(), [], size
    try:
        for name, start, length in chunks(data):
            part = data[start : start + length] if name == b"IDAT" else b""
            while part and missing and not inflater.eof:
                parts.append(inflater.decompress(part, missing))
                missing -= len(parts[-1])
                part = inflater.unconsumed_tail
    except zlib.error as error:
        raise BadFileError("a damaged PNG file (its compressed data)") from error
    if missing:
        raise BadFileError("a truncated PNG file")
    return b"".join(parts)


def _passes(width: int, height: int, *, interlaced: bool) -> list[tuple[int, int]]:
    """Return the (width, height) of each pass over the image."""
    if not interlaced:
        return [(width, height)]
    return [((width - x + dx - 1) // dx, (height - y + dy - 1) // dy) for x, y, dx, dy in _ADAM7]
