"""Fusion in the domain of a stationary wavelet transform."""

from __future__ import annotations

import numpy as np

from ivfuse.fusion.classical.filters import window_mean
from ivfuse.fusion.classical.planes import (
    as_planes,
    check_range,
    majority_choice,
    mix,
    to_range,
)
from ivfuse.fusion.classical.transforms import wavelet_merge, wavelet_split
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray

LEVELS = 4  # largest number of scales


@classical_method(
    "wavelet",
    summary="stationary wavelet transform: stronger detail of each scale, mean of the approximations",
    paper="Li, Manjunath & Mitra, Multisensor Image Fusion Using the Wavelet Transform, GMIP, 1995",
    reach=9 * 2 ** (LEVELS - 1) - 3,
)
def wavelet(ir: Gray, vi: Gray, *, levels: int = LEVELS) -> Gray:
    """Select the stronger details at each scale of a wavelet transform, and average the approximations.

    The transform is stationary (without subsampling), so that the result is shift-invariant and free of block
    artifacts. The three details at a pixel are taken from the same image: the one with the larger sum of
    their magnitudes in a window of ``2**(level + 1) + 1`` pixels, after a majority vote in such a window.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        levels: number of scales, 1..4.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if ``levels`` is out of range.

    Source: Li, Manjunath & Mitra 1995, Graphical Models and Image Processing 57(3), 235-245, section 3, with
        the 5/3 transform of :func:`wavelet_split` in place of the decimated one.
    """
    ir, vi = as_planes(ir, vi)
    check_range("levels", levels, 1, LEVELS)
    details = []
    for level in range(levels):
        ir, a = wavelet_split(ir, level)
        vi, b = wavelet_split(vi, level)
        weight = majority_choice(_strength(a, 2**level), _strength(b, 2**level), 2**level)
        details.append((mix(a[0], b[0], weight), mix(a[1], b[1], weight), mix(a[2], b[2], weight)))
    fused = (ir + vi) * np.float32(0.5)
    for level in reversed(range(levels)):
        fused = wavelet_merge(fused, details.pop(), level)
    return to_range(fused)


def _strength(details: tuple[Gray, Gray, Gray], radius: int) -> Gray:
    """Compute the mean magnitude of the details in a window."""
    total = np.abs(details[0])
    for band in details[1:]:
        total += np.abs(band)
    return window_mean(total, radius)
