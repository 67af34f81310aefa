"""The sizes that compressed blocks of a TIFF file state, compared with the file's before they are decoded.

The decoders of whole images allocate what a block states, which may be gigabytes in a block of some bytes.
Sources: Esri's LERC (LERC 1 and 2 blobs); ISO/IEC 15444-1, A.5.1 and I.4 (JPEG 2000); ISO/IEC 18181-1 and
18181-2 (JPEG XL); RFC 8878, 3.1.1.1 (Zstandard).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ivfuse.image.directories import (
    ROWS_PER_STRIP,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    BadFileError,
)
from ivfuse.image.headers import webp_size
from ivfuse.image.tiff import TiffHeader

_UNCHECKED = (
    22610,
    34892,
    34933,
    34934,
    48124,
    65001,
    65002,
)  # JPEG XR, PNG and others that are rare in TIFF
_ZSTD = b"\x28\xb5\x2f\xfd"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of JPEG XL: width to height


class Stated(NamedTuple):
    """What a block states: width and height in pixels, samples per pixel."""

    width: int
    height: int
    samples: int = 1


def blocks(header: TiffHeader, data: bytes) -> Iterator[bytes]:
    """Yield the stored strips or tiles, which must have been checked."""
    fields = header.directory.fields
    offsets = fields[TILE_OFFSETS if TILE_OFFSETS in fields else STRIP_OFFSETS]
    counts = fields.get(TILE_COUNTS, fields.get(STRIP_COUNTS, ()))
    for start, size in zip(offsets, counts, strict=False):
        yield data[int(start) : int(start) + int(size)]


def check_stated_sizes(header: TiffHeader, data: bytes) -> None:
    """Check that no block decodes to more than a strip or tile of the file.

    Raises:
        UnsupportedFileError: if the compression is of images whose size is not read here.
        BadFileError: if a block states a larger size, or none.
    """
    if header.compression in _UNCHECKED:
        raise header.unsupported()
    read = _READERS.get(header.compression)
    if read is None:
        return
    one = header.directory.one
    width, height = header.width, min(max(one(ROWS_PER_STRIP, header.height), 1), header.height)
    if TILE_OFFSETS in header.directory.fields:
        width, height = one(TILE_WIDTH, 0), one(TILE_HEIGHT, 0)
    most = width * height * (1 if header.planar else header.samples)
    for block in blocks(header, data):
        try:
            stated = read(block, 16 * most + 4096)  # 64-bit values and a mask
        except (struct.error, IndexError, zlib.error) as error:
            raise BadFileError(f"a damaged TIFF file with {header}") from error
        if stated.width * stated.height * stated.samples > most:
            found = f"{stated.width}x{stated.height} pixels of {stated.samples} samples"
            raise BadFileError(
                f"a damaged TIFF file (a block of {width}x{height} states {found}) with {header}"
            )


def _lerc(block: bytes, most: int) -> Stated:
    """The first blob, and the number of blobs: one for each band that is not interleaved."""
    block = _unpacked(block, most)
    if block.startswith(b"CntZImage "):
        height, width = struct.unpack_from("<ii", block, 18)
        return Stated(_positive(width), _positive(height), block.count(b"CntZImage "))
    if not block.startswith(b"Lerc2 "):
        raise BadFileError("a damaged TIFF file (no LERC data)")
    (version,) = struct.unpack_from("<i", block, 6)
    at = 14 if version >= 3 else 10  # after a checksum
    height, width, samples = struct.unpack_from("<iii", block, at)
    samples = samples if version >= 4 else 1
    return Stated(_positive(width), _positive(height), _positive(samples) * block.count(b"Lerc2 "))


def _unpacked(block: bytes, most: int) -> bytes:
    """LERC data that is compressed once more, up to a number of bytes."""
    if block.startswith(_ZSTD):
        if not 0 < _zstd_size(block) <= most:
            raise BadFileError(f"a damaged TIFF file (LERC data of {_zstd_size(block)} bytes)")
        import imagecodecs

        try:
            return bytes(imagecodecs.zstd_decode(block))
        except imagecodecs.ZstdError as error:
            raise BadFileError("a damaged TIFF file (its LERC data)") from error
    if block[:1] == b"\x78":
        inflater = zlib.decompressobj()
        unpacked = inflater.decompress(block, most)
        if inflater.unconsumed_tail:
            raise BadFileError(f"a damaged TIFF file (LERC data of more than {most} bytes)")
        return unpacked
    return block


def _zstd_size(block: bytes) -> int:
    """The stated size of a frame of Zstandard; 0 if it states none."""
    flags = block[4]
    single = flags >> 5 & 1
    size = (single, 2, 4, 8)[flags >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    return int.from_bytes(block[at : at + size], "little") + (256 if size == 2 else 0)


def _jpeg_2000(block: bytes, _: int) -> Stated:
    at = 0
    if not block.startswith(b"\xff\x4f"):  # boxes around the codestream
        while block[at + 4 : at + 8] != b"jp2c":
            size, _name, large = struct.unpack_from(">I4sQ", block, at)
            step = large if size == 1 else size
            if step < 8:
                raise BadFileError("a damaged TIFF file (no JPEG 2000 data)")
            at += step
        at += 16 if block[at : at + 4] == b"\0\0\0\1" else 8
    if block[at : at + 4] != b"\xff\x4f\xff\x51":
        raise BadFileError("a damaged TIFF file (no JPEG 2000 data)")
    right, bottom, left, top = struct.unpack_from(">4I", block, at + 8)
    (samples,) = struct.unpack_from(">H", block, at + 40)
    return Stated(_positive(right - left), _positive(bottom - top), samples)


def _jpeg_xl(block: bytes, _: int) -> Stated:
    at = 0
    if not block.startswith(b"\xff\x0a"):  # boxes around the codestream
        while (name := block[at + 4 : at + 8]) not in (b"jxlc", b"jxlp"):
            (size,) = struct.unpack_from(">I", block, at)
            if size < 8:
                raise BadFileError("a damaged TIFF file (no JPEG XL data)")
            at += size
        at += (16 if block[at : at + 4] == b"\0\0\0\1" else 8) + (4 if name == b"jxlp" else 0)
    if block[at : at + 2] != b"\xff\x0a":
        raise BadFileError("a damaged TIFF file (no JPEG XL data)")
    bits = _Bits(block[at + 2 : at + 14])
    small = bits.take(1)
    height = _jpeg_xl_side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return Stated(_jpeg_xl_side(bits, small), height)
    across, down = _RATIOS[ratio - 1]
    return Stated(height * across // down, height)


def _jpeg_xl_side(bits: _Bits, small: int) -> int:
    if small:
        return 8 * (1 + bits.take(5))
    return 1 + bits.take((9, 13, 18, 30)[bits.take(2)])


class _Bits:
    """Bits of a byte string, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise IndexError("no bits left")
        taken = self.value & ((1 << count) - 1)
        self.value, self.left = self.value >> count, self.left - count
        return taken


def _webp(block: bytes, _: int) -> Stated:
    return Stated(*webp_size(block))


def _positive(value: int) -> int:
    if value < 1:
        raise BadFileError(f"a damaged TIFF file (a block with a side of {value})")
    return value


_READERS: dict[int, Callable[[bytes, int], Stated]] = {
    33003: _jpeg_2000, 33004: _jpeg_2000, 33005: _jpeg_2000, 34712: _jpeg_2000,
    34887: _lerc, 34927: _webp, 50001: _webp, 50002: _jpeg_xl, 52546: _jpeg_xl,
}  # fmt: skip
