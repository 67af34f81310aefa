"""Index of the frames of an FFF, SEQ or CSQ file: FLIR blocks one after another, each with its own header.

The layout of a block is that of :mod:`ivfuse.thermal.formats.flir_records`; its length follows from its
directory. The scan reads headers and times only. It does not map the file into memory: if another program
truncates a mapped recording, this process ends.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from math import nan
from typing import BinaryIO, NamedTuple

from ivfuse.image.headers import BadFileError
from ivfuse.thermal.formats import flir_records as records

MAX_FRAMES = 1_000_000  # nine hours at 30 frames per second
MAX_BLOCK = 256_000_000  # bytes of a frame; the largest rasters and photos take less
MAX_REJECTED = 10_000  # places that look like a header and are none, after which the scan ends
_PADDING = 16  # bytes by which the stated end of the last block may lie behind the end of the file
_IMAGE_ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")  # of JPEG-LS and PNG
_FIRST_READ = 512  # bytes: a header and a usual directory
_FIRST_SEARCH, _LONGEST_SEARCH = 4096, 1 << 20  # bytes read at a time in search of a header


@dataclass
class FrameIndex:
    """Where the frames of a file are.

    Attributes:
        offsets: of the blocks, in bytes.
        sizes: of the blocks, in bytes.
        stamps: times of capture in seconds since 1970; NaN where unknown.
        notes: remarks for the user.
    """

    offsets: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    stamps: array[float] = field(default_factory=lambda: array("d"))
    notes: tuple[str, ...] = ()


class _Block(NamedTuple):
    """A block according to its directory: its length in bytes, and offset and size of its camera record."""

    size: int
    camera: tuple[int, int] | None


def index_frames(file: BinaryIO) -> FrameIndex:
    """Find the frames of a file, in time that is linear in its length.

    What is not a frame is skipped with a note. A last frame that is not complete is left out with a note,
    unless only padding behind its image is missing.

    Args:
        file: open for reading in binary mode.

    Raises:
        OSError: if the file cannot be read.
    """
    length = file.seek(0, os.SEEK_END)
    magic = _read(file, 0, 4)
    found = FrameIndex()
    at = end = skipped = rejected = 0
    cut: int | None = None  # the first block after the last frame that reaches beyond the end of the file
    while at < length and len(found.offsets) < MAX_FRAMES and rejected < MAX_REJECTED:
        block = _block_at(file, at, length)
        if block is not None and _fits(file, at, block, length):
            found.offsets.append(at)
            found.sizes.append(block.size)
            found.stamps.append(_stamp(file, at, block))
            skipped += at - end
            at = end = at + block.size
            cut = None
            continue
        if block is not None and cut is None and at + block.size > length:
            cut = at
        rejected += 1
        at = _find(file, magic, at + 1, length)
    found.notes = _notes(len(found.offsets), skipped, cut, end, at, length)
    return found


def _notes(frames: int, skipped: int, cut: int | None, end: int, at: int, length: int) -> tuple[str, ...]:
    """Say what of the file is not among the frames."""
    notes = []
    if at < length:
        notes.append(f"the search for frames ended after {frames} frames at byte {at} of {length}")
        cut = None
    elif cut is not None:
        skipped += cut - end
        notes.append(f"the last frame is cut off after {length - cut} bytes and left out")
    elif end < length:
        skipped += length - end
    if skipped:
        notes.append(f"{skipped} bytes that are no frame skipped")
    return tuple(notes)


def _block_at(file: BinaryIO, at: int, length: int) -> _Block | None:
    """Parse the header and directory at an offset; ``None`` if there is no block with an image."""
    head = _read(file, at, _FIRST_READ)
    if len(head) < records.HEADER:
        cut_off = at + len(head) == length and head[:4] in records.MAGICS
        return _Block(records.HEADER, None) if cut_off else None
    try:
        found = records.directory(head)
    except BadFileError:
        return None
    if found.end > len(head) and at + found.end <= length:
        head = _read(file, at, found.end)
    if found.at < 32 or found.end > MAX_BLOCK:
        return None
    if found.end > len(head):
        return _Block(found.end, None)
    size, camera, image = found.end, None, False
    for kind, offset, bytes_ in records.entries(head[found.at : found.end], found.order):
        size = max(size, offset + bytes_)
        image |= kind == records.RAW
        if kind == records.CAMERA and camera is None:
            camera = offset, bytes_
    return _Block(size, camera) if image and size <= MAX_BLOCK else None


def _fits(file: BinaryIO, at: int, block: _Block, length: int) -> bool:
    """Whether the file contains a block, at least up to the end of its image."""
    missing = at + block.size - length
    if missing <= 0:
        return True
    return missing <= _PADDING and _read(file, length - 8, 8).endswith(_IMAGE_ENDS)


def _stamp(file: BinaryIO, at: int, block: _Block) -> float:
    """Read the time of capture; NaN if the block does not state it."""
    if block.camera is None:
        return nan
    offset, size = block.camera
    try:
        taken = records.taken(_read(file, at + offset, min(size, records.TIME_END)))
    except BadFileError:
        return nan
    return nan if taken is None else taken.timestamp()


def _find(file: BinaryIO, magic: bytes, start: int, length: int) -> int:
    """Find the next place that looks like a header; the length of the file if there is none."""
    step = _FIRST_SEARCH  # grows, so that many near places cost as little as a far one
    while start < length:
        part = _read(file, start, step)
        place = part.find(magic)
        if place >= 0:
            return start + place
        if len(part) < len(magic):
            break
        start += len(part) - len(magic) + 1
        step = min(2 * step, _LONGEST_SEARCH)
    return length


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
