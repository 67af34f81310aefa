"""Rate, duration and gaps of a recording, from the times of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_GAP = 1.5  # frame periods; a longer step means that frames are missing
_SAME_TIME = 1e-6  # seconds


@dataclass(frozen=True)
class FrameTimes:
    """The times of a recording's frames.

    Attributes:
        seconds: (N,) float64, since the first frame.
        rate: frames per second between the gaps.
        duration: in seconds, from the first frame to the end of the last one.
        gaps: number of steps of more than 1.5 frame periods.
        missing: number of frames that are missing in the gaps.
        longest: the longest step in seconds; 0 without gaps.
    """

    seconds: NDArray[np.float64]
    rate: Fraction
    duration: float
    gaps: int
    missing: int
    longest: float


def frame_times(stamps: NDArray[np.float64]) -> FrameTimes | None:
    """Analyze the times of frames.

    Args:
        stamps: (N,) times in seconds in the order of the frames; NaN where unknown, which is interpolated.

    Returns:
        ``None`` for a single frame, and for times that are of no use: most of them are unknown, or most are
        not later than those before.
    """
    known = np.isfinite(stamps)
    if len(stamps) < 2 or known.mean() < 0.5:
        return None
    order = np.arange(len(stamps))
    seconds = np.interp(order, order[known], stamps[known])
    seconds -= seconds[0]
    steps = np.diff(seconds)
    forward = steps[steps > _SAME_TIME]
    if 2 * len(forward) < len(steps):
        return None
    even = forward[forward <= _GAP * np.median(forward)]
    # Cameras round times to milliseconds, so that the mean is more precise than the median.
    period = float(even.mean())
    rate = _fraction(1 / period) if period < 1 else 1 / _fraction(period)
    gaps = forward[forward > _GAP / float(rate)]
    missing = int((np.rint(gaps * float(rate)) - 1).sum())
    duration = float(forward.sum()) + 1 / float(rate)
    return FrameTimes(seconds, rate, duration, len(gaps), missing, float(gaps.max(initial=0.0)))


def _fraction(value: float) -> Fraction:
    """The nearest fraction of small numbers, such as 30000/1001."""
    return Fraction(value).limit_denominator(1001)
