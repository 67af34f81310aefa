"""Output of ``ivfuse benchmark``: progress with the remaining time, then ranks and costs as text or JSON."""

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
from ivfuse.cli.terminal import echo, echo_lines

if TYPE_CHECKING:
    from ivfuse.benchmark.results import Results
    from ivfuse.benchmark.run import OnProgress, Outcome
    from ivfuse.benchmark.tasks.tables import TaskTable

_MAX_LINES = 20  # printed problems and remarks; the report has all
_INTERVAL = 15.0  # seconds between progress lines without a terminal


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[OnProgress]:
    """Show progress: a bar on a terminal, otherwise occasional lines; nothing if not ``shown``."""
    if not shown:
        yield lambda what, reused: None
    elif not sys.stderr.isatty():
        yield _lines(total)
    else:
        with bar(total) as advance:
            yield lambda what, reused: advance(what)


def _lines(total: int) -> OnProgress:
    """Lines at each tenth of the work and after long silence; reused results do not affect the estimate."""
    started = last_line = time.monotonic()
    done = computed = 0

    def advance(what: str, reused: bool) -> None:
        nonlocal done, computed, last_line
        done += 1
        computed += not reused
        now = time.monotonic()
        tenth = done * 10 // total > (done - 1) * 10 // total
        if done < total and (tenth or now - last_line > _INTERVAL):
            last_line = now
            left = ""
            if computed:
                left = f", about {format_duration((now - started) / computed * (total - done))} left"
            echo(f"{done}/{total}{left} ({what})", err=True)

    return advance


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def print_results(
    results: Results, outcome: Outcome, tasks: Sequence[TaskTable] = (), *, json: bool, quiet: bool
) -> None:
    """Print the results.

    Args:
        results: results of the benchmark.
        outcome: outcome of the run.
        tasks: tables of detection and segmentation.
        json: print one JSON object to standard output.
        quiet: print only problems and the table.
    """
    for problem in results.problems[:_MAX_LINES]:
        line = (
            f"{problem.kind if problem.kind == 'missing' else 'failed'}: {problem.data}, {problem.method}, "
        )
        echo(f"{line}{problem.pair}: {problem.reason}", err=True)
    if len(results.problems) > _MAX_LINES:
        echo(f"and {len(results.problems) - _MAX_LINES} more; the report lists all", err=True)
    if json:
        from ivfuse.benchmark.tables import as_json
        from ivfuse.benchmark.tasks.tables import as_json as table_json

        reused = {"fused": outcome.reused["fuse"], "scored": outcome.reused["score"]}
        whole = {**as_json(results), "reused": reused, "tasks": [table_json(table) for table in tasks]}
        typer.echo(json_module.dumps(whole, indent=1, allow_nan=False))
        return
    if not quiet:
        for remark in results.remarks()[:_MAX_LINES]:
            echo(remark, err=True)
        if outcome.reused["fuse"]:
            echo(f"{outcome.reused['fuse']} fused images were reused", err=True)
    echo_lines(_table(results))
    if tasks:
        from ivfuse.benchmark.tasks.tables import text_rows

        for table in tasks:
            notes = [f"  {note}" for note in table.notes[1:]]
            notes += [] if table.protocol is None else [table.protocol.line]
            echo_lines(["", table.title, *format_table(text_rows(table), "lr"), *notes])
    echo(f"report: {results.plan.out / 'index.html'}")


def _table(results: Results) -> list[str]:
    """Ranks and costs, best first."""
    from ivfuse.benchmark.tables import format_cost

    metrics, sets = len(results.plan.metrics), len(results.plan.sets)
    rows = [("method", "mean rank", "wall s", "CPU s", "peak MiB", "no image", "targets lost")]
    for name in results.methods:
        wall, cpu, _, peak, _ = format_cost(results.costs[name])
        missing = f"{results.failed[name]} of {results.pairs}" if results.failed[name] else "-"
        lost = results.targets_lost(name)
        share = "-" if math.isnan(lost) else f"{100 * lost:.1f} %"
        rows.append((name, f"{results.overall[name]:.2f}", wall, cpu, peak, missing, share))
    counts = f"{results.pairs} pairs, sets: {sets}, metrics: {metrics}"
    lines = [f"{counts}, convention {results.plan.conventions[0]}", *format_table(rows, "lr")]
    protocol = results.plan.protocol
    return lines if protocol is None else [*lines, protocol.line]
