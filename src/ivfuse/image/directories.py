"""Directories of TIFF files and EXIF blocks: bounded parsing of the fields that ivfuse uses.

Directories are untrusted: other fields are never read, values are views of the file instead of copies, and
the number of directories, entries and values is limited.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.formats import TIFF

# TIFF field type -> NumPy code of its values; rationals and floats are not among the tags that are used.
_TYPES = {
    1: "u1",
    2: "u1",
    3: "u2",
    4: "u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    13: "u4",
    16: "u8",
    18: "u8",
}
_MAX_ENTRIES = 4096
_MAX_DIRECTORIES = 256

NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = (
    254,
    255,
    256,
    257,
    258,
    259,
    262,
)
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 266, 273, 274, 277, 278, 279
PLANAR, GROUP3, GROUP4, PREDICTOR, COLOR_MAP = 284, 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_DIRECTORIES = 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, YCBCR_SUBSAMPLING, YCBCR_POSITION = 338, 339, 347, 530, 531
ICC_PROFILE, LERC_PARAMETERS, DNG_VERSION = 34675, 50674, 50706
GDAL_METADATA, GDAL_NODATA = 42112, 42113

# The tags that decoders need to decode the pixels, with the largest number of values that is accepted.
_MAX_STRIPS = 1 << 22
DECODER_TAGS = {
    WIDTH: 1, HEIGHT: 1, BITS: 64, COMPRESSION: 1, PHOTOMETRIC: 1, FILL_ORDER: 1, STRIP_OFFSETS: _MAX_STRIPS,
    SAMPLES: 1, ROWS_PER_STRIP: 1, STRIP_COUNTS: _MAX_STRIPS, PLANAR: 1, GROUP3: 1, GROUP4: 1, PREDICTOR: 1,
    COLOR_MAP: 3 << 16, TILE_WIDTH: 1, TILE_HEIGHT: 1, TILE_OFFSETS: _MAX_STRIPS, TILE_COUNTS: _MAX_STRIPS,
    EXTRA_SAMPLES: 64, SAMPLE_FORMAT: 64, JPEG_TABLES: 1 << 16, YCBCR_SUBSAMPLING: 2, YCBCR_POSITION: 1,
    ICC_PROFILE: 1 << 22, LERC_PARAMETERS: 16,
}  # fmt: skip
_USED_TAGS = DECODER_TAGS | {
    NEW_SUBFILE_TYPE: 1, SUBFILE_TYPE: 1, ORIENTATION: 1, SUB_DIRECTORIES: 64, GDAL_NODATA: 64,
    DNG_VERSION: 4,
}  # fmt: skip


# Of EXIF, which has the fields of a classic TIFF file with further tags.
EXIF_DIRECTORY, GPS_DIRECTORY, XMP = 34665, 34853, 700
FIELD_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes, by type
FIELD_WORDS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # bytes that swap
MAX_EXIF_ENTRIES = 512
MAX_BLOCK = 65_500  # bytes of EXIF or XMP; what a segment of a JPEG file can hold


class BadFileError(Exception):
    """A file that cannot be decoded; the message is a short description of what was found."""


class UnsupportedFileError(BadFileError):
    """A sound file of a kind that cannot be read; the message is a whole sentence."""


@dataclass(frozen=True)
class StoredField:
    """A field of a classic directory: tag, type and number of its values, and where it lies.

    Attributes:
        tag: the tag.
        kind: TIFF type of the values, 1 to 12.
        count: number of values.
        at: position of the values.
        place: position of the entry itself.
    """

    tag: int
    kind: int
    count: int
    at: int
    place: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return FIELD_SIZES[self.kind] * self.count


def stored_fields(data: bytes | bytearray | memoryview, order: str, at: int) -> Iterator[StoredField]:
    """The fields of a classic directory whose type is known and whose values lie within the data.

    Args:
        data: an EXIF block or a TIFF file.
        order: byte order as in ``struct``.
        at: position of the directory.

    Raises:
        struct.error: where the directory leaves the data.
    """
    (count,) = struct.unpack_from(order + "H", data, at)
    for place in range(at + 2, at + 2 + 12 * min(count, MAX_EXIF_ENTRIES), 12):
        tag, kind, number, where = struct.unpack_from(order + "HHII", data, place)
        size = FIELD_SIZES.get(kind, 0) * number
        start = place + 8 if size <= 4 else where
        if size > 0 and start + size <= len(data):
            yield StoredField(tag, kind, number, start, place)


class Layout(NamedTuple):
    """Byte order and word size of a TIFF file, classic or BigTIFF."""

    order: str
    big: bool

    @property
    def word(self) -> str:
        """The struct code of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def number(self) -> str:
        """The struct code of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def pointer_at(self) -> int:
        """The position of the offset of the first directory."""
        return 8 if self.big else 4

    @property
    def step(self) -> int:
        """Bytes of an entry."""
        return 20 if self.big else 12


@dataclass(frozen=True)
class Directory:
    """One image file directory.

    Attributes:
        fields: the values of the tags that are used, as views of the file.
        entries: the entries of these tags as stored, by tag.
        next_at: offset of the next directory, 0 if there is none.
    """

    fields: dict[int, NDArray[Any]] = field(default_factory=dict)
    entries: dict[int, bytes] = field(default_factory=dict)
    next_at: int = 0

    def one(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        values = self.fields.get(tag)
        return int(values[0]) if values is not None and len(values) else default

    def text(self, tag: int) -> str:
        """The value of a tag that holds text; "" if it is missing."""
        values = self.fields.get(tag)
        return "" if values is None else values.tobytes().split(b"\0")[0].decode("ascii", "replace").strip()


def layout_of(data: bytes) -> Layout:
    """Read the byte order and the kind of a TIFF file or an EXIF block.

    Raises:
        BadFileError: if it is neither.
    """
    if data[:4] not in TIFF.signatures:
        raise BadFileError("a damaged TIFF file")
    return Layout("<" if data[:2] == b"II" else ">", 0x2B in data[2:4])


def read_directory(data: bytes, at: int | None = None) -> Directory:
    """Read one directory, the first one if no offset is given.

    The first of several entries of a tag counts; entries with a wrong type or too many values are ignored.

    Raises:
        BadFileError: if the directory or the values of a necessary tag lie outside of the file, or if these
            are too many.
    """
    layout = layout_of(data)
    if at is None:
        at = _number(layout.word, data, layout.pointer_at)
    count = _number(layout.number, data, at)
    at += struct.calcsize(layout.number)
    fields: dict[int, NDArray[Any]] = {}
    entries: dict[int, bytes] = {}
    entries_end = at + min(count, _MAX_ENTRIES) * layout.step
    if entries_end > len(data):
        raise BadFileError("a truncated TIFF file")
    for entry in range(at, entries_end, layout.step):
        tag, kind, length = struct.unpack_from(layout.order + "HH" + layout.word[1], data, entry)
        if tag not in _USED_TAGS or tag in fields or kind not in _TYPES or length == 0:
            continue
        values = _values(data, layout, entry, (tag, kind, length))
        if values is not None:
            fields[tag] = values
            entries[tag] = data[entry : entry + layout.step]
    return Directory(fields, entries, _number(layout.word, data, at + count * layout.step))


def _number(code: str, data: bytes, at: int) -> int:
    if at + struct.calcsize(code) > len(data):  # also larger than any position, which struct does not accept
        raise BadFileError("a truncated TIFF file")
    return int(struct.unpack_from(code, data, at)[0])


def _values(data: bytes, layout: Layout, entry: int, stated: tuple[int, int, int]) -> NDArray[Any] | None:
    """The values of an entry as a view; ``None`` if the entry is not usable."""
    tag, kind, length = stated
    dtype = np.dtype(layout.order + _TYPES[kind])
    room = 8 if layout.big else 4
    where = entry + layout.step - room
    if dtype.itemsize * length > room:
        (where,) = struct.unpack_from(layout.word, data, where)
    necessary = tag in (STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS)
    if length > _USED_TAGS[tag]:
        if necessary:
            raise BadFileError(f"a damaged TIFF file ({length} strips or tiles)")
        return None
    if where + dtype.itemsize * length > len(data):
        if necessary:
            raise BadFileError("a truncated TIFF file")
        return None
    return np.frombuffer(data, dtype, length, where)


def walk(data: bytes, first: Directory) -> Iterator[tuple[Directory, bool]]:
    """Yield the first directory, its sub-directories, the next directory with its own, and so on.

    Directories that cannot be read are left out, and cycles are broken.

    Yields:
        A directory, and whether it is in the main chain, as opposed to a sub-directory.
    """
    seen: set[int] = set()
    main: Directory | None = first
    while main is not None and len(seen) < _MAX_DIRECTORIES:
        yield main, True
        for at in main.fields.get(SUB_DIRECTORIES, ()):
            sub = _unseen(data, int(at), seen)
            if sub is not None:
                yield sub, False
        main = _unseen(data, main.next_at, seen)


def _unseen(data: bytes, at: int, seen: set[int]) -> Directory | None:
    if at == 0 or at in seen:
        return None
    seen.add(at)
    try:
        return read_directory(data, at)
    except BadFileError:
        return None


def with_directory(data: bytes, directory: Directory) -> bytes:
    """A copy of a TIFF file whose only directory has the fields of ``directory`` that decoders need.

    Decoders read all tags of all directories, without a limit on what these add up to. They also apply the
    orientation, some of them not for every depth; it is left out.
    """
    layout = layout_of(data)
    rows = [directory.entries[tag] for tag in sorted(DECODER_TAGS) if tag in directory.entries]
    padding = bytes(-len(data) % 8)
    body = struct.pack(layout.number, len(rows)) + b"".join(rows) + struct.pack(layout.word, 0)
    at, pointer = layout.pointer_at, struct.pack(layout.word, len(data) + len(padding))
    return b"".join((data[:at], pointer, memoryview(data)[at + len(pointer) :], padding, body))
