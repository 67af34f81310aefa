"""Statistics against values worked out by hand or printed in textbooks and tables."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from ivfuse.benchmark import statistics

# Differences of Darwin's cross- and self-fertilised maize, in eighths of an inch (Fisher 1935).
MAIZE = (6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75)


def test_wilcoxon_on_darwins_maize() -> None:
    test = statistics.wilcoxon(MAIZE, np.zeros(15))
    assert (test.statistic, test.count, test.exact) == (24, 15, True)
    assert test.p == pytest.approx(0.041259765625, abs=1e-12)  # the value that statistics packages print


def test_wilcoxon_counts_ties_as_all_sign_patterns_do() -> None:
    differences = np.array([1.0, 1, -1, 2, 2, 3, -3])
    ranks = statistics.tied_ranks(np.abs(differences))
    statistic = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    patterns = [
        sum(r for r, up in zip(ranks, signs, strict=True) if up) for signs in product((0, 1), repeat=7)
    ]
    expected = 2 * sum(total <= statistic for total in patterns) / 2**7
    assert statistics.wilcoxon(differences, np.zeros(7)).p == pytest.approx(expected)


def test_wilcoxon_has_no_opinion_without_differences() -> None:
    assert statistics.wilcoxon([1, 2, math.nan], [1, 2, 3]).p == 1
    assert statistics.wilcoxon([1, 2, math.nan], [1, 2, 3]).count == 0


def test_five_images_cannot_give_less_than_a_sixteenth() -> None:
    assert statistics.wilcoxon(range(2, 7), np.ones(5)).p == pytest.approx(1 / 16)


def test_the_normal_approximation_continues_the_counted_values(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(0.25, 1, 40)
    exact = statistics.wilcoxon(values, np.zeros(40))
    monkeypatch.setattr(statistics, "EXACT_UP_TO", 0)
    near = statistics.wilcoxon(values, np.zeros(40))
    assert exact.exact
    assert not near.exact
    assert near.p == pytest.approx(exact.p, abs=0.003)  # the error of the approximation at 40 pairs


def test_the_normal_approximation_corrects_for_continuity() -> None:
    differences = np.arange(1, 61) * np.where(np.arange(60) < 20, -1.0, 1.0)
    smaller_sum, mean, variance = 20 * 21 / 2, 60 * 61 / 4, 60 * 61 * 121 / 24
    z = (mean - smaller_sum - 0.5) / math.sqrt(variance)
    found = statistics.wilcoxon(differences, np.zeros(60))
    assert not found.exact
    assert found.p == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-9)


def test_holm_by_hand() -> None:
    assert statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )


def test_tied_values_share_their_ranks() -> None:
    assert statistics.tied_ranks(np.array([3.0, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]


@pytest.mark.parametrize(
    ("groups", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (8, 3.031), (10, 3.164)]
)
def test_critical_values_are_those_of_demsars_table(groups: int, q: float) -> None:
    assert statistics.studentized_range(groups, 0.05) / math.sqrt(2) == pytest.approx(
        q, abs=1e-3
    )  # the table cuts off digits


def test_critical_difference_of_demsars_example() -> None:
    assert statistics.critical_difference(4, 14) == pytest.approx(
        1.25, abs=0.005
    )  # Demsar 2006, section 3.2.4


@pytest.mark.parametrize(
    ("x", "degrees", "tail"),
    [(3.841, 1, 0.05), (5.991, 2, 0.05), (7.815, 3, 0.05), (13.277, 4, 0.01), (18.307, 10, 0.05)],
)
def test_chi_squared_tails_are_those_of_the_tables(x: float, degrees: int, tail: float) -> None:
    assert statistics.chi_squared_tail(x, degrees) == pytest.approx(tail, abs=2e-5)


def test_friedman_by_hand() -> None:
    goodness = np.array([[3.0, 2, 1], [3, 1, 2], [3, 2, 1], [3, 2, 1]])
    test = statistics.friedman(["a", "b", "c"], goodness)
    assert test.ranks == {"a": 1, "b": 2.25, "c": 2.75}
    # 12 / (4 * 3 * 4) * (4^2 + 9^2 + 11^2) - 3 * 4 * 4
    assert test.statistic == pytest.approx(6.5)
    assert test.p == pytest.approx(math.exp(-3.25))


def test_a_missing_value_ranks_last() -> None:
    test = statistics.friedman(["a", "b"], np.array([[math.nan, 1.0], [math.nan, 2]]))
    assert test.ranks == {"a": 2, "b": 1}


def test_the_bootstrap_is_repeatable_and_near_the_textbook_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)
    low, high = statistics.bootstrap_mean(values, seed=3)
    assert (low, high) == statistics.bootstrap_mean(values, seed=3)
    assert (low, high) != statistics.bootstrap_mean(values, seed=4)
    half = 1.96 * values.std() / math.sqrt(200)
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)


def test_a_spread_counts_what_it_describes() -> None:
    spread = statistics.summarize([1.0, math.nan, 3.0])
    assert (spread.count, spread.mean) == (2, 2)
    assert spread.sd == pytest.approx(math.sqrt(2))
    assert statistics.summarize([math.nan]).count == 0
    assert math.isnan(statistics.summarize([4.0]).sd)
