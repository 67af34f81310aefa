"""Pairing by time: each visible frame takes the thermal frame nearest to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ivfuse.errors import InputError
from ivfuse.video.frame import Frame
from ivfuse.video.queues import NoItem
from ivfuse.video.source import SourceInfo

MAX_HOLD = 0.5  # seconds for which a thermal frame may substitute for missing ones

# Frames match within this share of the longer frame period: half of it, and a little for rounded times.
_MATCH_TOLERANCE = 0.51

# The next thermal frame, or why there is none; waits for the given seconds, or as long as it takes for None.
NextFrame = Callable[[float | None], Frame | NoItem]


@dataclass
class PairingCounts:
    """What became of the frames.

    Attributes:
        paired: visible frames with a thermal frame.
        repeated: of these, those with the same thermal frame as the visible frame before.
        held: of these, those with a thermal frame that substitutes for a missing one.
        unmatched: visible frames without a thermal frame near in time, which are skipped.
        unused: thermal frames that were not the nearest to any visible frame.
    """

    paired: int = 0
    repeated: int = 0
    held: int = 0
    unmatched: int = 0
    unused: int = 0


class FramePairer:
    """Finds the thermal frames of visible frames that arrive in the order of their times.

    Args:
        next_frame: returns the next thermal frame, or why there is none, given the seconds to wait for it.
        ir_rate: thermal frames per second.
        vi_rate: visible frames per second; frames match within half the longer of both periods.
        offset: seconds to add to the thermal times.
        clock: tells the time at which frames of live sources arrive; ``None`` for recorded sources.
    """

    def __init__(
        self,
        next_frame: NextFrame,
        ir_rate: Fraction,
        vi_rate: Fraction,
        offset: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Create a pairer; no frame is read yet."""
        self.counts = PairingCounts()
        self._next_frame = next_frame
        self._offset = offset
        self._clock = clock
        self._tolerance = _MATCH_TOLERANCE * float(max(1 / ir_rate, 1 / vi_rate))
        self._current: Frame | None = None
        self._following: Frame | None = None
        self._current_used = True
        self._ended = False
        self._frames_read = 0

    def match(self, time: float) -> Frame | None:
        """The thermal frame nearest to a visible frame's time, or ``None`` if none is near enough."""
        advanced = self._advance(time)
        if self._current is None or not (self._is_near(time) or self._may_hold(time)):
            self.counts.unmatched += 1
            return None
        self.counts.paired += 1
        self.counts.held += not self._is_near(time)
        self.counts.repeated += not advanced and self._current_used and self._is_near(time)
        self._current_used = True
        return self._current

    def is_exhausted(self, time: float) -> bool:
        """Whether no visible frame at this time or later can find a thermal frame."""
        if not self._ended or self._following is not None:
            return False
        return self._current is None or self._time(self._current) + self._tolerance < time

    def finish(self) -> None:
        """Count frames that were read and are no longer needed as unused."""
        self.counts.unused += not self._current_used
        self.counts.unused += self._following is not None
        self._current = self._following = None
        self._current_used = True

    def _advance(self, time: float) -> bool:
        """Move on to the nearest thermal frame; returns whether the current frame has changed."""
        advanced = False
        while True:
            self._read_ahead(time)
            if self._following is None:
                return advanced
            if self._current is not None:
                if self._distance(self._following, time) > self._distance(self._current, time):
                    return advanced
                self.counts.unused += not self._current_used
            self._current, self._following = self._following, None
            self._current_used, advanced = False, True
            self._frames_read += 1

    def _read_ahead(self, time: float) -> None:
        if self._following is not None or self._ended:
            return
        item = self._next_frame(self._patience(time))
        if isinstance(item, Frame):
            self._following = item
        elif item is NoItem.ENDED:
            self._ended = True

    def _patience(self, time: float) -> float | None:
        """Seconds to wait for the next frame; ``None`` for as long as it takes.

        A live frame is not waited for if another one is near, or once it would come too late to be near.
        """
        if self._clock is None:
            return None
        if self._is_near(time):
            return 0.0
        return max(0.0, time + self._tolerance - self._offset - self._clock())

    def _is_near(self, time: float) -> bool:
        return self._current is not None and self._distance(self._current, time) <= self._tolerance

    def _may_hold(self, time: float) -> bool:
        """Whether the current frame may substitute for one that is missing between two others."""
        if self._current is None or self._distance(self._current, time) > MAX_HOLD:
            return False
        if self._time(self._current) > time:
            return self._frames_read > 1
        return self._following is not None or not self._ended

    def _time(self, frame: Frame) -> float:
        return frame.time + self._offset

    def _distance(self, frame: Frame, time: float) -> float:
        return abs(self._time(frame) - time)


def expected_frames(
    ir: SourceInfo, vi: SourceInfo, offset: float = 0.0, duration: float | None = None
) -> int | None:
    """The number of frames that the output will have, according to the headers of the sources.

    Args:
        ir: facts about the thermal source.
        vi: facts about the visible source.
        offset: seconds to add to the thermal times.
        duration: seconds of video after which the run ends; ``None`` for no limit.

    Returns:
        ``None`` if it is not known.

    Raises:
        InputError: if the sources do not overlap in time.
    """
    if vi.live:
        return None if duration is None else round(duration * vi.rate)
    ends = [] if ir.end is None else [ir.end + offset]
    ends += [] if vi.end is None else [vi.end]
    if not ends:
        return None
    seconds = min(ends) - max(ir.start + offset, vi.start)
    if seconds <= 0:
        raise InputError(
            f"{ir.name} and {vi.name}: they do not overlap in time with an offset of {offset:g} s",
            hint="{offset} start pairs their first frames",
        )
    return max(1, round(min(seconds, math.inf if duration is None else duration) * vi.rate))
