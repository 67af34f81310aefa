"""EXIF blocks: where, when and by which camera an image was taken, and their transfer between blocks.

Blocks are untrusted: the number of entries and the size of values are limited, and what lies outside of the
block or has an unknown type is left out. The layout is that of the EXIF 2.32 standard (CIPA DC-008).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ivfuse.image.directories import (
    EXIF_DIRECTORY,
    FIELD_WORDS,
    GPS_DIRECTORY,
    MAX_BLOCK,
    MAX_EXIF_ENTRIES,
    BadFileError,
    layout_of,
    stored_fields,
)

MAKE, MODEL, SOFTWARE, DATE_TIME, DESCRIPTION = 271, 272, 305, 306, 270
FOCAL_LENGTH, EQUIVALENT, DIGITAL_ZOOM = 37386, 41989, 41988
TAKEN, _OFFSET_TAKEN = 36867, 36881

CAMERA_TAGS = frozenset({MAKE, MODEL, SOFTWARE, 42033, 42036, 50708})  # serial number and lens among them
TIME_TAGS = frozenset({DATE_TIME, TAKEN, 36868, 36880, 36881, 36882, 37520, 37521, 37522})
LENS_TAGS = frozenset({33437, FOCAL_LENGTH, DIGITAL_ZOOM, EQUIVALENT, 42034})

_MAKER_NOTE = 37500
_POINTERS = (3, 4)  # types of offsets
_MAX_VALUE = 16_384  # bytes
_EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"  # a block with one directory without entries


@dataclass(frozen=True)
class Entry:
    """One field of a directory.

    Attributes:
        kind: TIFF type of the values, 1 to 12.
        count: number of values.
        content: the values in little-endian byte order.
    """

    kind: int
    count: int
    content: bytes

    def text(self) -> str:
        """The value as text, without control characters; "" if it holds none."""
        if self.kind not in (2, 7):
            return ""
        found = self.content.split(b"\0")[0].decode("utf-8", "replace")
        return "".join(c for c in found if c.isprintable()).strip()

    def numbers(self) -> tuple[float, ...]:
        """The values as numbers; fractions whose denominator is 0 are NaN."""
        codes = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
        if self.kind not in codes:
            return ()
        values = struct.unpack(f"<{codes[self.kind] * self.count}", self.content)
        if self.kind not in (5, 10):
            return tuple(map(float, values))
        pairs = zip(values[::2], values[1::2], strict=True)
        return tuple(above / below if below else float("nan") for above, below in pairs)


@dataclass(frozen=True)
class Exif:
    """The directories of a block, by tag.

    Attributes:
        image: the first directory: camera, date of change, description.
        photo: the directory of EXIF: time of capture, lens.
        position: the directory of GPS.
    """

    image: dict[int, Entry]
    photo: dict[int, Entry]
    position: dict[int, Entry]

    def text(self, tag: int) -> str:
        """The text of a tag of the image or the photo; "" if it is missing."""
        entry = self.image.get(tag) or self.photo.get(tag)
        return entry.text() if entry else ""

    def number(self, tag: int) -> float | None:
        """The first positive finite number of a tag of the image or the photo, or ``None``."""
        entry = self.image.get(tag) or self.photo.get(tag)
        value = next(iter(entry.numbers()), 0.0) if entry else 0.0
        return value if 0 < value < 1e9 else None


def read_exif(block: bytes | None) -> Exif:
    """Read the directories of an EXIF block or a classic TIFF file; what is damaged is left out."""
    if block is None:
        return Exif({}, {}, {})
    try:
        order, big = layout_of(block).order, layout_of(block).big
        if big:
            return Exif({}, {}, {})
        image = dict(_entries(block, order, struct.unpack_from(order + "I", block, 4)[0]))
    except (BadFileError, struct.error):
        return Exif({}, {}, {})
    further = []
    for tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
        pointer = image.get(tag)
        at = pointer.numbers() if pointer and pointer.kind in _POINTERS else ()
        further.append(dict(_entries(block, order, int(at[0]))) if at else {})
    return Exif(image, *further)


def _entries(block: bytes, order: str, at: int) -> Iterator[tuple[int, Entry]]:
    """The entries of one directory that lie inside the block."""
    with suppress(struct.error):
        for each in stored_fields(block, order, at):
            if each.size <= _MAX_VALUE:
                content = _swapped(each.kind, block[each.at : each.at + each.size], order)
                yield each.tag, Entry(each.kind, each.count, content)


def _swapped(kind: int, content: bytes, order: str) -> bytes:
    """Values converted from a byte order to little-endian, or back."""
    step = FIELD_WORDS.get(kind, 1)
    if order == "<" or step == 1:
        return bytes(content)
    return b"".join(content[at : at + step][::-1] for at in range(0, len(content), step))


def select(found: Exif, tags: Iterable[int], *, position: bool) -> Exif:
    """The entries with some tags, and the whole position if it is wanted and states a latitude."""
    kept = frozenset(tags)
    image, photo = ({tag: x for tag, x in part.items() if tag in kept} for part in (found.image, found.photo))
    return Exif(image, photo, found.position if position and has_position(found) else {})


def has_position(found: Exif) -> bool:
    """Whether a block states latitude and longitude."""
    return 2 in found.position and 4 in found.position


def completed(block: bytes | None, source: bytes | None, *, lens: bool) -> bytes | None:
    """Add to a block what it lacks and another one states: position, time of capture, camera, and lens.

    Args:
        block: the EXIF block of an image; ``None`` if it has none.
        source: the block of another image of the same scene and time.
        lens: whether the focal length of the other image holds for this one too, since both show the same
            field.

    Returns:
        The block with further entries, which is ``block`` itself if nothing is to be added.
    """
    have, offered = read_exif(block), read_exif(source)
    tags: frozenset[int] = frozenset()
    if TAKEN not in have.photo:
        tags |= TIME_TAGS
    if MAKE not in have.image and MODEL not in have.image:
        tags |= CAMERA_TAGS | (LENS_TAGS if lens else frozenset())
    out = bytearray(block or _EMPTY)
    more = select(offered, tags, position=not has_position(have))
    return bytes(out) if extend(out, more) and len(out) <= MAX_BLOCK else block


def capture_block(
    taken: datetime | None = None,
    make: str = "",
    model: str = "",
    *,
    latitude: float | None = None,
    longitude: float | None = None,
    altitude: float | None = None,
    datum: str = "",
) -> bytes | None:
    """Build a block from what other records of a file state.

    Args:
        taken: time of capture; an offset from UTC is stored too.
        make, model: names of the camera; empty if unknown.
        latitude: in degrees, positive to the north.
        longitude: in degrees, positive to the east.
        altitude: in m above sea level.
        datum: geodetic datum of the coordinates; empty if unknown.

    Returns:
        The block; ``None`` if nothing is known.
    """
    image = {tag: _text(value) for tag, value in ((MAKE, make), (MODEL, model)) if value}
    photo, position = {}, {}
    if taken is not None:
        photo[TAKEN] = _text(taken.strftime("%Y:%m:%d %H:%M:%S"))
        if offset := taken.strftime("%z"):
            photo[_OFFSET_TAKEN] = _text(f"{offset[:3]}:{offset[3:5]}")
    if latitude is not None and longitude is not None:
        position = {1: _text("NS"[latitude < 0]), 2: _angle(latitude)}
        position |= {3: _text("EW"[longitude < 0]), 4: _angle(longitude)}
        if altitude is not None:
            position[5] = Entry(1, 1, bytes([altitude < 0]))
            position[6] = _fractions(round(abs(altitude) * 1000), 1000)
        if datum:
            position[18] = _text(datum)
    out = bytearray(_EMPTY)
    return bytes(out) if extend(out, Exif(image, photo, position)) else None


def _text(value: str) -> Entry:
    content = value.encode("ascii", "replace")[:200] + b"\0"
    return Entry(2, len(content), content)


def _angle(degrees: float) -> Entry:
    """Degrees, minutes, and seconds to a tenth of a millimeter on the ground."""
    units = round(abs(degrees) * 3600 * 1_000_000)
    minutes, seconds = divmod(units, 60 * 1_000_000)
    return _fractions(minutes // 60, 1, minutes % 60, 1, seconds, 1_000_000)


def _fractions(*numbers: int) -> Entry:
    return Entry(5, len(numbers) // 2, struct.pack(f"<{len(numbers)}I", *numbers))


def extend(block: bytearray, more: Exif) -> bool:
    """Add entries to an EXIF block or a TIFF file in place; entries that it already has are kept.

    New directories are written behind the block, so that all offsets inside it stay valid.

    Returns:
        Whether there was something to add, and the directories of the block are sound.
    """
    if not (more.image or more.photo or more.position):
        return False
    order = "<" if block[:2] == b"II" else ">"
    try:
        image = _rows(block, order, struct.unpack_from(order + "I", block, 4)[0])
        for tag, entries in ((EXIF_DIRECTORY, more.photo), (GPS_DIRECTORY, more.position)):
            if not entries:
                continue
            old = image.get(tag) if tag == EXIF_DIRECTORY else None  # a position without latitude is replaced
            rows = _rows(block, order, struct.unpack(order + "I", old[8:])[0]) if old else {}
            image[tag] = struct.pack(order + "HHII", tag, 4, 1, _append(block, order, rows, entries))
        struct.pack_into(order + "I", block, 4, _append(block, order, image, more.image))
    except struct.error:
        return False
    return True


def _rows(block: bytearray, order: str, at: int) -> dict[int, bytes]:
    """The entries of a directory as stored."""
    (count,) = struct.unpack_from(order + "H", block, at)
    rows: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * min(count, MAX_EXIF_ENTRIES), 12):
        row = bytes(block[entry : entry + 12])
        rows.setdefault(struct.unpack(order + "HHII", row)[0], row)
    return rows


def _append(block: bytearray, order: str, rows: dict[int, bytes], entries: dict[int, Entry]) -> int:
    """Append a directory of stored rows and new entries; returns its offset."""
    rows = dict(rows)
    for tag, entry in entries.items():
        if tag in rows or tag in (EXIF_DIRECTORY, GPS_DIRECTORY, _MAKER_NOTE):
            continue
        content = _swapped(entry.kind, entry.content, order)
        head = struct.pack(order + "HHI", tag, entry.kind, entry.count)
        if len(content) <= 4:
            rows[tag] = head + content.ljust(4, b"\0")
        else:
            block.extend(bytes(len(block) % 2))
            rows[tag] = head + struct.pack(order + "I", len(block))
            block.extend(content)
    block.extend(bytes(len(block) % 2))
    at = len(block)
    block.extend(struct.pack(order + "H", len(rows)))
    for tag in sorted(rows):
        block.extend(rows[tag])
    block.extend(struct.pack(order + "I", 0))
    return at
