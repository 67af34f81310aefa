"""FLIR's FFF files, which contain one frame, and SEQ and CSQ files, which contain many.

A frame is a block of the records that a radiometric JPEG contains; CSQ compresses its image by JPEG-LS.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.facts import rounded
from ivfuse.thermal.formats.flir_file import FlirFile, describe, parse_block
from ivfuse.thermal.formats.flir_index import FrameIndex, index_frames
from ivfuse.thermal.formats.flir_records import MAGICS
from ivfuse.thermal.formats.frame_numbers import numbered, split_number
from ivfuse.thermal.formats.frame_times import frame_times
from ivfuse.thermal.radiometry import Overrides


class FlirFrames:
    """The frames of a file; see :class:`~ivfuse.thermal.formats.base.ThermalFrames`."""

    def __init__(self, path: Path) -> None:
        """Index the frames.

        Args:
            path: an FFF, SEQ or CSQ file.

        Raises:
            InputError: if the file cannot be read or contains no frame.
        """
        self._path = path
        try:
            stat = path.stat()
            self._index = _indexed(path.absolute(), stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        if not len(self):
            reason = "; ".join(self.notes) or "it has no raw thermal image"
            raise InputError(f"{path}: found no frame ({reason})", expected="an FFF, SEQ or CSQ file")

    @property
    def stamps(self) -> NDArray[np.float64]:
        """Times of capture, (N,) in seconds since 1970; NaN where unknown."""
        return np.array(self._index.stamps)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the file is not among the frames."""
        return self._index.notes

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._index.offsets)

    def read(self, index: int, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`~ivfuse.thermal.formats.base.ThermalFrames`."""
        return self.file(index).to_raw(conditions, photo=photo)

    def file(self, index: int) -> FlirFile:
        """Read the content of a frame.

        Raises:
            InputError: if there is no such frame or it is damaged.
            MissingExtraError: if the frame needs the extra ``formats``, as those of CSQ files do.
        """
        if not 0 <= index < len(self):
            last = len(self) - 1
            expected = f"0 to {last}" if last else "0, its only frame"
            raise InputError(f"{self._path}: found no frame {index}", expected=expected)
        name = self._path if len(self) == 1 else numbered(self._path, index)
        size = self._index.sizes[index]
        try:
            with self._path.open("rb") as file:
                file.seek(self._index.offsets[index])
                block = file.read(size)
        except OSError as error:
            raise InputError(f"{name}: cannot be read ({error.strerror})") from error
        return parse_block(name, block.ljust(size, b"\0"))  # the index allows for missing padding


@thermal_format("flir-sequence")
class FlirSequence:
    """Reader of FFF, SEQ and CSQ files; see :class:`~ivfuse.thermal.formats.base.RecordingReader`."""

    name = "FLIR FFF"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by its first four bytes."""
        file.seek(0)
        return file.read(4) in MAGICS

    def frames(self, path: Path) -> FlirFrames:
        """See :class:`~ivfuse.thermal.formats.base.RecordingReader`."""
        return FlirFrames(path)

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """Describe a frame, and the recording if the path is not that of a frame."""
        file, number = split_number(path)
        frames = self.frames(file)
        facts = describe(frames.file(number or 0), self.name, conditions)
        if number is None and len(frames) > 1:
            names = {"file": str(file), "kind": "FLIR SEQ or CSQ"}
            facts = names | _timing(frames) | {key: facts[key] for key in facts if key not in names}
            facts["notes"].append(f"the rest is that of frame 0 of 0 to {len(frames) - 1}")
        facts["notes"] += frames.notes if number is None else ()
        return facts

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the frame that a path names, or the first one."""
        file, number = split_number(path)
        frames = self.frames(file)
        raw = frames.read(number or 0, conditions, photo=photo)
        if number is not None:
            return raw
        first = f"frame 0 of 0 to {len(frames) - 1}; {file.name}#N is frame N"
        notes = (*raw.notes, *([first] if len(frames) > 1 else []), *frames.notes)
        return replace(raw, notes=notes)

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``: cameras write the photo to a separate file."""
        return False


def _timing(frames: FlirFrames) -> dict[str, Any]:
    """Describe number and times of the frames."""
    times = frame_times(frames.stamps)
    if times is None:
        return {"frames": len(frames), "frame_rate": None}
    gaps = {"count": times.gaps, "missing_frames": times.missing, "longest": rounded(times.longest)}
    return {
        "frames": len(frames),
        "duration": rounded(times.duration),
        "frame_rate": rounded(float(times.rate)),
        "gaps": gaps if times.gaps else None,
    }


@lru_cache(maxsize=8)
def _indexed(path: Path, size: int, modified: int) -> FrameIndex:
    """The index of a file, kept while the file stays as it is: each frame of a batch is a path of its own."""
    with path.open("rb") as file:
        return index_frames(file)
