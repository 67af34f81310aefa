"""What ``ivfuse eval --cluster`` says: a table of means with deviations and intervals, or JSON."""

from __future__ import annotations

import json as json_module
import math
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli import cluster_runs
from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo, echo_lines

if TYPE_CHECKING:
    from ivfuse.benchmark.statistics import Summary
    from ivfuse.cli.cluster_options import ClusterChoices
    from ivfuse.cluster.plan import RunPlan
    from ivfuse.cluster.run import RunSummary
    from ivfuse.cluster.work_score import ScoreWork


def print_scores(plan: RunPlan, summary: RunSummary, work: ScoreWork, choices: ClusterChoices) -> None:
    """Reduce the rows of a run to means, deviations and intervals, and print them."""
    from ivfuse.benchmark.parquet import ParquetColumns
    from ivfuse.benchmark.protocol import Protocol
    from ivfuse.benchmark.statistics import summarize
    from ivfuse.metrics import get_metric

    numbers = ParquetColumns({"": plan.folder.rows()}, {work.convention: work.names})
    protocol = Protocol(
        (numbers.sources(""),), tuple(work.names), (work.convention,), ir_window=work.ir_window
    )
    plan.folder.state(protocol.metadata)
    columns = numbers.scores("", None, work.convention)
    found = {name: summarize(columns.values[name], 0, columns.weights.get(name)) for name in work.names}
    if choices.json:
        cluster_runs.say_failures(summary)
        means = {name: _plain(each) for name, each in found.items()}
        lost = {name: dict(reasons) for name, reasons in columns.reasons.items() if reasons}
        whole = {**cluster_runs.as_json(summary), "convention": work.convention, "protocol": protocol.hash}
        whole["metrics"] = means
        typer.echo(json_module.dumps({**whole, "without_value": lost}, indent=2))
        return
    cluster_runs.say_failures(summary)
    rows = [("metric", "better", "mean", "sd", "95 % interval", "no value", "targets")]
    for name, each in found.items():
        better = "higher" if get_metric(name).higher_is_better else "lower"
        lost_count = str(columns.reasons[name].total() or "-")
        interval = f"{_shown(each.low)} to {_shown(each.high)}"
        rows.append(
            (name, better, _shown(each.mean), _shown(each.sd), interval, lost_count, str(each.items or ""))
        )
    echo_lines(
        [f"{summary.done} images, convention {work.convention}", *format_table(rows, "llrrrr"), protocol.line]
    )
    if not choices.quiet:
        echo(cluster_runs.counts(summary))
        echo(summary.location)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _plain(summary: Summary) -> dict[str, Any]:
    values = {"mean": summary.mean, "sd": summary.sd, "low95": summary.low, "high95": summary.high}
    finite = {name: None if math.isnan(value) else value for name, value in values.items()}
    return {**finite, "images": summary.count, "targets": summary.items}
