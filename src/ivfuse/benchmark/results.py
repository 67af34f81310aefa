"""Results of a run, arranged for tables and plots: values per image, costs, and ranks of the methods."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ivfuse.benchmark import statistics
from ivfuse.benchmark.columns import Columns, CostColumns, RecordColumns
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.published import Quote, quotes_for
from ivfuse.benchmark.run import Outcome, Problem
from ivfuse.benchmark.seeing import SeeingTable, seeing_table
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
        pairs: names of the pairs, scored or not; a sample of them for a run on a cluster.
        values: method -> metric -> (pairs,) values; NaN where a value is missing.
        failed: method -> number of images without any score.
        reasons: method -> metric -> reasons for undefined values of scored images, with their counts.
        total: number of all pairs, which can be more than are named.
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
    total: int
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
    """Compute all statistics of a run on this machine.

    Args:
        plan: what was asked for.
        outcome: the result of :func:`ivfuse.benchmark.run.run`.
    """
    return reduce(plan, RecordColumns(plan, outcome), outcome.problems)


def reduce(
    plan: Plan,
    columns: Columns,
    problems: Sequence[Problem],
    shown: Mapping[str, Sequence[int]] | None = None,
) -> Results:
    """Compute all statistics of a run from its numbers.

    Args:
        plan: what was asked for; its sets hold the pairs that the report shows.
        columns: the numbers of all pairs.
        problems: images without scores.
        shown: data set -> positions of the pairs of the plan among all pairs, if these are a sample.
    """
    leaderboards = tuple(
        _leaderboard(plan, columns, index, convention)
        for index in range(len(plan.sets))
        for convention in plan.conventions
    )
    names = [entry.name for entry in plan.entries]
    primary = [board for board in leaderboards if board.convention == plan.conventions[0]]
    overall = {name: float(np.mean([board.mean_rank[name] for board in primary])) for name in names}
    failed = {name: sum(board.failed[name] for board in primary) for name in names}
    costs = {name: _cost(columns.costs(name)) for name in names}
    pairs = sum(board.total for board in primary)
    seeing = tuple(seeing_table(plan, columns, index) for index in range(len(plan.sets)))
    if shown is not None:
        tables = [
            *((board.data, board.values) for board in leaderboards),
            *((t.data, t.values) for t in seeing),
        ]
        for data, rows in tables:
            for row in rows.values():
                row.update({name: values[list(shown[data])] for name, values in row.items()})
    return Results(plan, leaderboards, costs, tuple(problems), overall, failed, pairs, seeing)


def _leaderboard(plan: Plan, columns: Columns, index: int, convention: str) -> Leaderboard:
    data = plan.sets[index]
    names = tuple(pair.name for pair in data.pairs)
    board = Leaderboard(data.name, convention, names, {}, {}, {}, columns.total(data.name))
    for entry in plan.entries:
        found = columns.scores(data.name, entry.name, convention)
        board.values[entry.name] = {name: found.values[name] for name in plan.metrics}
        board.summaries[entry.name] = {
            name: statistics.summarize(values, plan.seed, found.weights.get(name))
            for name, values in board.values[entry.name].items()
        }
        board.reasons[entry.name] = {name: found.reasons[name] for name in plan.metrics}
        board.failed[entry.name] = found.failed
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
        ranks.append(statistics.ranks_within(worst_last))
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


def _cost(columns: CostColumns) -> Cost:
    if not columns.wall.size:
        return Cost(0, *[math.nan] * 5)
    wall, cpu, size = (float(np.median(each)) for each in (columns.wall, columns.cpu, columns.megapixels))
    peak = float(columns.peak.max()) or math.nan
    return Cost(columns.wall.size, wall, cpu, float(columns.wall.max()), peak, size)
