"""One step of a discrete wavelet transform; the function of ``features_wavelet``."""

from __future__ import annotations

import numpy as np

from ivfuse.metrics.compiled.jit import loop
from ivfuse.metrics.triple import Gray


@loop
def halve(longer: Gray, low: Gray, high: Gray) -> tuple[Gray, Gray]:
    """Filter down the columns and keep every second row."""
    rows, width = (longer.shape[0] - low.size + 1) // 2, longer.shape[1]
    lows, highs = np.zeros((rows, width)), np.zeros((rows, width))
    for row in range(rows):
        for tap in range(0, low.size, 2):
            at = 2 * row + 1 + tap
            low_first, low_second, high_first, high_second = low[tap], low[tap + 1], high[tap], high[tap + 1]
            for k in range(width):
                first, second = longer[at, k], longer[at + 1, k]
                lows[row, k] += low_first * first + low_second * second
                highs[row, k] += high_first * first + high_second * second
    return lows, highs
