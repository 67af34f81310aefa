"""Published results with their sources; compared with measured ones only if the definitions agree."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ivfuse.benchmark.datasets import DataSet
from ivfuse.metrics import CONVENTIONS, get_convention

TASK_MEASURES = ("AP50:95", "IoU background")  # of detection and segmentation, 0 to 1


@dataclass(frozen=True)
class Source:
    """The source of a published row.

    Attributes:
        id: identifier in the file.
        text: citation.
        convention: convention that it follows, or ``unknown``.
        third_party: whether it is reported by others than the authors of the method.
    """

    id: str
    text: str
    convention: str
    third_party: bool


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table.

    Attributes:
        method: name given by its authors.
        set: name of a known data set.
        pairs: number of test pairs; 0 if it is not stated.
        values: metric, or one of :data:`TASK_MEASURES` -> mean.
        source: source of the row.
        condition: weather of the images, where they are of one; else empty.
        protocol: how it was measured, as far as that is known.
    """

    method: str
    set: str
    pairs: int
    values: dict[str, float]
    source: Source
    condition: str = ""
    protocol: str = ""


@dataclass(frozen=True)
class Quote:
    """A published row, as far as it is comparable with a table.

    Attributes:
        row: the complete row.
        values: metric -> mean, of the comparable metrics; may be empty.
        remark: caveats of the comparison.
    """

    row: PublishedRow
    values: dict[str, float]
    remark: str


@lru_cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All rows of the file, in its order."""
    table = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    sources = {facts["id"]: Source(**facts) for facts in table["source"]}
    return tuple(PublishedRow(**{**facts, "source": sources[facts["source"]]}) for facts in table["row"])


def quotes_for(data: DataSet, convention: str, metrics: Sequence[str]) -> list[Quote]:
    """The published rows of a data set, each with its comparable values.

    Args:
        data: a data set; there are rows for known ones only.
        convention: convention of the measured values.
        metrics: metrics that were measured.
    """
    if data.known is None:
        return []
    found = []
    for row in published_rows():
        if row.set != data.known.name:
            continue
        values = {
            name: value
            for name, value in row.values.items()
            if name in metrics and comparable(name, row.source.convention, convention)
        }
        found.append(Quote(row, values, _remark(row, len(data.pairs))))
    return found


def comparable(metric: str, first: str, second: str) -> bool:
    """Whether a metric has the same definition under two conventions.

    Gray conversions that differ by rounding only (at most one level of 255) count as the same, since tables
    do not show the difference; scoring per channel does not.
    """
    if first not in CONVENTIONS:
        return False
    one, two = get_convention(first), get_convention(second)
    return one.color == two.color and one.variant(metric).function is two.variant(metric).function


def _remark(row: PublishedRow, pairs: int) -> str:
    parts = [f"{name} {row.values[name]:g}" for name in TASK_MEASURES if name in row.values]
    parts += [f"in {row.condition}"] if row.condition else []
    parts += [f"protocol: {row.protocol}"] if row.protocol else []
    if row.pairs != pairs:
        stated = f"{row.pairs} pairs" if row.pairs else "a number of pairs that is not stated"
        parts.append(f"on {stated}, here {pairs}")
    elif row.pairs:
        parts.append(f"on {row.pairs} pairs; possibly not the same ones")
    if row.source.third_party:
        parts.append("reported by a third party")
    return "; ".join(parts)
