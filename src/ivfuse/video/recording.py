"""Recordings of thermal cameras, such as FLIR's SEQ and CSQ files, as videos with the times of capture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ivfuse.errors import InputError
from ivfuse.thermal.formats.base import RawThermal, ThermalFrames
from ivfuse.thermal.formats.frame_times import frame_times
from ivfuse.thermal.read import FROM_FILE, upright_raw
from ivfuse.video.frame import Frame
from ivfuse.video.image_sequence import thermal_values
from ivfuse.video.source import DEFAULT_RATE, SourceInfo, SourceStats, TimestampNormalizer

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket


class RecordingSource:
    """A recording as a :class:`~ivfuse.video.source.FrameSource`; its first frame has the time 0."""

    def __init__(self, name: str, frames: ThermalFrames, rate: Fraction | None = None) -> None:
        """Read the first frame to learn the size, and the times.

        Args:
            name: location of the recording, for messages.
            frames: its frames.
            rate: frames per second where the recording has no times; ``None`` for 25.

        Raises:
            InputError: if the first frame cannot be read.
        """
        self._frames = frames
        first = self._read(0)
        height, width = first.values.shape
        times = frame_times(frames.stamps)
        notes = list(frames.notes)
        if times is not None:
            self._times, rate, count = times.seconds, times.rate, round(times.duration * times.rate)
        else:
            rate, count = rate or DEFAULT_RATE, len(frames)
            self._times = np.arange(count) / float(rate)
            if count > 1:
                notes.append(f"its frames have no times and are played at {float(rate):g} per second")
        degrees = first.degrees
        self.info = SourceInfo(name, width, height, rate, count, degrees=degrees, notes=tuple(notes))
        self.stats = SourceStats()

    def items(self) -> Iterator[Frame | AudioPacket]:
        """Yield the frames; one that cannot be read is skipped and recorded."""
        timestamps = TimestampNormalizer(self.info.rate, self.stats)
        for index, time in enumerate(self._times.tolist()):
            try:
                values = thermal_values(self._sized(index), f"{self.info.name}#{index}")
            except InputError as error:
                self.stats.damaged += 1
                self.stats.record_failure(self.info.name, index, time, str(error))
                continue
            if (normalized := timestamps.normalize(time)) is not None:
                yield Frame((values,), normalized, index)

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, index: int) -> RawThermal:
        return upright_raw(self._frames.read(index, FROM_FILE))

    def _sized(self, index: int) -> RawThermal:
        """Read a frame and check that it has the size and the unit of the first one."""
        raw = self._read(index)
        height, width = raw.values.shape
        self.info.check_frame(f"{self.info.name}#{index}", width, height, degrees=raw.degrees)
        return raw
