"""Metrics of plain statistics: contrast, spatial frequency, correlation with the sources."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ivfuse.metrics.filters import multiply
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import Pair, Picture, Triple, shared


@shared
def total(picture: Picture) -> int:
    """Return the sum of all levels."""
    return int(picture.levels.sum(dtype=np.int64))


@shared
def variance(picture: Picture) -> float:
    """Return the population variance."""
    return covariance(Pair(picture, picture))


@shared
def covariance(pair: Pair) -> float:
    """Return the population covariance of two pictures; the sums are whole numbers, so nothing cancels."""
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
    """Standard deviation of the fused picture (population, levels 0..255): its contrast.

    One family of papers prints the root of the SUM of squares of a 0..1 picture under this name, which
    grows with the picture's size; see the convention ``li``.
    """
    return math.sqrt(variance(triple.fused))


def sd_not_averaged(triple: Triple) -> float:
    """Root of the summed squared deviations of the picture scaled to 0..1: SD / 255 * sqrt(H * W)."""
    return sd(triple) / 255 * math.sqrt(triple.fused.pixels)


@shared
def _squared_steps(picture: Picture) -> tuple[float, float]:
    """Return the sums of squared differences between neighbours in a row and in a column."""
    levels = picture.levels
    along_rows = cv2.norm(levels[:, 1:], levels[:, :-1], cv2.NORM_L2SQR)
    return along_rows, cv2.norm(levels[1:], levels[:-1], cv2.NORM_L2SQR)


@metric(
    "SF",
    higher_is_better=True,
    range=(0.0, 255 * math.sqrt(2)),
    needs="fused",
    source="Eskicioglu & Fisher, Signal Processing of Images 43(12), IEEE Trans. Communications, 1995",
)
def sf(triple: Triple) -> float:
    """Spatial frequency: root of the mean squared differences along rows plus those along columns.

    Each mean is over its own number of differences; the convention ``vifb`` divides both by H * W.
    """
    height, width = triple.fused.shape
    if height < 2 or width < 2:
        raise Undefined(f"SF needs 2x2 pixels, the picture is {triple.fused.size}")
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
    """Pearson correlation of the fused picture with each source, the mean of the two."""
    result = 0.0
    for pair in triple.pairs:
        if pair.first.constant or pair.second.constant:
            raise Undefined("CC: a constant picture has no correlation")
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

    Programs that subtract 8-bit pictures without widening them lose the negative differences and print less.
    """
    result = 0.0
    cross = covariance(triple.sources.pair)
    for kept, other in (triple.pairs, triple.pairs[::-1]):
        difference = variance(kept.second) + variance(other.first) - 2 * covariance(other)
        if kept.first.constant or difference == 0:
            raise Undefined("SCD: a source, or the fused picture less a source, is constant")
        result += (covariance(kept) - cross) / math.sqrt(difference * variance(kept.first))
    return max(-2.0, min(2.0, result))
