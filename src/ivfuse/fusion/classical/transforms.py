"""Multi-scale transforms for the classical methods, each with its exact inverse, for images of any size.

The Laplacian pyramid halves the size at each level; the stationary wavelet transform keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray


def laplacian_pyramid(image: Gray, levels: int) -> list[Gray]:
    """Decompose an image into band-pass planes and a coarse base.

    Args:
        image: (H, W) float32.
        levels: number of bands; level ``l`` has ``ceil(H / 2**l)`` rows.

    Returns:
        ``levels`` bands from fine to coarse, then the base.

    Source: Burt & Adelson 1983, IEEE Transactions on Communications 31(4), 532-540, with the 5-tap kernel
        (1, 4, 6, 4, 1) / 16 in each direction (their a = 0.375).
    """
    bands = []
    for _ in range(levels):
        coarse = _down(image)
        bands.append(image - _up(coarse, image))
        image = coarse
    return [*bands, image]


def collapse(pyramid: Sequence[Gray]) -> Gray:
    """Reconstruct the image of a Laplacian pyramid; the inverse of :func:`laplacian_pyramid`."""
    image = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        image = band + _up(image, band)
    return image


def _down(plane: Gray) -> Gray:
    """Smooth an image and keep its even rows and columns."""
    return np.asarray(cv2.pyrDown(plane, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _up(plane: Gray, like: Gray) -> Gray:
    """Interpolate to the size of ``like``, the plane one level finer.

    The border of ``like`` is mirrored about its last samples. If their number is even, the last sample lies
    between two samples of ``plane``, which requires another border mode.
    """
    bottom, right = (cv2.BORDER_REFLECT_101 if length % 2 else cv2.BORDER_REFLECT for length in like.shape)
    wide = cv2.copyMakeBorder(plane, 1, 0, 1, 0, cv2.BORDER_REFLECT_101)
    wide = cv2.copyMakeBorder(cv2.copyMakeBorder(wide, 0, 1, 0, 0, bottom), 0, 0, 0, 1, right)
    height, width = like.shape
    return np.asarray(cv2.pyrUp(wide), dtype=np.float32)[2 : 2 + height, 2 : 2 + width]


def wavelet_split(image: Gray, level: int) -> tuple[Gray, tuple[Gray, Gray, Gray]]:
    """Compute one level of the stationary (undecimated) 5/3 wavelet transform.

    The filters are the 5/3 pair of Cohen, Daubechies & Feauveau (bior2.2), computed by lifting with taps
    ``2**level`` pixels apart. The image is mirrored about its last pixel at the border; the symmetric filters
    preserve this symmetry in every band, so that the inverse is exact for any size.

    Args:
        image: (H, W) float32, the approximation of the previous level.
        level: the level, 0 for the finest.

    Returns:
        The approximation and the details (horizontal, vertical and diagonal differences), each (H, W).

    Source: Le Gall & Tabatabai 1988 (filters); Sweldens 1996 (lifting); Nason & Silverman 1995 (stationary).
    """
    step = 2**level
    low, high = _split(image, step, axis=1)
    approximation, vertical = _split(low, step, axis=0)
    horizontal, diagonal = _split(high, step, axis=0)
    return approximation, (horizontal, vertical, diagonal)


def wavelet_merge(approximation: Gray, details: tuple[Gray, Gray, Gray], level: int) -> Gray:
    """Invert :func:`wavelet_split` by averaging the inverses of all shifts of the decimated grid."""
    horizontal, vertical, diagonal = details
    step = 2**level
    low = _merge(approximation, vertical, step, axis=0)
    high = _merge(horizontal, diagonal, step, axis=0)
    return _merge(low, high, step, axis=1)


def _split(x: Gray, step: int, axis: int) -> tuple[Gray, Gray]:
    """Lift each sample: the residual of its prediction from neighbors (high) and a local mean (low)."""
    high = _plus_neighbors(x, x, -0.5, step, axis)
    return _plus_neighbors(x, high, 0.25, step, axis), high


def _merge(low: Gray, high: Gray, step: int, axis: int) -> Gray:
    """Undo the update on one grid, undo the prediction on the other grid, and average both."""
    even = _plus_neighbors(low, high, -0.25, step, axis)
    fused = _plus_neighbors(high, even, 0.5, step, axis)
    fused += even
    fused *= np.float32(0.5)
    return fused


def _plus_neighbors(x: Gray, y: Gray, factor: float, step: int, axis: int) -> Gray:
    """Add to ``x`` ``factor`` times the samples of ``y`` at a distance of ``step`` before and after."""
    length = y.shape[axis]
    place = np.arange(length)
    before, after = _mirror(place - step, length), _mirror(place + step, length)
    inner = slice(step, max(length - step, step))
    edge = np.r_[: min(step, length), inner.stop : length]
    total = np.empty_like(y)
    if axis == 0:
        np.add(y[: -2 * step], y[2 * step :], out=total[inner])
        total[edge] = y[before[edge]] + y[after[edge]]
    else:
        np.add(y[:, : -2 * step], y[:, 2 * step :], out=total[:, inner])
        total[:, edge] = y[:, before[edge]] + y[:, after[edge]]
    return np.asarray(cv2.scaleAdd(total, factor, x, dst=total), dtype=np.float32)


def _mirror(place: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    """Mirror indices outside a row of ``length`` samples about its first and last sample."""
    period = max(2 * (length - 1), 1)
    place = place % period
    return np.minimum(place, period - place) if length > 1 else place * 0
