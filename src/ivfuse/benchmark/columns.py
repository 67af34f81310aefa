"""The numbers of a run in columns, which statistics are computed from; from records or from Parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.run import Outcome
from ivfuse.benchmark.statistics import Values
from ivfuse.metrics import get_metric


@dataclass(frozen=True)
class ScoreColumns:
    """The scores of one method on one data set under one convention.

    Attributes:
        values: metric -> (pairs,) values, in the order of the pairs; NaN where a value is missing.
        weights: metric -> number of targets that each value is a share of; only for metrics that are shares.
        reasons: metric -> reasons for undefined values of scored images, with their counts.
        failed: number of images without any score.
    """

    values: dict[str, Values]
    weights: dict[str, Values] = field(default_factory=dict)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    failed: int = 0


@dataclass(frozen=True)
class CostColumns:
    """The costs of the timed images of one method: seconds, MiB and megapixels, one value per image."""

    wall: Values
    cpu: Values
    peak: Values
    megapixels: Values


class Columns(Protocol):
    """The numbers of a run."""

    def total(self, data: str) -> int:
        """Number of pairs of a data set."""
        ...

    def scores(self, data: str, method: str, convention: str) -> ScoreColumns:
        """The scores of a method on a data set under a convention."""
        ...

    def costs(self, method: str) -> CostColumns:
        """The costs of a method over all data sets."""
        ...


class RecordColumns:
    """The numbers of a run on this machine, from its records.

    Args:
        plan: what was asked for.
        outcome: the result of :func:`ivfuse.benchmark.run.run`.
    """

    def __init__(self, plan: Plan, outcome: Outcome) -> None:
        """Store both."""
        self.plan, self.outcome = plan, outcome

    def total(self, data: str) -> int:
        """See :class:`Columns`."""
        return len(self._pairs(data))

    def scores(self, data: str, method: str, convention: str) -> ScoreColumns:
        """See :class:`Columns`."""
        records = [self.outcome.records.get((data, method, name)) for name in self._pairs(data)]
        rows = [record.scores[convention] if record else None for record in records]
        names = self.plan.measured(convention)
        return ScoreColumns(
            {name: column(rows, name) for name in names},
            {name: found for name in names if (found := weights(rows, name)) is not None},
            {
                name: Counter(row["reasons"][name] for row in rows if row and name in row["reasons"])
                for name in names
            },
            sum(row is None for row in rows),
        )

    def costs(self, method: str) -> CostColumns:
        """See :class:`Columns`."""
        records = self.outcome.records.items()
        timed = [record for (_, name, _), record in records if name == method and record.wall > 0]
        table = [(each.wall, each.cpu, each.peak, each.height * each.width / 1e6) for each in timed]
        return CostColumns(*np.array(table, np.float64).reshape(-1, 4).T)

    def _pairs(self, data: str) -> list[str]:
        return [pair.name for each in self.plan.sets if each.name == data for pair in each.pairs]


def column(rows: Sequence[Mapping[str, Any] | None], name: str) -> Values:
    """Return the values of a metric in scores as the store keeps them; NaN where there is none."""
    found = (row["values"].get(name) if row else None for row in rows)
    return np.array([math.nan if value is None else value for value in found], np.float64)


def weights(rows: Sequence[Mapping[str, Any] | None], name: str) -> Values | None:
    """Return how many targets each value is a share of; ``None`` if the metric is no share."""
    if get_metric(name).count is None:
        return None
    return np.array([row.get("counts", {}).get(name, 0) if row else 0 for row in rows], np.float64)
