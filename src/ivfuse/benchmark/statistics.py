"""Statistics of paired measurements: dispersion, confidence intervals, ranks and nonparametric tests.

Meant for up to millions of images and dozens of methods; needs NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

EXACT_UP_TO = 50  # pairs up to which the signed-rank distribution is exact; above, normal approximation
RESAMPLES = 2000
GROUPS = 20_000  # more values are resampled in so many random groups
_DRAWN_AT_ONCE = 10_000_000  # random numbers in memory


@dataclass(frozen=True)
class Summary:
    """Summary statistics of a sample.

    Attributes:
        count: number of finite values, which all other statistics are of.
        mean: their mean; NaN for none.
        sd: sample standard deviation (divided by count - 1); NaN for fewer than two values.
        low, high: 95 % bootstrap confidence interval of the mean; NaN for fewer than two values.
        items: sum of the weights; 0 if the values are not weighted.
    """

    count: int
    mean: float
    sd: float
    low: float
    high: float
    items: int = 0


@dataclass(frozen=True)
class SignedRank:
    """Result of a two-sided Wilcoxon signed-rank test.

    Attributes:
        p: p-value; 1 if no pair differs.
        count: number of pairs that differ; ties are discarded.
        statistic: the smaller sum of ranks.
        exact: whether p is from the exact distribution rather than the normal approximation.
    """

    p: float
    count: int
    statistic: float
    exact: bool


@dataclass(frozen=True)
class Friedman:
    """Result of a Friedman test, with the critical difference of the Nemenyi post-hoc test.

    Attributes:
        ranks: method -> mean rank over the blocks, 1 = best; ties get their average rank.
        blocks: number of blocks.
        statistic: chi-squared statistic, corrected for ties.
        p: p-value under the null hypothesis that all methods are equivalent.
        difference: critical difference of mean ranks at the level 0.05; NaN for fewer than two methods.
    """

    ranks: dict[str, float]
    blocks: int
    statistic: float
    p: float
    difference: float


def summarize(values: Sequence[float] | Values, seed: int = 0, weights: Values | None = None) -> Summary:
    """Summarize the finite values of a sample.

    Args:
        values: any number of values.
        seed: seed of the bootstrap; the interval is reproducible.
        weights: weight of each value, such as the number of targets that it is a share of. Then the mean is
            weighted and there is no standard deviation; the bootstrap still resamples images.
    """
    found = np.asarray(values, np.float64)
    finite = np.isfinite(found)
    if weights is not None:
        return _weighted(found[finite & (weights > 0)], weights[finite & (weights > 0)], seed)
    found = found[finite]
    if not found.size:
        return Summary(0, math.nan, math.nan, math.nan, math.nan)
    low, high = bootstrap_mean(found, seed)
    sd = float(found.std(ddof=1)) if found.size > 1 else math.nan
    return Summary(int(found.size), float(found.mean()), sd, low, high)


def _weighted(values: Values, weights: Values, seed: int) -> Summary:
    if not values.size:
        return Summary(0, math.nan, math.nan, math.nan, math.nan)
    low, high = bootstrap_mean(values, seed, weights=weights)
    mean = float(np.average(values, weights=weights))
    return Summary(int(values.size), mean, math.nan, low, high, round(float(weights.sum())))


def bootstrap_mean(
    values: Values, seed: int = 0, level: float = 0.95, weights: Values | None = None
) -> tuple[float, float]:
    """Bootstrap confidence interval of the mean, by the percentile method.

    Args:
        values: finite values, one per image.
        seed: seed of the random generator.
        level: confidence level.
        weights: positive weights, one per value; equal by default. More than 20,000 values are resampled in
            20,000 random groups.

    Returns:
        The bounds; NaN for fewer than two values.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if values.size < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    weights = None if weights is None else np.asarray(weights, np.float64)
    if values.size > GROUPS:
        values, weights = _grouped(values, weights, rng)
    means = np.empty(RESAMPLES)
    rows = max(1, _DRAWN_AT_ONCE // values.size)
    for start in range(0, RESAMPLES, rows):
        drawn = rng.integers(0, values.size, size=(min(rows, RESAMPLES - start), values.size))
        if weights is None:
            means[start : start + rows] = values[drawn].mean(axis=1)
        else:
            part = (values * weights)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
            means[start : start + rows] = part
    tail = 50 * (1 - level)
    low, high = np.percentile(means, (tail, 100 - tail))
    return float(low), float(high)


def _grouped(values: Values, weights: Values | None, rng: np.random.Generator) -> tuple[Values, Values]:
    """Replace values by the means of random groups, which have the same distribution of their mean."""
    order = rng.permutation(values.size)
    starts = np.linspace(0, values.size, GROUPS, endpoint=False).astype(np.int64)
    given = np.ones(values.size) if weights is None else weights
    sums = np.add.reduceat((values * given)[order], starts)
    totals = np.add.reduceat(given[order], starts)
    return sums / totals, totals


def wilcoxon(first: Sequence[float] | Values, second: Sequence[float] | Values) -> SignedRank:
    """Test whether two methods differ on the same images.

    Pairs without a difference or with a non-finite value are discarded; tied differences get their average
    rank. Up to 50 pairs the distribution is exact, with ties; above, the normal approximation is used, with
    corrections for ties and continuity.

    Args:
        first, second: values of the same images, in the same order.

    Source: Wilcoxon, Biometrics Bulletin 1(6), 1945, 80-83.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference) & (difference != 0)]
    count = int(difference.size)
    if not count:
        return SignedRank(1.0, 0, 0.0, True)
    ranks = tied_ranks(np.abs(difference))
    positive = float(ranks[difference > 0].sum())
    statistic = min(positive, float(ranks.sum()) - positive)
    exact = count <= EXACT_UP_TO
    p = _exact_p(ranks, statistic) if exact else _approximate_p(ranks, statistic)
    return SignedRank(min(1.0, p), count, statistic, exact)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values for multiple testing, so that the family-wise error rate is controlled.

    Source: Holm, Scandinavian Journal of Statistics 6(2), 1979, 65-70.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for index, name in enumerate(sorted(ps, key=lambda each: ps[each])):
        largest = max(largest, min(1.0, (len(ps) - index) * ps[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in ps}


def tied_ranks(values: Values) -> Values:
    """Ranks from 1 for the smallest value; ties get their average rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Values = ((2 * last - counts + 1) / 2)[inverse]
    return ranks


def ranks_within(goodness: Values) -> Values:
    """Rank the methods within each block, 1 for the greatest value; ties get their average rank.

    Args:
        goodness: (blocks, methods), without NaN.
    """
    ranks = np.empty(goodness.shape)
    for method in range(goodness.shape[1]):
        own = goodness[:, method : method + 1]
        ranks[:, method] = (goodness > own).sum(axis=1) + ((goodness == own).sum(axis=1) + 1) / 2
    return ranks


def friedman(names: Sequence[str], goodness: Values) -> Friedman:
    """Test whether methods differ over blocks, such as images.

    Args:
        names: names of the methods.
        goodness: (blocks, methods), greater is better; NaN ranks below any number.

    Source: Demsar, Journal of Machine Learning Research 7, 2006, 1-30, section 3.2.2; correction for ties
        after Conover, Practical Nonparametric Statistics, 1999, section 5.8.
    """
    blocks, methods = goodness.shape
    if not blocks or methods < 2:
        return Friedman(dict.fromkeys(names, 1.0 if blocks else math.nan), blocks, 0.0, 1.0, math.nan)
    worst_last = np.where(np.isnan(goodness), -np.inf, goodness)
    ranks = ranks_within(worst_last)
    total = float((ranks**2).sum()) - blocks * methods * (methods + 1) ** 2 / 4
    between = float(((ranks.sum(axis=0) - blocks * (methods + 1) / 2) ** 2).sum())
    statistic = (methods - 1) * between / total if total > 0 else 0.0
    means = {name: float(mean) for name, mean in zip(names, ranks.mean(axis=0), strict=True)}
    p = chi_squared_tail(statistic, methods - 1)
    return Friedman(means, blocks, statistic, p, critical_difference(methods, blocks))


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """Critical difference of mean ranks in the Nemenyi test.

    Source: Demsar 2006, section 3.2.2; the critical value is computed, not read from a table.
    """
    return (
        studentized_range(methods, alpha) / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * blocks))
    )


@lru_cache
def studentized_range(groups: int, alpha: float) -> float:
    """Upper ``alpha`` quantile of the studentized range, with infinite degrees of freedom."""
    step = 0.005
    z = np.arange(-9, 9 + step, step)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    def survival(width: float) -> float:
        inside = _normal_cdf(z + width) - _normal_cdf(z)
        return 1 - groups * float((density * inside ** (groups - 1)).sum()) * step

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if survival(middle) > alpha else (low, middle)
    return (low + high) / 2


def chi_squared_tail(x: float, degrees: int) -> float:
    """Survival function of the chi-squared distribution with ``degrees`` degrees of freedom."""
    if x <= 0:
        return 1.0
    half = x / 2
    total = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    power = 0.5 if degrees % 2 else 1.0
    while power < degrees / 2:
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
        power += 1
    return min(1.0, total)


def _exact_p(ranks: Values, statistic: float) -> float:
    """Two-sided p-value over all sign patterns; ranks are doubled so that average ranks are integers."""
    doubled = np.rint(2 * ranks).astype(int)
    probability = np.zeros(int(doubled.sum()) + 1)
    probability[0] = 1.0
    for rank in doubled:
        probability[rank:] = (probability[rank:] + probability[: probability.size - rank]) / 2
        probability[:rank] /= 2
    return 2 * float(probability[: round(2 * statistic) + 1].sum())


def _approximate_p(ranks: Values, statistic: float) -> float:
    """Two-sided p-value by the normal approximation; the sum of squared ranks accounts for ties."""
    sd = math.sqrt(float((ranks**2).sum()) / 4)
    distance = max(0.0, float(ranks.sum()) / 2 - statistic - 0.5)
    return math.erfc(distance / sd / math.sqrt(2))


def _normal_cdf(x: Values) -> Values:
    return np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in x])
