"""Which thermal frame belongs to which visible frame: the one nearest in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from ivfuse.video.frame import Frame

MAX_HOLD = 0.5  # seconds for which a thermal frame stands in for those that are missing after it


class Nothing(Enum):
    """Why there is no next frame: the source ended, or it has none yet."""

    ENDED = "ended"
    LATE = "late"


Next = Callable[[], Frame | Nothing]


@dataclass
class PairCounts:
    """What became of the frames.

    Attributes:
        paired: visible frames with a partner.
        repeated: of these, the ones whose thermal frame was that of the visible frame before.
        held: of these, the ones whose thermal frame stands in for one that is missing.
        alone: visible frames without a thermal one near in time; they are left out.
        unused: thermal frames that were nearest to no visible one.
    """

    paired: int = 0
    repeated: int = 0
    held: int = 0
    alone: int = 0
    unused: int = 0


class Pairer:
    """Finds partners for visible frames that come in the order of their times.

    Args:
        following: gives the next thermal frame, or why there is none.
        ir_rate: thermal frames per second.
        vi_rate: visible frames per second; near is what lies within half the longer period.
        offset: seconds added to the thermal times.
    """

    def __init__(self, following: Next, ir_rate: Fraction, vi_rate: Fraction, offset: float = 0.0) -> None:
        """Nothing is read yet."""
        self.counts = PairCounts()
        self._following = following
        self._offset = offset
        self._near = 0.51 * float(max(1 / ir_rate, 1 / vi_rate))
        self._current: Frame | None = None
        self._next: Frame | None = None
        self._used = True
        self._ended = False
        self._steps = 0

    def partner(self, time: float) -> Frame | None:
        """The thermal frame nearest to a visible time, or ``None`` if none is near enough."""
        fresh = self._advance(time)
        if self._current is None or not (self._is_near(time) or self._may_hold(time)):
            self.counts.alone += 1
            return None
        self.counts.paired += 1
        self.counts.held += not self._is_near(time)
        self.counts.repeated += not fresh and self._used and self._is_near(time)
        self._used = True
        return self._current

    def over(self, time: float) -> bool:
        """Whether no visible frame at this time or later can find a partner."""
        if not self._ended or self._next is not None:
            return False
        return self._current is None or self._time(self._current) + self._near < time

    def finish(self) -> None:
        """Count the frames that were read and are not needed any more."""
        self.counts.unused += not self._used
        self.counts.unused += self._next is not None
        self._current = self._next = None
        self._used = True

    def _advance(self, time: float) -> bool:
        """Step to the nearest frame; whether it is another one than before."""
        stepped = False
        while True:
            if self._next is None and not self._ended:
                following = self._following()
                if following is Nothing.ENDED:
                    self._ended = True
                elif isinstance(following, Frame):
                    self._next = following
            if self._next is None:
                return stepped
            if self._current is not None and self._distance(self._next, time) > self._distance(
                self._current, time
            ):
                return stepped
            if self._current is not None:
                self.counts.unused += not self._used
            self._current, self._next, self._used, stepped = self._next, None, False, True
            self._steps += 1

    def _is_near(self, time: float) -> bool:
        return self._current is not None and self._distance(self._current, time) <= self._near

    def _may_hold(self, time: float) -> bool:
        """Whether frames are missing here, between others, and the current one is near enough to stand in."""
        if self._current is None or self._distance(self._current, time) > MAX_HOLD:
            return False
        if self._time(self._current) > time:
            return self._steps > 1
        return self._next is not None or not self._ended

    def _time(self, frame: Frame) -> float:
        return frame.time + self._offset

    def _distance(self, frame: Frame, time: float) -> float:
        return abs(self._time(frame) - time)
