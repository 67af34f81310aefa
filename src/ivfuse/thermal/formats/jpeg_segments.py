"""The segments of a JPEG header, where thermal cameras keep what is not the picture.

Only a few bytes of each segment are read, so that walking over them costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

APP1, APP3, APP4, APP6 = 0xE1, 0xE3, 0xE4, 0xE6
_HEAD = 32  # bytes of a segment that are read to tell what it is
_MOST = 4096  # segments: real files have less than a hundred


class Segment(NamedTuple):
    """One segment of a JPEG header.

    Attributes:
        marker: the second byte of its marker.
        at: where its content begins in the file.
        size: of its content, in bytes.
        head: the first bytes of the content.
    """

    marker: int
    at: int
    size: int
    head: bytes


def walk(file: BinaryIO) -> Iterator[Segment]:
    """The segments of a JPEG file up to its first scan; ends early, and without an error, at nonsense."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return
    at = 2
    for _ in range(_MOST):
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
