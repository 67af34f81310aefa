"""The numbers of a run on a cluster, from the Parquet rows that it wrote; read by column, not by image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ivfuse.benchmark.columns import CostColumns, ScoreColumns
from ivfuse.benchmark.protocol import SourceSet, digest_of_pairs
from ivfuse.benchmark.run import Problem
from ivfuse.benchmark.statistics import Values
from ivfuse.metrics import get_metric


class ParquetColumns:
    """The numbers of a run, a data set of rows for each set of pairs.

    Rows are grouped by pair, in the order of the plan, with one row per method. A column is
    ``CONVENTION/METRIC``, ``CONVENTION/METRIC#`` for the targets that a share is of, or
    ``CONVENTION/reasons``.

    Args:
        rows: data set -> its rows, as ``pyarrow.dataset.Dataset``.
        metrics: convention -> metrics in the columns.
    """

    def __init__(self, rows: Mapping[str, Any], metrics: Mapping[str, Sequence[str]]) -> None:
        """Store both; nothing is read yet."""
        self.rows, self.metrics = rows, metrics

    def total(self, data: str) -> int:
        """See :class:`ivfuse.benchmark.columns.Columns`."""
        first = self.rows[data].head(1, columns=["method"])["method"][0].as_py()
        return int(self.rows[data].count_rows(filter=_is("method", first)))

    def scores(self, data: str, method: str | None, convention: str) -> ScoreColumns:
        """See :class:`ivfuse.benchmark.columns.Columns`; all rows if no method is named."""
        names = list(self.metrics[convention])
        shares = [name for name in names if get_metric(name).count]
        keys = [f"{convention}/{name}" for name in names] + [f"{convention}/{name}#" for name in shares]
        filter_ = None if method is None else _is("method", method)
        table = self.rows[data].to_table([*keys, f"{convention}/reasons", "status"], filter=filter_)
        return ScoreColumns(
            {name: _numbers(table[f"{convention}/{name}"], np.nan) for name in names},
            {name: _numbers(table[f"{convention}/{name}#"], 0) for name in shares},
            _reasons(table[f"{convention}/reasons"], names),
            sum(count for status, count in _counted(table["status"]).items() if status != "done"),
        )

    def costs(self, method: str) -> CostColumns:
        """See :class:`ivfuse.benchmark.columns.Columns`; peaks are unknown in shared processes."""
        parts = []
        for rows in self.rows.values():
            chosen = _is("method", method) & _is("status", "done")
            table = rows.to_table(["wall", "cpu", "height", "width"], filter=chosen)
            parts.append(np.stack([_numbers(table[name], np.nan) for name in table.column_names]))
        wall, cpu, height, width = np.concatenate(parts, axis=1)
        return CostColumns(wall, cpu, np.zeros(wall.size), height * width / 1e6)

    def sources(self, data: str) -> SourceSet:
        """The sources of a data set, whose content the workers read; its pairs are not listed."""
        import pyarrow as pa

        rows = self.rows[data]
        method = rows.head(1, columns=["method"])["method"][0].as_py()
        filter_ = None if method is None else _is("method", method)
        text = pa.schema([(name, pa.large_string()) for name in ("id", "ir_sha256", "vi_sha256")])
        table = rows.to_table(text.names, filter=filter_).cast(text).sort_by("id")
        batches = (batch.columns for batch in table.to_batches(max_chunksize=4096))
        pairs = (pair for columns in batches for pair in zip(*(x.to_pylist() for x in columns), strict=True))
        return SourceSet(data, (), digest_of_pairs(pairs))

    def problems(self, most: int = 1000) -> list[Problem]:
        """The first images without scores, at most so many."""
        found: list[Problem] = []
        for data, rows in self.rows.items():
            columns = ["id", "method", "stage", "reason"]
            table = rows.scanner(columns, filter=~_is("status", "done")).head(most - len(found))
            for row in table.to_pylist():
                found.append(Problem(data, row["method"], row["id"], row["stage"] or "fuse", row["reason"]))
            if len(found) >= most:
                break
        return found


def _is(name: str, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.field(name) == value


def _numbers(column: Any, missing: float) -> Values:
    return np.asarray(column.cast("float64").fill_null(missing).to_numpy(), np.float64)


def _counted(column: Any) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in column.value_counts().to_pylist()}


def _reasons(column: Any, names: Sequence[str]) -> dict[str, Counter[str]]:
    """Count the reasons; rows share few texts, so that each text is parsed once."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    for text, count in _counted(column).items():
        for name, reason in json.loads(text or "{}").items():
            if name in found:
                found[name][reason] += count
    return found
