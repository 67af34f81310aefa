"""What ``ivfuse eval`` says: a table of means, on request a row per image, CSV or JSON.

Values go to standard output, everything that went wrong or is missing to standard error.
"""

from __future__ import annotations

import csv
import io
import json as json_module
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli.sources import say_left_over
from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo, echo_lines
from ivfuse.errors import escape_controls

if TYPE_CHECKING:
    from ivfuse.benchmark.protocol import Protocol
    from ivfuse.image.pairing import TriplePairing
    from ivfuse.metrics.folder import Scored

_SHOWN = 5


@dataclass(frozen=True)
class Report:
    """The scores of one method.

    Attributes:
        convention: the name of the convention that they follow.
        names: the metrics, in the order asked.
        triples: the images and what was left over.
        scored: what became of each image, in the order of the triples.
        protocol: what was measured of what; ``None`` for a single image.
    """

    convention: str
    names: tuple[str, ...]
    triples: TriplePairing
    scored: tuple[Scored, ...]
    protocol: Protocol | None = None

    @property
    def failed(self) -> list[Scored]:
        """The images that could not be scored."""
        return [each for each in self.scored if each.scores is None]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the images that have a value."""
        from ivfuse.metrics.folder import means

        return means(self.scored, self.names)

    @property
    def counts(self) -> dict[str, int]:
        """How many targets the means of their shares are over."""
        from ivfuse.metrics.folder import counts

        return counts(self.scored, self.names)

    def reasons(self, name: str) -> Counter[str]:
        """Why a metric has no value, and for how many images."""
        return Counter(
            each.scores.reasons[name]
            for each in self.scored
            if each.scores is not None and name in each.scores.reasons
        )

    def write_csv(self, path: Path) -> None:
        """Write a row per image and one of means; an empty cell is a missing value.

        Raises:
            OutputError: the file cannot be written.
        """
        from ivfuse.runtime.files import write_atomic

        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        measured = self.protocol.hash if self.protocol else ""
        table.writerow(["name", "convention", *self.names, "protocol"])
        for each in self.scored:
            if each.scores is not None:
                cells = (_cell(each.scores.values[name]) for name in self.names)
                table.writerow([each.triple.name, self.convention, *cells, measured])
        table.writerow(["mean", self.convention, *map(_cell, self.means.values()), measured])
        write_atomic(path, text.getvalue().encode())

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, for machines; a missing value is null."""
        return {
            "convention": self.convention,
            "protocol": self.protocol and self.protocol.hash,
            "metrics": list(self.names),
            "mean": {name: _plain(value) for name, value in self.means.items()},
            "targets": self.counts,
            "without_value": {name: dict(reasons) for name in self.names if (reasons := self.reasons(name))},
            "images": [
                {
                    "name": each.triple.name,
                    "fused": str(each.triple.fused),
                    "ir": str(each.triple.ir),
                    "vi": str(each.triple.vi),
                    "values": {name: _plain(value) for name, value in each.scores.values.items()},
                    "targets": each.scores.counts,
                    "resampled": each.resampled,
                }
                for each in self.scored
                if each.scores is not None
            ],
            "failed": [{"name": each.triple.name, "reason": each.failure} for each in self.failed],
            "missing": list(self.triples.missing),
            "orphans": [str(path) for path in self.triples.orphans],
            "ambiguous": list(self.triples.ambiguous),
            "notes": list(self.triples.notes),
        }


def say(report: Report, *, one: bool, images: bool, json: bool, quiet: bool) -> None:
    """Print the report.

    Args:
        report: what there is to say.
        one: a single triple of files was asked for.
        images: print a row per image too.
        json: print one JSON object to standard output.
        quiet: leave out remarks on missing values and files.
    """
    for each in report.failed:
        text = f"ivfuse: error: {each.failure}" if one else f"failed: {each.triple.name}: {each.failure}"
        echo(text, err=True)
    if json:
        typer.echo(json_module.dumps(report.as_json(), indent=2))
        return
    if not quiet:
        _say_left_over(report)
    count = len(report.scored) - len(report.failed)
    if not count:
        return
    if images and not one:
        echo_lines([*_rows(report), ""])
    echo_lines([*_table(report, count, one), *([report.protocol.line] if report.protocol else [])])
    if not quiet:
        _say_reasons(report, count, one)


def _say_left_over(report: Report) -> None:
    """Name the pairs without a fused image and the files that fit nothing."""
    if missing := report.triples.missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        echo(f"no fused image: {', '.join(missing[:_SHOWN])}{more}", err=True)
    say_left_over(report.triples)
    if resampled := sum(each.resampled for each in report.scored):
        echo(
            f"thermal resampled to the size of the visible image ({resampled} of {len(report.scored)});"
            " no registration is applied",
            err=True,
        )


def _table(report: Report, count: int, one: bool) -> list[str]:
    """Name, direction and mean of each metric; for folders also how many images had no value."""
    from ivfuse.metrics import get_metric

    images = report.scored[0].triple.fused if one else f"{count} image{'s' if count > 1 else ''}"
    counts = report.counts
    heads = ("value", "") if one else ("mean", "no value")
    rows = [("metric", "better", *heads, "targets" if counts else "")]
    for name, mean in report.means.items():
        lost = report.reasons(name).total()
        better = "higher" if get_metric(name).higher_is_better else "lower"
        rows.append((name, better, _shown(mean), "" if one else str(lost or "-"), str(counts.get(name, ""))))
    return [f"{images}, convention {report.convention}", *format_table(rows, "llr")]


def _rows(report: Report) -> list[str]:
    """A row per image."""
    rows: list[tuple[str, ...]] = [("name", *report.names)]
    for each in report.scored:
        if each.scores is not None:
            rows.append(
                (
                    escape_controls(each.triple.name),
                    *(_shown(each.scores.values[name]) for name in report.names),
                )
            )
    return format_table(rows, "lr")


def _say_reasons(report: Report, count: int, one: bool) -> None:
    about: dict[tuple[str, int], list[str]] = {}
    for name in report.names:
        for reason, times in report.reasons(name).most_common():
            about.setdefault((reason.removeprefix(f"{name}: "), times), []).append(name)
    for (reason, times), names in about.items():
        said = reason if reason.startswith(names[0]) else f"{', '.join(names)}: {reason}"
        echo(f"no value: {said}" + ("" if one else f" ({times} of {count})"), err=True)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
