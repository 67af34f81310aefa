"""What can be seen, set by set: targets and naturalness, measured beside the ranked metrics and not ranked.

Shares of targets are over all targets of a set: an image with ten of them weighs more than one with one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ivfuse.benchmark import statistics
from ivfuse.benchmark.columns import Columns
from ivfuse.benchmark.plan import Plan
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


def seeing_table(plan: Plan, columns: Columns, index: int) -> SeeingTable:
    """Arrange targets and naturalness of the plan's set of that number; the first convention makes gray."""
    data = plan.sets[index]
    values: dict[str, dict[str, Values]] = {}
    summaries: dict[str, dict[str, Summary]] = {}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in plan.seeing}
    for entry in plan.entries:
        found = columns.scores(data.name, entry.name, plan.conventions[0])
        values[entry.name] = {name: found.values[name] for name in plan.seeing}
        summaries[entry.name] = {
            name: statistics.summarize(column, plan.seed, found.weights.get(name))
            for name, column in values[entry.name].items()
        }
        for name in plan.seeing:
            reasons[name] = max(reasons[name], found.reasons[name], key=Counter.total)
    return SeeingTable(data.name, plan.seeing, values, summaries, reasons)
