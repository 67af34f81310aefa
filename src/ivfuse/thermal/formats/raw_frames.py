"""Headerless files of 16-bit counts, as programs for USB cameras save frames (Y16 or YUYV, little-endian).

Nothing in such a file tells what it is, so that its suffix and its size must agree: the name states the size
as in ``scene_160x120.y16``, or the file is exactly one frame of a known camera.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ivfuse.errors import InputError
from ivfuse.thermal.camera_frames import CameraFrame, read_frame, size_of_bytes
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.facts import value_range
from ivfuse.thermal.radiometry import Overrides

SUFFIXES = (".y16", ".yuyv", ".raw", ".bin")
_SIZE = re.compile(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)")
_MAX_PIXELS = 16_000_000


@dataclass(frozen=True)
class RawVideo:
    """What a headerless file holds.

    Attributes:
        width: of each frame, in pixels.
        height: of each frame, in rows.
        frames: number of whole frames.
        left_over: bytes after the last whole frame.
    """

    width: int
    height: int
    frames: int
    left_over: int


def raw_video_of(path: str | os.PathLike[str]) -> RawVideo | None:
    """Determine the frames of a headerless file by its name and size; ``None`` if it is not such a file."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return None
    count = path.stat().st_size
    named = _SIZE.search(path.stem)
    size = (int(named[1]), int(named[2])) if named else size_of_bytes(count)
    if size is None or not 0 < size[0] * size[1] <= _MAX_PIXELS or count < 2 * size[0] * size[1]:
        return None
    return RawVideo(*size, *divmod(count, 2 * size[0] * size[1]))


@thermal_format("raw-frames")
class RawFrames:
    """Reader of headerless frames; see :class:`ThermalReader`."""

    name = "raw 16-bit frames"
    calibrated = False

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by its suffix and size."""
        return isinstance(file.name, str | os.PathLike) and raw_video_of(file.name) is not None

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        video, frame = _first_frame(path)
        return {
            "file": str(path),
            "kind": self.name,
            "frame": {"width": video.width, "height": video.height},
            "frames": video.frames,
            "width": frame.values.shape[1],
            "height": frame.values.shape[0],
            "celsius" if frame.degrees else "values": value_range(frame.values),
            "notes": [*frame.notes, *_notes(video)],
        }

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the first frame; there is never a photo."""
        if photo:
            raise InputError(f"{path}: found thermal frames without a photo", expected="a visible image")
        video, frame = _first_frame(path)
        return RawThermal(frame.values, frame.degrees, notes=(*frame.notes, *_notes(video)))

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``."""
        return False


def _first_frame(path: Path) -> tuple[RawVideo, CameraFrame]:
    video = raw_video_of(path)
    if video is None:
        raise InputError(f"{path}: found no whole frame", expected="16-bit counts of a known size")
    with path.open("rb") as file:
        data = file.read(2 * video.width * video.height)
    counts = np.frombuffer(data, "<u2").reshape(video.height, video.width).astype(np.uint16)
    return video, read_frame(counts)


def _notes(video: RawVideo) -> tuple[str, ...]:
    more = (f"the first of {video.frames} frames",) if video.frames > 1 else ()
    return more if not video.left_over else (*more, f"{video.left_over} bytes after the last whole frame")
