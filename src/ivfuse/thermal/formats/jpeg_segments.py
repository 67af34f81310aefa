"""Segments of a JPEG header, in which thermal cameras store everything but the rendered image.

Only the first bytes of each segment are read, so that iterating over the segments is fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

APP1, APP2, APP3, APP4, APP6 = 0xE1, 0xE2, 0xE3, 0xE4, 0xE6
_HEAD = 32  # bytes read from each segment, enough to identify it
_MAX_SEGMENTS = 4096  # real files have fewer than a hundred


class Segment(NamedTuple):
    """One segment of a JPEG header.

    Attributes:
        marker: the second byte of its marker.
        at: offset of its content in the file.
        size: size of its content in bytes.
        head: the first bytes of the content.
    """

    marker: int
    at: int
    size: int
    head: bytes


def walk(file: BinaryIO) -> Iterator[Segment]:
    """Iterate over the segments of a JPEG file up to its first scan; stops silently at invalid data."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return
    at = 2
    for _ in range(_MAX_SEGMENTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] == 0xFF:  # fill byte
            at += 1
            continue
        size = int.from_bytes(head[2:4], "big") - 2
        if head[1] in (0xDA, 0xD9) or size < 0:
            return
        yield Segment(head[1], at + 4, size, file.read(min(_HEAD, size)))
        at += 4 + size
