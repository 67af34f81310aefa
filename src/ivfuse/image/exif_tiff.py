"""EXIF in TIFF files: both are lists of tagged values in directories, so that one is carried into the other.

EXIF blocks and TIFF files are untrusted: counts are bounded and offsets checked.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ivfuse.image.directories import (
    EXIF_DIRECTORY,
    FIELD_SIZES,
    FIELD_WORDS,
    GDAL_METADATA,
    GDAL_NODATA,
    GPS_DIRECTORY,
    STRIP_OFFSETS,
    StoredField,
    stored_fields,
)

_INTEROP = 40965
_POINTERS = (EXIF_DIRECTORY, GPS_DIRECTORY, _INTEROP)  # tags that point to directories
_MAKE, _MODEL, _DATE = 271, 272, 306
_TELLING = {
    _MAKE,
    _MODEL,
    _DATE,
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
}  # others, such as the description, many programs write
# Description, camera, orientation, resolution, software, date, artist, rating, copyright, texts of Windows.
_KEPT = {
    270,
    271,
    272,
    274,
    282,
    283,
    296,
    305,
    306,
    315,
    18246,
    33432,
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    *range(40091, 40096),
}
_BYTE, _ASCII, _LONG = 1, 2, 4


def exif_of_tiff(data: bytes, most: int) -> bytes | None:
    """Collect the EXIF of a classic TIFF file in a block of its own.

    Args:
        data: the whole file.
        most: largest size of the block in bytes.

    Returns:
        The block, which begins with the header of a TIFF file; ``None`` if the file states neither camera nor
        time nor place, or the block would be larger.

    Raises:
        struct.error: if the first directory is damaged.
    """
    order = _order(data)
    found = [each for each in _directory(data, order, _first(data, order)) if each.tag in _KEPT]
    if not _TELLING & {each.tag for each in found}:
        return None
    out = bytearray(data[:4] + struct.pack(order + "I", 8))
    _copy(out, data, order, found, most)
    return bytes(out) if len(out) <= most else None


def with_fields(tiff: memoryview, exif: bytes | None, fields: Mapping[int, bytes]) -> memoryview:
    """Add EXIF and further fields to an encoded TIFF file.

    The EXIF block is put before the pixels, so that the offsets in it, and those inside the notes of camera
    makers, stay valid.

    Args:
        tiff: a classic little-endian TIFF file of one directory, with strips.
        exif: the block, or ``None``.
        fields: values of further tags: text for those of GDAL, bytes for others.

    Raises:
        struct.error: if the block is damaged.
    """
    head = bytearray(bytes(8)) if exif is None else _little_endian(exif)
    head += bytes(-len(head) % 8)
    end = len(head) + len(tiff)
    tail = bytearray(-end % 8)
    rows: dict[int, bytes] = {}
    for each in [] if exif is None else _directory(head, "<", _first(head, "<")):
        if each.tag in _KEPT:
            rows[each.tag] = bytes(head[each.place : each.place + 12])
    for tag, value in fields.items():
        entry = StoredField(tag, _ASCII if tag in (GDAL_METADATA, GDAL_NODATA) else _BYTE, len(value), 0, 0)
        rows[tag] = _row("<", entry, value, tail, end)
    for each in _directory(tiff, "<", _first(tiff, "<")):
        value = bytes(tiff[each.at : each.at + each.size])
        if each.tag == STRIP_OFFSETS:
            moved = np.frombuffer(value, f"<u{FIELD_SIZES[each.kind]}").astype("<u4") + np.uint32(len(head))
            rows[each.tag] = _row("<", replace(each, kind=_LONG), moved.tobytes(), tail, end)
        else:
            rows[each.tag] = _row("<", each, value, tail, end)
    head[:8] = struct.pack("<4sI", b"II*\0", end + len(tail))
    directory = struct.pack("<H", len(rows)) + b"".join(rows[tag] for tag in sorted(rows)) + bytes(4)
    return memoryview(b"".join((head, tiff, tail, directory)))


def _order(data: bytes | bytearray) -> str:
    return "<" if data[:2] == b"II" else ">"


def _first(data: bytes | bytearray | memoryview, order: str) -> int:
    """The offset of the first directory."""
    return int(struct.unpack_from(order + "I", data, 4)[0])


def _directory(data: bytes | bytearray | memoryview, order: str, at: int) -> list[StoredField]:
    """The fields of a directory, one for each tag; none if the directory is damaged."""
    found: dict[int, StoredField] = {}
    try:
        for each in stored_fields(data, order, at):
            if each.tag not in _POINTERS or (each.kind, each.count) == (_LONG, 1):
                found.setdefault(each.tag, each)
    except struct.error:
        return []
    return list(found.values())


def _row(order: str, entry: StoredField, value: bytes, out: bytearray, end: int = 0) -> bytes:
    """An entry with another value; more than 4 bytes are appended to ``out``, which begins at ``end``."""
    head = struct.pack(order + "HHI", entry.tag, entry.kind, entry.count)
    if len(value) <= 4:
        return head + value.ljust(4, b"\0")
    where = struct.pack(order + "I", end + len(out))
    out += value + bytes(len(value) % 2)
    return head + where


def _copy(out: bytearray, data: bytes, order: str, entries: list[StoredField], most: int) -> None:
    """Append a directory with its values and the directories that it points to; stops beyond ``most``."""
    start = len(out)
    out += struct.pack(order + "H", len(entries)) + bytes(12 * len(entries) + 4)
    for number, each in enumerate(entries):
        if len(out) + each.size > most:
            out += bytes(most)  # too large as a whole
            return
        value = data[each.at : each.at + each.size]
        if each.tag in _POINTERS:
            below = _directory(data, order, *struct.unpack(order + "I", value))
            value = struct.pack(order + "I", len(out))
            # only the directory of EXIF points to a further one, that of interoperability
            _copy(out, data, order, [x for x in below if x.tag not in _POINTERS or _nested(each, x)], most)
        struct.pack_into("12s", out, start + 2 + 12 * number, _row(order, each, value, out))


def _nested(outer: StoredField, inner: StoredField) -> bool:
    return (outer.tag, inner.tag) == (EXIF_DIRECTORY, _INTEROP)


def _little_endian(exif: bytes) -> bytearray:
    """Convert an EXIF block in place: numbers are swapped, and everything stays where it is."""
    out = bytearray(exif)
    if _order(out) == "<":
        return out
    out[:4] = b"II*\0"
    todo, seen = [_first(exif, ">")], set[int]()
    struct.pack_into("<I", out, 4, todo[0])
    while todo:
        at = todo.pop()
        entries = _directory(exif, ">", at)
        if at in seen or not entries:
            continue
        seen.add(at)
        struct.pack_into("<H", out, at, *struct.unpack_from(">H", exif, at))
        for each in entries:
            struct.pack_into("<HHI", out, each.place, each.tag, each.kind, each.count)
            if each.size > 4:
                struct.pack_into("<I", out, each.place + 8, each.at)
            unit = FIELD_WORDS[each.kind]
            values = np.frombuffer(exif, f">u{unit}", each.size // unit, each.at)
            out[each.at : each.at + each.size] = values.astype(f"<u{unit}").tobytes()
            if each.tag in _POINTERS:
                todo.append(int(values[0]))
    return out
