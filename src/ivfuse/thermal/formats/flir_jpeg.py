"""FLIR radiometric JPEG files, whose APP1 segments contain a block of FLIR records."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ivfuse.image.decode import load
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.image.metadata import read_metadata
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.flir_file import FlirFile, bad_file, describe, parse_block
from ivfuse.thermal.formats.jpeg_segments import APP1, Segment, walk
from ivfuse.thermal.radiometry import Overrides

_MARK = b"FLIR\0"


@thermal_format("flir-jpeg")
class FlirJpeg:
    """Reader of radiometric JPEG files of FLIR cameras and cameras with FLIR cores (DJI XT2, XTR)."""

    name = "FLIR radiometric JPEG"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by the FLIR signature at the beginning of an APP1 segment."""
        return any(_is_chunk(segment) for segment in walk(file))

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        return describe(read_flir(path), self.name, conditions)

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`ThermalReader`."""
        return read_flir(path).to_raw(conditions, photo=photo)

    def holds_photo(self, path: Path) -> bool:
        """Return ``True``: most files contain a photo."""
        return True


def read_flir(path: str | os.PathLike[str]) -> FlirFile:
    """Read a radiometric JPEG file of a FLIR camera or a camera with a FLIR core.

    Args:
        path: a file that :class:`FlirJpeg` recognizes.

    Raises:
        InputError: if the file is missing, damaged, or contains no raw thermal image.
    """
    path = Path(path)
    _, data = load(path)
    try:
        block = _flir_block(data)
    except BadFileError as error:
        raise bad_file(path, error) from error
    return parse_block(path, block, _orientation(data), read_metadata("JPEG", data))


def _orientation(data: bytes) -> int:
    """Read the orientation of the outer JPEG; 1 if its header is damaged, as only the records are used."""
    try:
        return read_header("JPEG", data).orientation
    except BadFileError:
        return 1


def _is_chunk(segment: Segment) -> bool:
    return segment.marker == APP1 and segment.head.startswith(_MARK)


def _flir_block(data: bytes) -> bytes:
    """Assemble the block of FLIR records from the numbered chunks of a JPEG file.

    Each chunk is an APP1 segment: ``FLIR``, 0, 1, number of the chunk, number of the last chunk, content.

    Args:
        data: the whole file.

    Raises:
        BadFileError: if a chunk is missing, duplicated or truncated, or the numbers are inconsistent.
    """
    chunks: dict[int, bytes] = {}
    last: int | None = None
    for segment in walk(BytesIO(data)):
        if not _is_chunk(segment):
            continue
        if segment.size < 8 or segment.at + segment.size > len(data):
            raise BadFileError("a truncated FLIR file (a chunk is cut off)")
        number, stated_last = segment.head[6], segment.head[7]
        if last not in (None, stated_last) or number > stated_last or number in chunks:
            raise BadFileError("a damaged FLIR file (the numbers of its chunks are inconsistent)")
        last = stated_last
        chunks[number] = data[segment.at + 8 : segment.at + segment.size]
    if last is None:
        raise BadFileError("a file without FLIR records")
    missing = [str(number) for number in range(last + 1) if number not in chunks]
    if missing:
        raise BadFileError(f"a damaged FLIR file (chunk {missing[0]} of 0 to {last} is missing)")
    return b"".join(chunks[number] for number in range(last + 1))
