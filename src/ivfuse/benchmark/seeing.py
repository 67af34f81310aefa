"""What can be seen, set by set: targets and naturalness, measured beside the ranked metrics and not ranked.

Shares of targets are over all targets of a set: an image with ten of them weighs more than one with one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ivfuse.benchmark import statistics
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.run import Outcome
from ivfuse.benchmark.statistics import Summary, Values
from ivfuse.metrics import get_metric


@dataclass(frozen=True)
class SeeingTable:
    """Targets and naturalness of one set.

    Attributes:
        data: its name.
        names: the measures.
        values: method -> measure -> (pairs,) values; NaN where there is none.
        summaries: method -> measure -> how the values lie; of shares, over the targets.
        reasons: measure -> why an image has no value, counted for the method that lacks most.
    """

    data: str
    names: tuple[str, ...]
    values: dict[str, dict[str, Values]]
    summaries: dict[str, dict[str, Summary]]
    reasons: dict[str, Counter[str]]

    def family(self, family: str) -> list[str]:
        """The measures of one family."""
        return [name for name in self.names if get_metric(name).family == family]


def seeing_table(plan: Plan, outcome: Outcome, index: int) -> SeeingTable:
    """Arrange targets and naturalness of the plan's set of that number; the first convention makes gray."""
    data = plan.sets[index]
    values: dict[str, dict[str, Values]] = {}
    summaries: dict[str, dict[str, Summary]] = {}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in plan.seeing}
    for entry in plan.entries:
        records = [outcome.records.get((data.name, entry.name, pair.name)) for pair in data.pairs]
        rows = [record.scores[plan.conventions[0]] if record else None for record in records]
        values[entry.name] = {name: column(rows, name) for name in plan.seeing}
        summaries[entry.name] = {
            name: statistics.summarize(column, plan.seed, weights(rows, name))
            for name, column in values[entry.name].items()
        }
        for name in plan.seeing:
            found = Counter(row["reasons"][name] for row in rows if row and name in row["reasons"])
            reasons[name] = max(reasons[name], found, key=Counter.total)
    return SeeingTable(data.name, plan.seeing, values, summaries, reasons)


def column(rows: Sequence[Mapping[str, Any] | None], name: str) -> Values:
    """Return the values of a metric in scores as the store keeps them; NaN where there is none."""
    found = (row["values"].get(name) if row else None for row in rows)
    return np.array([math.nan if value is None else value for value in found], np.float64)


def weights(rows: Sequence[Mapping[str, Any] | None], name: str) -> Values | None:
    """Return how many targets each value is a share of; ``None`` if the metric is no share."""
    if get_metric(name).count is None:
        return None
    return np.array([row.get("counts", {}).get(name, 0) if row else 0 for row in rows], np.float64)
