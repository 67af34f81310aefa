"""Thermal values to [0, 1] by a window that moves slowly, so that the image does not flicker."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.image.arrays import Gray
from ivfuse.thermal.tone_mapping import Window, check_window, window_of
from ivfuse.video.frame import Frame, luma_of

SECONDS = 1.0  # after which a step of the scene is followed to 63 %

_SAMPLES = 80_000  # values of a frame that the window is taken from
_CUT_CHANGE = 0.15  # of the spread: the median change from frame to frame that only another scene brings
_CUT_OVERLAP = 0.5  # of both windows together: less common ground means another scene


class SteadyWindow:
    """Windows thermal frames one after another.

    8-bit frames have a range already and keep it unless a window is given. Counts and floats are mapped from
    their 1st to their 99th percentile; the ends follow those of the frames exponentially. Where the scene is
    cut, they begin anew: the image has changed at most places, and its window has little in common with the
    old one.

    Example:
        >>> steady = SteadyWindow()
        >>> gray = steady.apply(frame)  # doctest: +SKIP
    """

    def __init__(self, fixed: Window | None = None, seconds: float = SECONDS) -> None:
        """Choose the window, or how fast it follows.

        Args:
            fixed: thermal values that become 0 and 1.
            seconds: time constant of the smoothing; 0 takes each frame's own window.

        Raises:
            UsageError: if the window is empty or the time is negative.
        """
        if fixed is not None:
            check_window(fixed)
        if seconds < 0:
            raise UsageError(f"smoothing: found {seconds:g} s, expected 0 or more")
        self.fixed = fixed
        self.seconds = seconds
        self.cuts = 0
        self.seen: Window | None = None  # the lowest and the highest end so far
        self._window: Window | None = None
        self._sample: NDArray[np.float32] | None = None
        self._spread = 0.0
        self._time = 0.0

    def apply(self, frame: Frame) -> Gray:
        """The thermal image, (H, W) float32 in [0, 1], a new array."""
        values = frame.planes[0]
        if values.dtype == np.uint8:
            gray = luma_of(frame)
            return gray if self.fixed is None else _scaled(gray, self.fixed[0] / 255, self.fixed[1] / 255)
        low, high = self.fixed or self.follow(values, frame.time)
        return _scaled(values, low, high)

    def follow(self, values: NDArray[Any], time: float) -> Window:
        """Move the window towards that of a frame.

        Args:
            values: (H, W) counts or floats.
            time: of the frame, in seconds.
        """
        step = max(1, math.isqrt(values.size // _SAMPLES))
        sample = values[::step, ::step].astype(np.float32)
        low, high = window_of(sample)
        window = self._moved((low, high), sample, time)
        self._sample, self._spread, self._time, self._window = sample, high - low, time, window
        seen = self.seen or window
        self.seen = min(seen[0], window[0]), max(seen[1], window[1])
        return window

    def _moved(self, new: Window, sample: NDArray[np.float32], time: float) -> Window:
        if self._window is None or not self.seconds:
            return new
        if self._is_cut(new, sample):
            self.cuts += 1
            return new
        share = 1 - math.exp(-max(0.0, time - self._time) / self.seconds)
        low, high = (old + share * (now - old) for old, now in zip(self._window, new, strict=True))
        return low, high

    def _is_cut(self, new: Window, sample: NDArray[np.float32]) -> bool:
        """Whether the scene is another one: most places changed, and the windows have little in common."""
        if self._sample is None or self._window is None or self._sample.shape != sample.shape:
            return True
        common = min(new[1], self._window[1]) - max(new[0], self._window[0])
        together = max(new[1], self._window[1]) - min(new[0], self._window[0])
        if common >= _CUT_OVERLAP * together:
            return False
        change = float(np.median(np.abs(sample - self._sample)))
        return change > _CUT_CHANGE * min(self._spread, new[1] - new[0])


def _scaled(values: NDArray[Any], low: float, high: float) -> Gray:
    """(values - low) / (high - low), clipped; zeros where the window is empty.

    In float32, which a frame of a video can spare: ``imaging.image.mapped`` takes three times as long.
    """
    if not high > low:
        return np.zeros(values.shape, np.float32)
    out = values.astype(np.float32)
    out -= np.float32(low)
    out *= np.float32(1 / (high - low))
    return np.clip(out, 0, 1, out=out)
