"""Results of a run, arranged for tables and plots: values per image, costs, and ranks of the methods."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ivfuse.benchmark import statistics
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.published import Quote, quotes_for
from ivfuse.benchmark.run import Outcome, Problem
from ivfuse.benchmark.seeing import SeeingTable, column, seeing_table, weights
from ivfuse.benchmark.statistics import Friedman, SignedRank, Summary, Values
from ivfuse.metrics import get_metric, mean_ranks


@dataclass(frozen=True)
class Cost:
    """Cost of a method per image.

    Attributes:
        images: number of timed images.
        wall, cpu: median time of the fusion alone, in seconds; NaN for external results, which are not timed.
        slowest: largest wall time, in seconds.
        peak: peak resident memory of the process in MiB, Python and libraries included; NaN if unknown.
        megapixels: median image size.
    """

    images: int
    wall: float
    cpu: float
    slowest: float
    peak: float
    megapixels: float


@dataclass
class Leaderboard:
    """Results on one data set under one convention.

    Attributes:
        data, convention: names of both.
        pairs: names of all pairs, scored or not.
        values: method -> metric -> (pairs,) values; NaN where a value is missing.
        failed: method -> number of images without any score.
        reasons: method -> metric -> reasons for undefined values of scored images, with their counts.
        summaries: method -> metric -> summary statistics.
        mean_rank: method -> rank by the means, averaged over the metrics.
        image_rank: Friedman test on the ranks within each image; a missing value ranks last.
        by_metric: metric -> Friedman test on that metric alone.
        tests: metric -> method -> test against the best method of that metric, with Holm's correction.
        best: metric -> methods by their means, best first; methods with failures last.
        quotes: published rows.
    """

    data: str
    convention: str
    pairs: tuple[str, ...]
    values: dict[str, dict[str, Values]]
    failed: dict[str, int]
    reasons: dict[str, dict[str, Counter[str]]]
    summaries: dict[str, dict[str, Summary]] = field(default_factory=dict)
    mean_rank: dict[str, float] = field(default_factory=dict)
    image_rank: Friedman = field(default_factory=lambda: Friedman({}, 0, 0.0, 1.0, math.nan))
    by_metric: dict[str, Friedman] = field(default_factory=dict)
    tests: dict[str, dict[str, SignedRank]] = field(default_factory=dict)
    best: dict[str, list[str]] = field(default_factory=dict)
    quotes: list[Quote] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """All methods by mean rank, best first; methods with failures last."""
        return sorted(self.values, key=lambda each: (self.failed[each] > 0, self.mean_rank[each]))


@dataclass(frozen=True)
class Results:
    """All results of a benchmark.

    Attributes:
        plan: the plan that was run.
        leaderboards: by data set, then by convention.
        costs: method -> cost over all data sets.
        problems: images without scores.
        overall: method -> mean rank averaged over the data sets, under the first convention.
        failed: method -> number of images without scores, over all data sets.
        pairs: number of pairs of all data sets.
        seeing: targets and naturalness, by data set.
    """

    plan: Plan
    leaderboards: tuple[Leaderboard, ...]
    costs: dict[str, Cost]
    problems: tuple[Problem, ...]
    overall: dict[str, float]
    failed: dict[str, int]
    pairs: int
    seeing: tuple[SeeingTable, ...] = ()

    @property
    def methods(self) -> list[str]:
        """All methods, best first; methods with failures last."""
        return sorted(self.overall, key=lambda each: (self.failed[each] > 0, self.overall[each]))

    def targets_lost(self, method: str) -> float:
        """Share of the targets of all sets that a method loses; NaN where there are none."""
        found = [table.summaries[method].get("targets_lost") for table in self.seeing]
        summaries = [each for each in found if each is not None and each.items]
        total = sum(each.items for each in summaries)
        return sum(each.mean * each.items for each in summaries) / total if total else math.nan

    @property
    def primary(self) -> list[Leaderboard]:
        """The leaderboards of the first convention."""
        return [board for board in self.leaderboards if board.convention == self.plan.conventions[0]]

    def remarks(self) -> list[str]:
        """Remarks on the input files: unmatched and ambiguous ones."""
        lines = []
        for data in self.plan.sets:
            lines += [f"{data.name}: no partner: {path.name}" for path in data.pairing.orphans]
            lines += [f"{data.name}: ambiguous: {line}" for line in data.pairing.ambiguous]
            for entry in self.plan.entries:
                left = (entry.unmatched or {}).get(data.name, ())
                lines += [f"{data.name}: {entry.name}: {line}" for line in left]
        return lines


def collect(plan: Plan, outcome: Outcome) -> Results:
    """Compute all statistics of a run.

    Args:
        plan: what was asked for.
        outcome: the result of :func:`ivfuse.benchmark.run.run`.
    """
    leaderboards = tuple(
        _leaderboard(plan, outcome, index, convention)
        for index in range(len(plan.sets))
        for convention in plan.conventions
    )
    names = [entry.name for entry in plan.entries]
    primary = [board for board in leaderboards if board.convention == plan.conventions[0]]
    overall = {name: float(np.mean([board.mean_rank[name] for board in primary])) for name in names}
    failed = {name: sum(board.failed[name] for board in primary) for name in names}
    costs = {name: _cost(outcome, name) for name in names}
    pairs = sum(len(data.pairs) for data in plan.sets)
    seeing = tuple(seeing_table(plan, outcome, index) for index in range(len(plan.sets)))
    return Results(plan, leaderboards, costs, tuple(outcome.problems), overall, failed, pairs, seeing)


def _leaderboard(plan: Plan, outcome: Outcome, index: int, convention: str) -> Leaderboard:
    data = plan.sets[index]
    board = Leaderboard(data.name, convention, tuple(pair.name for pair in data.pairs), {}, {}, {})
    for entry in plan.entries:
        rows: list[Mapping[str, Any] | None] = []
        reasons: dict[str, Counter[str]] = {name: Counter() for name in plan.metrics}
        failed = 0
        for pair in data.pairs:
            record = outcome.records.get((data.name, entry.name, pair.name))
            rows.append(record.scores[convention] if record else None)
            failed += record is None
            for name, reason in (rows[-1] or {"reasons": {}})["reasons"].items():
                if name in reasons:
                    reasons[name][reason] += 1
        board.values[entry.name] = {name: column(rows, name) for name in plan.metrics}
        board.summaries[entry.name] = {
            name: statistics.summarize(values, plan.seed, weights(rows, name))
            for name, values in board.values[entry.name].items()
        }
        board.failed[entry.name], board.reasons[entry.name] = failed, reasons
    _describe(board, plan)
    board.quotes = quotes_for(data, convention, plan.metrics)
    return board


def _describe(board: Leaderboard, plan: Plan) -> None:
    """Compute ranks, tests and orders from the values."""
    names = list(board.values)
    means = {method: {name: one.mean for name, one in row.items()} for method, row in board.summaries.items()}
    board.mean_rank = mean_ranks(means)
    signs = {name: 1.0 if get_metric(name).higher_is_better else -1.0 for name in plan.metrics}
    ranks = []
    for name, sign in signs.items():
        goodness = np.stack([sign * board.values[method][name] for method in names], axis=1)
        board.by_metric[name] = statistics.friedman(names, goodness)
        worst_last = np.where(np.isnan(goodness), -np.inf, goodness)
        ranks.append([statistics.tied_ranks(-row) for row in worst_last])
        board.best[name] = _order(board, means, name, sign)
        board.tests[name] = _against_best(board, name)
    board.image_rank = statistics.friedman(names, -np.mean(np.array(ranks), axis=0))


def _order(board: Leaderboard, means: Mapping[str, Mapping[str, float]], name: str, sign: float) -> list[str]:
    found = [method for method in board.values if math.isfinite(means[method][name])]
    return sorted(found, key=lambda method: (board.failed[method] > 0, -sign * means[method][name]))


def _against_best(board: Leaderboard, name: str) -> dict[str, SignedRank]:
    """Test each method against the best one on the images that both have."""
    if not board.best[name]:
        return {}
    best = board.values[board.best[name][0]][name]
    tests = {method: statistics.wilcoxon(board.values[method][name], best) for method in board.best[name][1:]}
    corrected = statistics.holm({method: test.p for method, test in tests.items()})
    return {
        method: SignedRank(corrected[method], test.count, test.statistic, test.exact)
        for method, test in tests.items()
    }


def _cost(outcome: Outcome, name: str) -> Cost:
    records = [
        record for (_, method, _), record in outcome.records.items() if method == name and record.wall > 0
    ]
    if not records:
        return Cost(0, *[math.nan] * 5)
    wall, cpu = (float(np.median([getattr(each, what) for each in records])) for what in ("wall", "cpu"))
    size = float(np.median([each.height * each.width / 1e6 for each in records]))
    peak = max(each.peak for each in records) or math.nan
    return Cost(len(records), wall, cpu, max(each.wall for each in records), peak, size)
