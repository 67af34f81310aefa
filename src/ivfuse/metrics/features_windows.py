"""Mutual information of two feature maps window by window: the measure inside FMI, for all windows at once.

The 3x3 values of a window, brought to 0..1 and divided by their sum, are read as probabilities of the nine
positions. Their joint distribution is a mix of independence and of the Frechet bound (the greatest or least
joint distribution with these margins), in the ratio of their correlation to that of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.metrics.filters import bands
from ivfuse.metrics.triple import Gray

SIDE = 3
POSITIONS = SIDE * SIDE
AT_A_TIME = 6144  # windows that are worked on together, so that their tables stay in the cache
TINY = 1e-300

_MEAN_AND_SQUARE = np.arange(1.0, POSITIONS + 1) ** np.array([[1], [2]])


@dataclass(frozen=True, eq=False)
class Margins:
    """The windows of some rows of a map as distributions over the positions; n windows.

    Attributes:
        raw: (9, n) values as they are, positions in columns from the left, each from the top.
        parts: (9, n) probabilities.
        before: (9, n) the sum of the probabilities of all positions before each.
        entropy: (n,) in nats.
        mean: (n,) mean position, 1..9.
        deviation: (n,) standard deviation of the position.
        energy: (n,) the sum of squared differences of the probabilities from 1/9, exactly 0 in a window of
            equal values.
    """

    raw: Gray
    parts: Gray
    before: Gray
    entropy: Gray
    mean: Gray
    deviation: Gray
    energy: Gray


def _sum_xlogx(values: Gray, magnitudes: Gray) -> Gray:
    """Return the sum of x ln|x| over the rows, 0 at 0, given the values and |x|."""
    logarithms = np.maximum(magnitudes, TINY)
    cv2.log(logarithms, logarithms)  # as exact as numpy's, in half the time
    result: Gray = np.einsum("ij,ij->j", values, logarithms)
    return result


def windows(values: Gray) -> Gray:
    """Return the 3x3 windows of a map as columns, positions ordered by column: (9, n)."""
    height, width = (side - SIDE + 1 for side in values.shape)
    parts = [values[row : row + height, col : col + width] for col in range(SIDE) for row in range(SIDE)]
    return np.stack(parts).reshape(POSITIONS, height * width)


def _sums_before(parts: Gray) -> Gray:
    """Return the sum of the rows before each row."""
    before = np.empty_like(parts)
    before[0] = 0
    for place in range(1, POSITIONS):
        np.add(before[place - 1], parts[place - 1], out=before[place])
    return before


def margins(raw: Gray) -> Margins:
    """Return the distributions of windows given as columns."""
    least = raw.min(axis=0)
    flat = raw.max(axis=0) == least
    parts = raw - least
    parts += flat  # 0 so far
    parts /= parts.sum(axis=0)  # not times its reciprocal: a window of one peak must be exactly 1 there
    mean, squares = _MEAN_AND_SQUARE @ parts
    squares -= mean * mean
    deviation = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
    energy = np.einsum("ij,ij->j", parts, parts)
    energy -= 1 / POSITIONS
    energy[flat] = 0
    entropy = -_sum_xlogx(parts, parts)
    return Margins(raw, parts, _sums_before(parts), entropy, mean, deviation, energy)


def _correlation(first: Margins, second: Margins) -> Gray:
    """Return the correlation of the probabilities over the positions; 0 where a window is flat."""
    product: Gray = np.einsum("ij,ij->j", first.parts, second.parts)
    product -= 1 / POSITIONS
    energy = np.sqrt(first.energy * second.energy)
    flat = energy == 0
    product[flat] = 0
    energy[flat] = 1
    product /= energy
    return product


def _staircase(first: Margins, parts: Gray, before: Gray) -> tuple[Gray, Gray, Gray]:
    """Walk along the greatest joint distribution of two margins: a path of 17 cells from corner to corner.

    A cell of the path ends where a running sum of either margin is passed: eight end with a position of the
    first, eight with one of the other, and the last with both. Comparing the sums tells where the other
    margin is at that point.

    Args:
        first: one margin.
        parts: (9, n) probabilities of the other.
        before: (9, n) their running sums.

    Returns:
        For the cells of the path, (17, n): probability, and product of the margins; and the sum over all
        pairs of running sums of the lesser one, (n,), which is the mean product of the positions counted from
        the last.
    """
    count = parts.shape[1]
    inner = POSITIONS - 1
    above = (first.before[1:, None] > before[1:]).view(np.int8)
    passed, left = above.sum(axis=1, dtype=np.int8), above.sum(axis=0, dtype=np.int8)
    probability, product = np.empty((2 * inner + 1, count)), np.empty((2 * inner + 1, count))
    sides = (first.parts, first.before, parts, before), (parts, before, first.parts, first.before)
    for cells, at, (own, start, other, start_other) in zip(
        (np.s_[:inner], np.s_[inner:-1]), (passed, inner - left), sides, strict=True
    ):
        place = np.multiply(at, count, dtype=np.intp)
        place += np.arange(count)
        np.multiply(own[:-1], other.ravel().take(place), out=product[cells])
        begin = start_other.ravel().take(place)
        np.maximum(begin, start[:-1], out=begin)
        np.subtract(start[1:], begin, out=probability[cells])
    np.multiply(first.parts[-1], parts[-1], out=product[-1])
    np.subtract(1, np.maximum(first.before[-1], before[-1]), out=probability[-1])
    lesser = np.einsum("ij,ij->j", first.before[1:], (inner - passed).astype(np.float64))
    lesser += np.einsum("ij,ij->j", before[1:], left.astype(np.float64))
    return probability, product, lesser


def shared_information(source: Margins, fused: Margins) -> Gray:
    """Return twice the mutual information of each pair of windows over the sum of their entropies, (n,).

    Two flat windows share all.
    """
    correlation = _correlation(source, fused)
    opposed = correlation < 0  # then the least joint distribution: the greatest of the second read backwards
    parts = np.where(opposed, fused.parts[::-1], fused.parts)
    mean = np.where(opposed, POSITIONS + 1 - fused.mean, fused.mean)
    bound, product, covariance = _staircase(source, parts, _sums_before(parts))
    covariance -= (POSITIONS - source.mean) * (POSITIONS - mean)
    mix = np.abs(correlation, out=correlation)
    mix *= source.deviation
    mix *= fused.deviation
    covariance[(covariance <= 0) | (mix <= 0)] = np.inf
    mix /= covariance
    # Each cell of the path holds free * (product + bound * mix / free), all others free * product.
    free = 1 - mix
    free[free == 0] = np.finfo(np.float64).eps
    entropies = source.entropy + fused.entropy
    joint = entropies + _sum_xlogx(product, product)
    bound *= mix / free
    bound += product
    joint -= _sum_xlogx(bound, np.abs(bound, out=product))
    joint *= free
    joint -= np.log(np.abs(free))
    result = entropies - joint
    result *= 2
    np.divide(result, entropies, out=result, where=entropies > 0)
    result[(source.energy == 0) & (fused.energy == 0)] = 1
    return result


def sum_shared(maps: tuple[Gray, ...]) -> float:
    """Return the sum of the information that windows of sources share with those of the fused image.

    Equal windows share all.

    Args:
        maps: (H, W) features of each source and, last, of the fused image; H, W >= 3, contiguous.
    """
    *sources, fused = maps
    total = 0.0
    for rows in bands(fused.shape[0], SIDE, max(AT_A_TIME // fused.shape[1], 1)):
        pattern = margins(windows(fused[rows]))
        for source in sources:
            other = margins(windows(source[rows]))
            found = shared_information(other, pattern)
            found[(other.raw == pattern.raw).all(axis=0)] = 1
            total += float(found.sum())
    return total
