"""Windows, and local moments computed band by band.

Bands of rows keep the temporaries of a formula in the cache; whole-image temporaries cost several times the
arithmetic, and gigabytes for large images.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.triple import CachedImage, Gray, Levels, shared

Plane = Levels | NDArray[np.uint16] | Gray


def gaussian(size: int, sigma: float) -> Gray:
    """Return a one-dimensional Gaussian window of odd ``size`` that sums to one."""
    x = np.arange(size) - (size - 1) / 2
    window = np.exp(-(x * x) / (2 * sigma * sigma))
    result: Gray = window / window.sum()
    return result


def bands(height: int, size: int = 1, rows: int = 64) -> Iterator[slice]:
    """Cut ``height`` rows into bands whose whole windows of ``size`` rows tile those of the image."""
    for top in range(0, height - size + 1, rows):
        yield slice(top, min(top + rows + size - 1, height))


def filter_valid(image: Plane, window: Gray) -> Gray:
    """Filter rows and columns with ``window`` and keep the pixels whose window lies inside the image."""
    reach = len(window) // 2
    full = cv2.sepFilter2D(image, cv2.CV_64F, window, window, borderType=cv2.BORDER_CONSTANT)
    height, width = image.shape
    return np.asarray(full[reach : height - reach, reach : width - reach], np.float64)


def multiply(first: Plane, second: Plane) -> Plane:
    """Return the product of two planes; that of two 8-bit planes is exact in 16 bit, and cheap to filter."""
    if first.dtype == np.uint8:
        return np.multiply(first, second, dtype=np.uint16)
    return np.multiply(first, second, dtype=np.float64)


def local_mean(image: Plane, window: Gray) -> Gray:
    """Return the mean in each whole window."""
    return filter_valid(image, window)


def local_variance(image: Plane, mean: Gray, window: Gray) -> Gray:
    """Return the population variance in each whole window, given the means."""
    variance = filter_valid(multiply(image, image), window)
    variance -= mean * mean
    return np.maximum(variance, 0, out=variance)


def local_covariance(first: Plane, second: Plane, mean: Gray, mean_second: Gray, window: Gray) -> Gray:
    """Return the population covariance in each whole window, given the means."""
    covariance = filter_valid(multiply(first, second), window)
    covariance -= mean * mean_second
    return covariance


def box_sums(image: Plane, size: int) -> Gray:
    """Return the sum over each whole window of ``size`` x ``size``; exact for whole numbers."""
    full = cv2.boxFilter(image, cv2.CV_64F, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
    height, width = image.shape
    before, after = size // 2, (size - 1) // 2
    return np.asarray(full[before : height - after, before : width - after], np.float64)


def flat_windows(levels: Levels, size: int) -> NDArray[np.bool_]:
    """Say which whole windows of odd ``size`` hold one level; filtered variances there are rounding noise."""
    window = np.ones((size, size), np.uint8)
    reach = size // 2
    inner = np.s_[reach : levels.shape[0] - reach, reach : levels.shape[1] - reach]
    flat: NDArray[np.bool_] = cv2.dilate(levels, window)[inner] == cv2.erode(levels, window)[inner]
    return flat


@shared
def scaled(image: CachedImage, scale: int) -> Plane:
    """Return the image after ``scale`` halvings: means of 2x2 cells, an odd last row or column repeated."""
    if scale == 0:
        return image.levels
    return halved(scaled(image, scale - 1))


def halved(plane: Plane) -> Gray:
    """Return the means of 2x2 cells; an odd last row or column is repeated first."""
    height, width = plane.shape
    even = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE).astype(np.float64)
    rows = even[::2] + even[1::2]
    result: Gray = (rows[:, ::2] + rows[:, 1::2]) * 0.25
    return result


def gaussian_in_order(size: int, sigma: float) -> Gray:
    """Return a square Gaussian window as those programs make it: divided by its sum, and once more.

    The sums run one by one, down the columns; pairwise summation ends in other last digits.
    """
    x = np.arange(size) - (size - 1) / 2
    window = np.exp(-(x[:, None] ** 2 + x**2) / (2 * sigma * sigma))
    window /= np.cumsum(window.T)[-1]
    columns = np.cumsum(window, axis=0)[-1]
    result: Gray = window / np.cumsum(columns)[-1]
    return result


def filter_in_order(image: Plane, window: Gray) -> Gray:
    """Filter with a square window and add up its terms in the order of Octave's conv2, last column first.

    Only for variants in which the rounding errors of that program decide a published value.
    """
    values = image.astype(np.float64)
    size = len(window)
    height, width = (side - size + 1 for side in values.shape)
    result = np.zeros((height, width))
    term = np.empty_like(result)
    for column in range(size - 1, -1, -1):
        for row in range(size - 1, -1, -1):
            np.multiply(values[row : row + height, column : column + width], window[row, column], out=term)
            result += term
    return result
