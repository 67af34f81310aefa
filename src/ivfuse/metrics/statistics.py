"""Metrics of plain statistics: contrast, spatial frequency, correlation with the sources."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ivfuse.metrics.filters import multiply
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, ImagePair, Triple, shared


@shared
def total(image: CachedImage) -> int:
    """Return the sum of all levels."""
    return int(image.levels.sum(dtype=np.int64))


@shared
def variance(image: CachedImage) -> float:
    """Return the population variance."""
    return covariance(ImagePair(image, image))


@shared
def covariance(pair: ImagePair) -> float:
    """Return the population covariance of two images; the sums are whole numbers, so nothing cancels."""
    number = pair.first.pixels
    products = int(multiply(pair.first.levels, pair.second.levels).sum(dtype=np.int64))
    return (number * products - total(pair.first) * total(pair.second)) / number**2


@metric(
    "SD",
    higher_is_better=True,
    range=(0.0, 127.5),
    needs="fused",
    source="Rao, Measurement Science and Technology 8(4), 1997",
)
def sd(triple: Triple) -> float:
    """Standard deviation of the fused image (population, levels 0..255): its contrast.

    One family of papers prints the root of the SUM of squares of a 0..1 image under this name, which
    grows with the image's size; see the convention ``li``.
    """
    return math.sqrt(variance(triple.fused))


def sd_not_averaged(triple: Triple) -> float:
    """Root of the summed squared deviations of the image scaled to 0..1: SD / 255 * sqrt(H * W)."""
    return sd(triple) / 255 * math.sqrt(triple.fused.pixels)


@shared
def _squared_steps(image: CachedImage) -> tuple[float, float]:
    """Return the sums of squared differences between neighbors in a row and in a column."""
    levels = image.levels
    along_rows = cv2.norm(levels[:, 1:], levels[:, :-1], cv2.NORM_L2SQR)
    return along_rows, cv2.norm(levels[1:], levels[:-1], cv2.NORM_L2SQR)


@metric(
    "SF",
    higher_is_better=True,
    range=(0.0, 255 * math.sqrt(2)),
    needs="fused",
    source="Eskicioglu & Fisher, IEEE Trans. Communications 43(12), 1995",
)
def sf(triple: Triple) -> float:
    """Spatial frequency: root of the mean squared differences along rows plus those along columns.

    Each mean is over its own number of differences; the convention ``vifb`` divides both by H * W.
    """
    height, width = triple.fused.shape
    if height < 2 or width < 2:
        raise Undefined(f"SF needs 2x2 pixels, the image is {triple.fused.size}")
    rows, columns = _squared_steps(triple.fused)
    return math.sqrt(rows / (height * (width - 1)) + columns / ((height - 1) * width))


def sf_per_pixel(triple: Triple) -> float:
    """Spatial frequency with both sums divided by the number of pixels."""
    sf(triple)
    rows, columns = _squared_steps(triple.fused)
    return math.sqrt((rows + columns) / triple.fused.pixels)


@metric(
    "CC",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source="Shah, Merchant & Desai, Signal, Image and Video Processing 7, 2013",
)
def cc(triple: Triple) -> float:
    """Pearson correlation of the fused image with each source, the mean of the two."""
    result = 0.0
    for pair in triple.pairs:
        if pair.first.constant or pair.second.constant:
            raise Undefined("CC: a constant image has no correlation")
        result += covariance(pair) / math.sqrt(variance(pair.first) * variance(pair.second))
    return max(-1.0, min(1.0, result / 2))


@metric(
    "SCD",
    higher_is_better=True,
    range=(-2.0, 2.0),
    needs="sources",
    source="Aslantas & Bendes, AEU Int. J. Electronics and Communications 69(12), 2015",
)
def scd(triple: Triple) -> float:
    """Sum of the correlations of differences: r(F - VI, IR) + r(F - IR, VI).

    Programs that subtract 8-bit images without widening them lose the negative differences and print less.
    """
    result = 0.0
    cross = covariance(triple.sources.pair)
    for kept, other in (triple.pairs, triple.pairs[::-1]):
        difference = variance(kept.second) + variance(other.first) - 2 * covariance(other)
        if kept.first.constant or difference == 0:
            raise Undefined("SCD: a source, or the fused image less a source, is constant")
        result += (covariance(kept) - cross) / math.sqrt(difference * variance(kept.first))
    return max(-2.0, min(2.0, result))


@shared
def squared_error(pair: ImagePair) -> float:
    """Return the mean squared difference of two images, levels 0..255."""
    return cv2.norm(pair.first.levels, pair.second.levels, cv2.NORM_L2SQR) / pair.first.pixels


@metric(
    "MSE",
    higher_is_better=False,
    range=(0.0, 65025.0),
    needs="sources",
    source="Jagalingam & Hegde, Aquatic Procedia 4, 2015",
)
def mse(triple: Triple) -> float:
    """Mean squared difference of the fused image from each source, the mean of the two, levels 0..255.

    The convention ``tang`` measures images scaled to 0..1: smaller by 255^2. No fused image of two unlike
    sources can reach 0; the least value is that of their average.
    """
    return sum(squared_error(pair) for pair in triple.pairs) / 2


def mse_unit_range(triple: Triple) -> float:
    """Mean squared difference of images scaled to 0..1."""
    return mse(triple) / 255**2


@metric(
    "RMSE",
    higher_is_better=False,
    range=(0.0, 255.0),
    needs="sources",
    source="Jagalingam & Hegde, Aquatic Procedia 4, 2015",
)
def rmse(triple: Triple) -> float:
    """Root of the mean squared difference from each source, the mean of the two roots, levels 0..255.

    VIFB prints the root of the SUM of squares divided by H * W under this name: some hundred times less,
    and dependent on the image's size; see the convention ``vifb``.
    """
    return sum(math.sqrt(squared_error(pair)) for pair in triple.pairs) / 2


def rmse_summed(triple: Triple) -> float:
    """Root of the summed squared differences, divided by H * W: the true RMSE over sqrt(H * W)."""
    return rmse(triple) / math.sqrt(triple.fused.pixels)


def _decibel(ratio: float) -> float:
    """Return 10 log10 of a peak's square over an error; neither may be 0."""
    if ratio <= 0:
        raise Undefined("PSNR: the fused image is black and has no peak")
    return 10 * math.log10(ratio)


def _some_error(error: float) -> float:
    if error == 0:
        raise Undefined("PSNR: the fused image equals both sources, the ratio is infinite")
    return error


@metric(
    "PSNR",
    higher_is_better=True,
    range=(0.0, math.inf),
    needs="sources",
    source="Jagalingam & Hegde, Aquatic Procedia 4, 2015",
)
def psnr(triple: Triple) -> float:
    """Peak signal to noise ratio in dB: 10 log10(255^2 / MSE), MSE being the mean of both sources.

    Tables with values near 60 mix a peak of 255 with an MSE of images 0..1 (``tang``: 48.13 dB too much) or
    use the mistaken RMSE of VIFB (``vifb``); CDDFuse's program takes the fused image's own maximum as peak.
    The mean of the two sources' PSNRs is again another number.
    """
    return _decibel(255**2 / _some_error(mse(triple)))


def psnr_mixed_ranges(triple: Triple) -> float:
    """PSNR with a peak of 255 and an error of images scaled to 0..1: 20 log10 255 = 48.13 dB too much."""
    return psnr(triple) + 20 * math.log10(255)


def psnr_own_peak(triple: Triple) -> float:
    """PSNR whose peak is the fused image's greatest level, not 255."""
    return _decibel(int(triple.fused.levels.max()) ** 2 / _some_error(mse(triple)))


def psnr_summed(triple: Triple) -> float:
    """PSNR in which VIFB's mistaken RMSE stands for the mean squared error."""
    return _decibel(255**2 / _some_error(rmse_summed(triple)))
