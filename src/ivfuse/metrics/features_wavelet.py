"""One step of the discrete Meyer wavelet transform."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

from ivfuse.metrics.triple import Gray

MEYER_REACH = 50  # taps of the discrete Meyer filter on either side of its middle


@cache
def meyer() -> tuple[float, ...]:
    """Return the 102 taps of the discrete Meyer low-pass filter, the last of them 0.

    They are samples of the inverse Fourier transform of Meyer's window with the polynomial
    x^4 (35 - 84 x + 70 x^2 - 20 x^3), cut at 50 taps on either side and brought to the sum sqrt(2). MATLAB's
    table differs by less than 1e-10, by its own numerical transform.
    """
    count = 8192
    frequency = np.arange(count // 2 + 1) / count  # cycles per sample
    ramp = np.clip(6 * frequency - 1, 0, 1)
    ramp = ramp**4 * (35 - 84 * ramp + 70 * ramp**2 - 20 * ramp**3)
    taps = np.fft.irfft(np.cos(math.pi / 2 * ramp), count)[: MEYER_REACH + 1]
    taps = np.concatenate([taps[:0:-1], taps, [0.0]])
    return tuple((taps * (math.sqrt(2) / taps.sum())).tolist())


def halve(longer: Gray, low: Gray, high: Gray) -> tuple[Gray, Gray]:
    """Filter down the columns and keep every second row, from the second on.

    Term by term and not by FFT, so that a flat region gives the same number everywhere: FMI would take the
    rounding noise of an FFT there for a pattern. Only every second sum is wanted, so that even and odd places
    are filtered apart, each with every second tap.

    Args:
        longer: (H, W), its border continued by one less than the taps on either side.
        low: an even number of taps.
        high: as many.

    Returns:
        The low and the high half.
    """
    even, odd = longer[::2], longer[1::2]
    count = (longer.shape[0] - low.size + 1) // 2
    low_part, high_part = (
        _correlate_columns(odd, taps[::2])[:count] + _correlate_columns(even, taps[1::2])[1 : count + 1]
        for taps in (low, high)
    )
    return low_part, high_part


def _correlate_columns(values: Gray, taps: Gray) -> Gray:
    """Correlate each column with an odd number of taps; whole windows only."""
    full = cv2.sepFilter2D(values, cv2.CV_64F, np.ones(1), taps)
    return np.asarray(full, np.float64)[taps.size // 2 : len(values) - taps.size // 2]
