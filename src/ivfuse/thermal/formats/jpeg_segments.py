"""Which camera wrote a JPEG file: the segments of its header and the marks that thermal cameras leave there.

Only a few bytes of each segment are read, so that asking costs next to nothing for any other image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from ivfuse.errors import InputError
from ivfuse.image.headers import BadFileError

Maker = Literal["flir", "dji"]

APP1, APP3, APP4, APP6 = 0xE1, 0xE3, 0xE4, 0xE6
FLIR_MARK = b"FLIR\0"
_XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_DJI_NAMES = (b"drone-dji", b"DJI")
_DJI_RAW = 8192  # bytes of APP3 segments from which on they are a thermal raster and not a note
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


def maker_of(path: str | os.PathLike[str]) -> Maker | None:
    """Whose raw thermal values a file holds.

    Args:
        path: any file.

    Returns:
        ``flir`` for radiometric JPEG files of FLIR and of cameras built on its cores (DJI XT2, XTR),
        ``dji`` for those in DJI's own format, ``None`` for all others, missing and unreadable ones too.
    """
    try:
        with Path(path).open("rb") as file:
            return _maker(file)
    except OSError:
        return None


def _maker(file: BinaryIO) -> Maker | None:
    """Look for FLIR's chunks, then for the raster in APP3 that DJI writes beside its name."""
    raster, named = 0, False
    for segment in walk(file):
        if segment.marker == APP1 and segment.head.startswith(FLIR_MARK):
            return "flir"
        if segment.marker == APP3:
            raster += segment.size
        if segment.marker == APP1 or (segment.marker in (APP4, APP6) and b"DTAT" in segment.head):
            file.seek(segment.at)
            content = file.read(segment.size)
            named |= segment.marker != APP1 or any(name in content for name in _DJI_NAMES)
    return "dji" if named and raster >= _DJI_RAW else None


def flir_block(data: bytes) -> bytes:
    """Put the block of FLIR records together from the numbered chunks of a JPEG file.

    Each chunk is an APP1 segment: ``FLIR``, 0, 1, the chunk's number, the number of the last chunk, content.

    Args:
        data: the whole file.

    Raises:
        BadFileError: if a chunk is missing, twice there, cut off, or the numbers contradict each other.
    """
    chunks: dict[int, bytes] = {}
    last: int | None = None
    for segment in walk(BytesIO(data)):
        if segment.marker != APP1 or not segment.head.startswith(FLIR_MARK):
            continue
        if segment.size < 8 or segment.at + segment.size > len(data):
            raise BadFileError("a truncated FLIR file (a chunk is cut off)")
        number, says = segment.head[6], segment.head[7]
        if last not in (None, says) or number > says or number in chunks:
            raise BadFileError("a damaged FLIR file (the numbers of its chunks contradict each other)")
        last = says
        chunks[number] = data[segment.at + 8 : segment.at + segment.size]
    if last is None:
        raise BadFileError("a file without FLIR records")
    missing = [str(number) for number in range(last + 1) if number not in chunks]
    if missing:
        raise BadFileError(f"a damaged FLIR file (chunk {missing[0]} of 0 to {last} is missing)")
    return b"".join(chunks[number] for number in range(last + 1))


def refuse_dji(path: Path) -> InputError:
    """The error for a file whose raw values only DJI's own library can read."""
    return InputError(
        f"{path}: found a DJI R-JPEG, whose temperatures only DJI's Thermal SDK can read, expected a FLIR"
        " radiometric JPEG; convert it with that SDK to a 16-bit or float TIFF and give --scale"
    )
