"""Metrics of structure: the family of the structural similarity index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivfuse.metrics.filters import (
    Plane,
    bands,
    box_sums,
    gaussian,
    local_covariance,
    local_mean,
    local_variance,
    multiply,
    scaled,
)
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import Gray, Levels, Triple


@dataclass(frozen=True)
class Window:
    """A sliding window: ``size`` x ``size``, Gaussian of ``sigma`` pixels or flat if it is 0.

    ``same`` repeats the image's border so that every pixel has a window; else only whole windows count.
    """

    size: int
    sigma: float = 0.0
    same: bool = False

    @property
    def weights(self) -> Gray:
        """The window along one axis; it sums to one."""
        return gaussian(self.size, self.sigma) if self.sigma else np.full(self.size, 1 / self.size)

    def frame(self, levels: Levels) -> Levels:
        """Return the image with its border repeated as far as the window reaches, if that is wanted."""
        if not self.same:
            return levels
        reach = self.size // 2
        return np.pad(levels, reach, mode="edge")


WANG = Window(11, 1.5)


def mean_ssim(triple: Triple, window: Window, span: float, sample: bool = False) -> tuple[float, float]:
    """Return the mean structural similarity of the fused image to the infrared and to the visible.

    Args:
        triple: the images.
        window: the sliding window.
        span: the value range L that scales both constants.
        sample: variances of the sample (N - 1), not of the population.

    Raises:
        Undefined: no whole window fits into the image.
    """
    if not window.same and min(triple.fused.shape) < window.size:
        raise Undefined(f"SSIM needs {window.size}x{window.size} pixels, the image is {triple.fused.size}")
    pixels = window.size**2
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    c2 *= (pixels - 1) / pixels if sample else 1  # the same as scaling all variances
    weights = window.weights
    planes = [window.frame(image.levels) for image in triple.images]
    sums = [0.0, 0.0]
    count = 0
    for rows in bands(planes[0].shape[0], window.size):
        *sources, fused = (plane[rows] for plane in planes)
        mean = local_mean(fused, weights)
        spread = local_variance(fused, mean, weights)
        spread += c2
        squared = mean * mean
        squared += c1
        count += mean.size
        for index, source in enumerate(sources):
            mean_source = local_mean(source, weights)
            similar = local_covariance(source, fused, mean_source, mean, weights)
            similar *= 2
            similar += c2
            similar *= 2 * mean_source * mean + c1
            similar /= local_variance(source, mean_source, weights) + spread
            similar /= mean_source * mean_source + squared
            sums[index] += float(similar.sum())
    return sums[0] / count, sums[1] / count


@metric(
    "SSIM",
    higher_is_better=True,
    range=(-2.0, 2.0),
    needs="sources",
    source="Wang, Bovik, Sheikh & Simoncelli, IEEE Trans. Image Processing 13(4), 2004",
)
def ssim(triple: Triple) -> float:
    """Structural similarity to each source, the two added: L = 255, Gaussian window 11 / 1.5, whole windows.

    Published numbers differ in four ways: the range L (255, 2 or 1), the window, the border, and whether the
    two sources are added or averaged; see the conventions.
    """
    return sum(mean_ssim(triple, WANG, 255.0))


def ssim_uniform_wrong_span(triple: Triple) -> float:
    """Sum over the sources with a flat 7x7 window, sample variances and L = 2 on levels 0..255.

    L = 2 is what scikit-image before 0.20 took for float images when no range was named.
    """
    return sum(mean_ssim(triple, Window(7), 2.0, sample=True))


def ssim_mean_unit_span(triple: Triple) -> float:
    """Mean over the sources, border repeated, with L = 1 on levels 0..255 (MATLAB's default for doubles)."""
    return sum(mean_ssim(triple, Window(11, 1.5, same=True), 1.0)) / 2


def ssim_mean(triple: Triple) -> float:
    """Mean over the sources, border repeated, L = 255."""
    return sum(mean_ssim(triple, Window(11, 1.5, same=True), 255.0)) / 2


SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def _mean_contrast(planes: Sequence[Plane], brightness: bool) -> list[float]:
    """Return the mean contrast and structure term of each source, times the brightness term if wanted."""
    weights = WANG.weights
    sums = [0.0, 0.0]
    count = 0
    for rows in bands(planes[0].shape[0], WANG.size):
        *sources, fused = (plane[rows] for plane in planes)
        mean = local_mean(fused, weights)
        spread = local_variance(fused, mean, weights)
        spread += C2
        count += mean.size
        for index, source in enumerate(sources):
            mean_source = local_mean(source, weights)
            similar = local_covariance(source, fused, mean_source, mean, weights)
            similar *= 2
            similar += C2
            similar /= local_variance(source, mean_source, weights) + spread
            if brightness:
                similar *= 2 * mean_source * mean + C1
                similar /= mean_source * mean_source + (mean * mean + C1)
            sums[index] += float(similar.sum())
    return [value / count for value in sums]


@metric(
    "MS_SSIM",
    higher_is_better=True,
    range=(0.0, 2.0),
    needs="sources",
    source="Wang, Simoncelli & Bovik, Asilomar Conf. Signals, Systems and Computers, 2003",
)
def ms_ssim(triple: Triple) -> float:
    """Structural similarity at five scales to each source, the two added: Wang's own form with L = 255.

    Four ways to print another number under this name: the tables of Li & Wu and Tang's programs mean the
    multi-scale MEF-SSIM (``li``, ``tang``); some average the sources; some multiply levels by 255 once more;
    ports halve the image with cells shifted by one pixel. A negative mean counts as 0.
    """
    last = len(SCALE_WEIGHTS) - 1
    least = (WANG.size - 1) * 2**last + 1
    if min(triple.fused.shape) < least:
        raise Undefined(f"MS_SSIM needs sides of {least} pixels, the image is {triple.fused.size}")
    products = [1.0, 1.0]
    for scale, power in enumerate(SCALE_WEIGHTS):
        planes = [scaled(image, scale) for image in triple.images]
        for index, value in enumerate(_mean_contrast(planes, brightness=scale == last)):
            products[index] *= max(value, 0.0) ** power
    return math.fsum(products)


UQI_SIDE = 8


def _mean_uqi(first: Levels, second: Levels) -> float:
    """Return the mean of Wang & Bovik's index over all whole windows; sums of whole numbers are exact."""
    pixels = UQI_SIDE**2
    total = 0.0
    count = 0
    for rows in bands(first.shape[0], UQI_SIDE):
        one, two = first[rows], second[rows]
        sum_one, sum_two = box_sums(one, UQI_SIDE), box_sums(two, UQI_SIDE)
        product = sum_one * sum_two
        squares = sum_one * sum_one + sum_two * sum_two
        spread = pixels * (box_sums(multiply(one, one), UQI_SIDE) + box_sums(multiply(two, two), UQI_SIDE))
        spread -= squares
        index = 4 * (pixels * box_sums(multiply(one, two), UQI_SIDE) - product) * product
        with np.errstate(divide="ignore", invalid="ignore"):
            index /= spread * squares
            flat = spread == 0
            index[flat] = 2 * product[flat] / squares[flat]
        index[squares == 0] = 1
        total += float(index.sum())
        count += index.size
    return total / count


@metric(
    "UQI",
    higher_is_better=True,
    range=(-2.0, 2.0),
    needs="sources",
    source="Wang & Bovik, IEEE Signal Processing Letters 9(3), 2002",
)
def uqi(triple: Triple) -> float:
    """Universal quality index to each source, the two added: SSIM's forerunner, without constants.

    Flat windows of 8x8 pixels at every position; where both are flat, brightness alone counts. A common
    library (sewar) takes window means for sums and prints values far too high; averages of the two sources
    are half of ours.
    """
    if min(triple.fused.shape) < UQI_SIDE:
        raise Undefined(f"UQI needs sides of {UQI_SIDE} pixels, the image is {triple.fused.size}")
    return sum(_mean_uqi(pair.first.levels, pair.second.levels) for pair in triple.pairs)
