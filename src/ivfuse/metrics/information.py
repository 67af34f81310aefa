"""Metrics of information: entropy, and what the fused picture tells about its sources."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import Pair, Picture, Triple, shared


def _entropy(counts: NDArray[np.intp]) -> float:
    """Return the entropy of a histogram in bits: log2 N - sum(c log2 c) / N, which needs no empty bins."""
    filled = counts[counts > 0].astype(np.float64)
    total = filled.sum()
    return float(np.log2(total) - np.dot(filled, np.log2(filled)) / total)


@shared
def histogram(picture: Picture) -> NDArray[np.intp]:
    """Count the pixels of each level: 256 bins."""
    return np.bincount(picture.levels.ravel(), minlength=256)


@shared
def entropy(picture: Picture) -> float:
    """Return the entropy of the levels in bits."""
    return _entropy(histogram(picture))


@shared
def joint_histogram(pair: Pair) -> NDArray[np.intp]:
    """Count the pixels of each pair of levels: (256, 256), rows are the first picture's levels."""
    first, second = pair.first.levels.ravel(), pair.second.levels.ravel()
    counts = np.zeros(65536, np.intp)
    for start in range(0, first.size, 131072):
        part = slice(start, start + 131072)
        codes = first[part].astype(np.intp)
        codes <<= 8
        codes |= second[part]
        counts += np.bincount(codes, minlength=65536)
    return counts.reshape(256, 256)


@shared
def joint_entropy(pair: Pair) -> float:
    """Return the entropy of the pairs of levels in bits."""
    return _entropy(joint_histogram(pair))


@shared
def mutual_information(pair: Pair) -> float:
    """Return what one picture tells about the other, in bits."""
    return max(entropy(pair.first) + entropy(pair.second) - joint_entropy(pair), 0.0)


@metric(
    "EN",
    higher_is_better=True,
    range=(0.0, 8.0),
    needs="fused",
    source="Roberts, van Aardt & Ahmed, J. Applied Remote Sensing 2, 2008",
)
def en(triple: Triple) -> float:
    """Entropy of the fused picture's histogram (256 levels), in bits.

    All common programs agree. It rewards noise as much as detail.
    """
    return entropy(triple.fused)


@metric(
    "MI",
    higher_is_better=True,
    range=(0.0, 16.0),
    needs="sources",
    source="Qu, Zhang & Yan, Electronics Letters 38(7), 2002",
)
def mi(triple: Triple) -> float:
    """Mutual information of the fused picture with each source, the two added, in bits.

    Published numbers differ by the unit (bits or nats), by a saturation of the levels 254 and 255 in one
    widely copied program, and one family prints twice the entropy under this name; see the conventions.
    """
    return sum(mutual_information(pair) for pair in triple.pairs)


def mi_nats(triple: Triple) -> float:
    """Mutual information in natural units: bits times ln 2."""
    return mi(triple) * math.log(2)


def mi_saturated(triple: Triple) -> float:
    """Mutual information whose joint histogram counts the levels 254 and 255 as one.

    The program adds one to 8-bit levels before it uses them as an index, and 255 + 1 saturates. The entropies
    of the single pictures are right, so the result is too large where 255 is frequent.
    """

    def merged(pair: Pair) -> float:
        counts = joint_histogram(pair).copy()
        counts[254] += counts[255]
        counts[255] = 0
        counts[:, 254] += counts[:, 255]
        counts[:, 255] = 0
        return entropy(pair.first) + entropy(pair.second) - _entropy(counts)

    return sum(merged(pair) for pair in triple.pairs)


def mi_twice_entropy(triple: Triple) -> float:
    """Twice the entropy of the fused picture, whatever the sources are.

    The program takes whole rows as symbols and both joint entropies come out as zero.
    """
    return 2 * entropy(triple.fused)
