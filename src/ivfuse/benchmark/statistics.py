"""Statistics of paired measurements: spread, intervals, ranks and tests that assume no distribution.

Written for up to some thousand images and some dozen methods; NumPy alone is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

EXACT_UP_TO = 50  # pairs whose signed-rank distribution is counted out; beyond, the normal approximation
RESAMPLES = 2000


@dataclass(frozen=True)
class Spread:
    """How values lie.

    Attributes:
        count: finite values; all others follow from these.
        mean: NaN without values.
        sd: of a sample (divided by count - 1); NaN below two values.
        low, high: 95 % bootstrap interval of the mean; NaN below two values.
        items: the sum of the weights; 0 where all values weigh alike.
    """

    count: int
    mean: float
    sd: float
    low: float
    high: float
    items: int = 0


@dataclass(frozen=True)
class SignedRank:
    """A Wilcoxon signed-rank test, two-sided.

    Attributes:
        p: probability of a statistic as extreme if neither is better; 1 without any difference.
        count: pairs that differ, which alone count.
        statistic: the smaller sum of ranks.
        exact: whether p was counted out.
    """

    p: float
    count: int
    statistic: float
    exact: bool


@dataclass(frozen=True)
class Friedman:
    """A Friedman test with the critical difference of Nemenyi.

    Attributes:
        ranks: method -> mean rank over the blocks, 1 = best; ties share the mean of their ranks.
        blocks: how many blocks were ranked.
        statistic: chi-squared, corrected for ties.
        p: probability of a statistic as large if all methods are alike.
        difference: mean ranks that lie further apart differ at the level 0.05; NaN below two methods.
    """

    ranks: dict[str, float]
    blocks: int
    statistic: float
    p: float
    difference: float


def spread(values: Sequence[float] | Values, seed: int = 0, weights: Values | None = None) -> Spread:
    """Describe values; those that are not finite are left out.

    Args:
        values: any number of them.
        seed: of the bootstrap; the same seed and values give the same interval.
        weights: what each value counts, such as the number of targets that it is a share of. The mean is then
            over these, and there is no deviation; the bootstrap draws whole images still.
    """
    found = np.asarray(values, np.float64)
    finite = np.isfinite(found)
    if weights is not None:
        return _weighted(found[finite & (weights > 0)], weights[finite & (weights > 0)], seed)
    found = found[finite]
    if not found.size:
        return Spread(0, math.nan, math.nan, math.nan, math.nan)
    low, high = bootstrap_mean(found, seed)
    sd = float(found.std(ddof=1)) if found.size > 1 else math.nan
    return Spread(int(found.size), float(found.mean()), sd, low, high)


def _weighted(values: Values, weights: Values, seed: int) -> Spread:
    if not values.size:
        return Spread(0, math.nan, math.nan, math.nan, math.nan)
    low, high = bootstrap_mean(values, seed, weights=weights)
    mean = float(np.average(values, weights=weights))
    return Spread(int(values.size), mean, math.nan, low, high, round(float(weights.sum())))


def bootstrap_mean(
    values: Values, seed: int = 0, level: float = 0.95, weights: Values | None = None
) -> tuple[float, float]:
    """Percentile interval of the mean over resamples of the images.

    Args:
        values: finite values, one per image.
        seed: of the generator.
        level: how often the interval should hold the mean.
        weights: positive, one per value; all alike if not given.

    Returns:
        Its ends; NaN below two values.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if values.size < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, values.size, size=(RESAMPLES, values.size))
    tail = 50 * (1 - level)
    means = values[drawn].mean(axis=1)
    if weights is not None:
        means = (values * weights)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    low, high = np.percentile(means, (tail, 100 - tail))
    return float(low), float(high)


def wilcoxon(first: Sequence[float] | Values, second: Sequence[float] | Values) -> SignedRank:
    """Test whether one of two methods is better on the same images.

    Pairs without a difference, or with a value that is not finite, are left out; equal differences share the
    mean of their ranks. Up to 50 pairs the distribution is counted out, ties included; beyond, it is taken as
    normal, with corrections for ties and continuity.

    Args:
        first, second: values of the same images in the same order.

    Source: Wilcoxon, Biometrics Bulletin 1(6), 1945, 80-83.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference) & (difference != 0)]
    count = int(difference.size)
    if not count:
        return SignedRank(1.0, 0, 0.0, True)
    ranks = tied_ranks(np.abs(difference))
    above = float(ranks[difference > 0].sum())
    statistic = min(above, float(ranks.sum()) - above)
    exact = count <= EXACT_UP_TO
    p = _counted(ranks, statistic) if exact else _normal(ranks, statistic)
    return SignedRank(min(1.0, p), count, statistic, exact)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Correct the p-values of several tests so that one false finding among all stays as unlikely as in one.

    Source: Holm, Scandinavian Journal of Statistics 6(2), 1979, 65-70.
    """
    corrected: dict[str, float] = {}
    largest = 0.0
    for index, name in enumerate(sorted(ps, key=lambda each: ps[each])):
        largest = max(largest, min(1.0, (len(ps) - index) * ps[name]))
        corrected[name] = largest
    return {name: corrected[name] for name in ps}


def tied_ranks(values: Values) -> Values:
    """Ranks from 1 for the smallest; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = ((2 * last - counts + 1) / 2)[inverse]
    return ranks


def friedman(names: Sequence[str], goodness: Values) -> Friedman:
    """Test whether methods differ over blocks, such as images.

    Args:
        names: the methods.
        goodness: (blocks, methods), greater is better; NaN counts as worse than any number.

    Source: Demsar, Journal of Machine Learning Research 7, 2006, 1-30, section 3.2.2; the correction for ties
        is that of Conover, Practical Nonparametric Statistics, 1999, section 5.8.
    """
    blocks, methods = goodness.shape
    if not blocks or methods < 2:
        return Friedman(dict.fromkeys(names, 1.0 if blocks else math.nan), blocks, 0.0, 1.0, math.nan)
    worst_last = np.where(np.isnan(goodness), -np.inf, goodness)
    ranks = np.stack([tied_ranks(-row) for row in worst_last])
    spare = float((ranks**2).sum()) - blocks * methods * (methods + 1) ** 2 / 4
    apart = float(((ranks.sum(axis=0) - blocks * (methods + 1) / 2) ** 2).sum())
    statistic = (methods - 1) * apart / spare if spare > 0 else 0.0
    means = {name: float(mean) for name, mean in zip(names, ranks.mean(axis=0), strict=True)}
    p = chi_squared_tail(statistic, methods - 1)
    return Friedman(means, blocks, statistic, p, critical_difference(methods, blocks))


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """How far mean ranks must lie apart to differ, by Nemenyi's test.

    Source: Demsar 2006, section 3.2.2; the critical value is computed, not read from a table.
    """
    return (
        studentised_range(methods, alpha) / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * blocks))
    )


@lru_cache
def studentised_range(groups: int, alpha: float) -> float:
    """Value that the range of ``groups`` standard normal numbers exceeds with probability ``alpha``."""
    step = 0.005
    z = np.arange(-9, 9 + step, step)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    def tail(reach: float) -> float:
        inside = _normal_below(z + reach) - _normal_below(z)
        return 1 - groups * float((density * inside ** (groups - 1)).sum()) * step

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > alpha else (low, middle)
    return (low + high) / 2


def chi_squared_tail(x: float, degrees: int) -> float:
    """Probability that a chi-squared number of so many degrees of freedom is above ``x``."""
    if x <= 0:
        return 1.0
    half = x / 2
    total = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    power = 0.5 if degrees % 2 else 1.0
    while power < degrees / 2:
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
        power += 1
    return min(1.0, total)


def _counted(ranks: Values, statistic: float) -> float:
    """Two-sided p from the number of sign patterns; ranks are doubled so that shared ones are whole."""
    doubled = np.rint(2 * ranks).astype(int)
    ways = np.zeros(int(doubled.sum()) + 1)
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] = (ways[rank:] + ways[: ways.size - rank]) / 2
        ways[:rank] /= 2
    return 2 * float(ways[: round(2 * statistic) + 1].sum())


def _normal(ranks: Values, statistic: float) -> float:
    """Two-sided p by the normal approximation; the sum of squared ranks takes care of ties."""
    sd = math.sqrt(float((ranks**2).sum()) / 4)
    distance = max(0.0, float(ranks.sum()) / 2 - statistic - 0.5)
    return math.erfc(distance / sd / math.sqrt(2))


def _normal_below(x: Values) -> Values:
    return np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in x])
