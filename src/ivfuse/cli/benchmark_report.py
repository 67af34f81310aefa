"""What ``ivfuse benchmark`` says: progress with the time left, then ranks and costs for people or as JSON."""

from __future__ import annotations

import json as json_module
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ivfuse.cli.progress import bar
from ivfuse.cli.tables import format_table

if TYPE_CHECKING:
    from ivfuse.benchmark.results import Results
    from ivfuse.benchmark.run import OnProgress, Outcome
    from ivfuse.benchmark.tasks.tables import TaskTable

_SHOWN = 20
_EVERY = 15.0  # seconds between lines where there is no terminal


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[OnProgress]:
    """A bar on a terminal, now and then a line elsewhere, nothing if not ``shown``."""
    if not shown:
        yield lambda what, reused: None
    elif not sys.stderr.isatty():
        yield _lines(total)
    else:
        with bar(total) as advance:
            yield lambda what, reused: advance(what)


def _lines(total: int) -> OnProgress:
    """A line at the tenths of the work and after long silence; what was there already tells no speed."""
    started = said = time.monotonic()
    seen = worked = 0

    def advance(what: str, reused: bool) -> None:
        nonlocal seen, worked, said
        seen += 1
        worked += not reused
        now = time.monotonic()
        tenth = seen * 10 // total > (seen - 1) * 10 // total
        if seen < total and (tenth or now - said > _EVERY):
            said = now
            left = f", about {duration((now - started) / worked * (total - seen))} left" if worked else ""
            typer.echo(f"{seen}/{total}{left} ({what})", err=True)

    return advance


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def say(
    results: Results, outcome: Outcome, tasks: Sequence[TaskTable] = (), *, json: bool, quiet: bool
) -> None:
    """Print the results.

    Args:
        results: what was measured.
        outcome: how the run went.
        tasks: tables of detection and segmentation.
        json: print one JSON object to standard output.
        quiet: print only what went wrong, and the table.
    """
    for problem in results.problems[:_SHOWN]:
        line = (
            f"{problem.kind if problem.kind == 'missing' else 'failed'}: {problem.data}, {problem.method}, "
        )
        typer.echo(f"{line}{problem.pair}: {problem.reason}", err=True)
    if len(results.problems) > _SHOWN:
        typer.echo(f"and {len(results.problems) - _SHOWN} more; the report lists all", err=True)
    if json:
        from ivfuse.benchmark.tables import as_json
        from ivfuse.benchmark.tasks.tables import as_json as table_json

        reused = {"fused": outcome.reused["fuse"], "scored": outcome.reused["score"]}
        whole = {**as_json(results), "reused": reused, "tasks": [table_json(table) for table in tasks]}
        typer.echo(json_module.dumps(whole, indent=1, allow_nan=False))
        return
    if not quiet:
        for remark in results.remarks()[:_SHOWN]:
            typer.echo(remark, err=True)
        if outcome.reused["fuse"]:
            typer.echo(f"{outcome.reused['fuse']} fused images were there already", err=True)
    typer.echo("\n".join(_table(results)))
    if tasks:
        from ivfuse.benchmark.tasks.tables import text

        for table in tasks:
            typer.echo("\n".join(["", *text(table), *(f"  {note}" for note in table.notes[1:])]))
    typer.echo(f"report: {results.plan.out / 'index.html'}")


def _table(results: Results) -> list[str]:
    """Ranks and costs, best first."""
    from ivfuse.benchmark.tables import cost_cells

    metrics, sets = len(results.plan.metrics), len(results.plan.sets)
    rows = [("method", "mean rank", "wall s", "CPU s", "peak MiB", "no image", "targets lost")]
    for name in results.methods:
        wall, cpu, _, peak, _ = cost_cells(results.costs[name])
        missing = f"{results.failed[name]} of {results.pairs}" if results.failed[name] else "-"
        lost = results.targets_lost(name)
        share = "-" if math.isnan(lost) else f"{100 * lost:.1f} %"
        rows.append((name, f"{results.overall[name]:.2f}", wall, cpu, peak, missing, share))
    counts = f"{results.pairs} pairs, sets: {sets}, metrics: {metrics}"
    return [f"{counts}, convention {results.plan.conventions[0]}", *format_table(rows, "lr")]
