"""Runs of ``fuse``, ``eval`` and ``benchmark`` on a cluster: sources, progress, summaries."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from ivfuse.cli.cluster_options import ClusterChoices
from ivfuse.cli.extras import clustering
from ivfuse.cli.progress import bar
from ivfuse.cli.terminal import echo
from ivfuse.errors import InputError

if TYPE_CHECKING:
    from ivfuse.cluster.plan import RunPlan
    from ivfuse.cluster.run import RunSummary
    from ivfuse.cluster.shard import ShardReport
    from ivfuse.cluster.sources import Source
    from ivfuse.cluster.work import Work
    from ivfuse.fusion.options import FuseOptions

_SHOWN = 5


def fuse(
    source: str,
    vi: str | None,
    out: str,
    options: FuseOptions,
    choices: ClusterChoices,
    *,
    image: dict[str, Any],
    tar: bool,
    recursive: bool,
) -> int:
    """Fuse the pairs of a source; returns the exit code."""
    with clustering():
        from ivfuse.cluster.plan import make_plan
        from ivfuse.cluster.sources import open_source
        from ivfuse.cluster.work_fuse import FuseWork
        from ivfuse.cluster.work_window import WindowWork, merged_window

    pairs = open_source(source, vi, recursive=recursive, leave_out=out)
    say_left_over(pairs, choices)
    shared = options.thermal.rule.kind == "shared"
    first: Work = WindowWork(options.thermal) if shared else FuseWork(options, **image)
    with pool_of(choices) as execute:
        plan = make_plan(first, pairs, out, choices.shard, tar and not shared)
        if shared:
            execute(plan)
            options = replace(options, thermal=replace(options.thermal, window=merged_window(plan.folder)))
            plan = make_plan(FuseWork(options, **image), pairs, out, choices.shard, tar)
        summary = execute(plan)
    say(summary, choices)
    return 1 if summary.failed else 0


def score(
    fused: str,
    source: str | None,
    vi: str | None,
    out: str,
    work: Work,
    choices: ClusterChoices,
    *,
    recursive: bool,
) -> tuple[RunPlan, RunSummary]:
    """Score the fused images of a run, a manifest or a folder."""
    with clustering():
        from ivfuse.cluster.plan import make_plan
        from ivfuse.cluster.sources import open_source, with_fused

    if source is None:
        pairs = open_source(fused, needed=("id", "ir", "vi", "fused"))
        if not next((row.fused for row in pairs.rows()), ""):
            expected = "the folder of a run with fused pairs, or a manifest with fused images"
            raise InputError(
                f"{fused}: no fused images found", expected=expected, hint="or give the pairs as {ir}"
            )
    else:
        pairs = with_fused(open_source(source, vi, recursive=recursive, leave_out=out), fused)
    say_left_over(pairs, choices)
    with pool_of(choices) as execute:
        plan = make_plan(work, pairs, out, choices.shard)
        return plan, execute(plan)


@contextmanager
def pool_of(choices: ClusterChoices) -> Iterator[Callable[[RunPlan], RunSummary]]:
    """Provide the function that carries out a plan; the cluster is connected to when there is work to do."""
    with clustering():
        from ivfuse.cluster.ray_engine import Pool, connected, require_ray
        from ivfuse.cluster.run import carry_out

        require_ray(choices.address)
    with ExitStack() as stack:
        pools: list[Pool] = []

        def execute(plan: RunPlan) -> RunSummary:
            if not plan.missing:
                return carry_out(plan, max_failures=choices.max_failures)
            if not pools:
                pools.append(stack.enter_context(connected(choices.address, choices.actors, choices.threads)))
            with progress(plan, shown=not (choices.quiet or choices.json)) as tell:
                return carry_out(
                    plan, pools[0], threads=pools[0].threads, max_failures=choices.max_failures, on_shard=tell
                )

        yield execute


@contextmanager
def progress(plan: RunPlan, *, shown: bool) -> Iterator[Callable[[ShardReport], None]]:
    """A bar on a terminal, a line for every tenth of the work elsewhere, nothing if not ``shown``."""
    total = plan.facts.pairs
    seen = min(total, (plan.facts.shards - len(plan.missing)) * plan.facts.shard_size)
    if not shown:
        yield lambda report: None
    elif sys.stderr.isatty():
        with bar(total) as advance:
            advance(plan.work.name, seen)
            yield lambda report: advance(
                f"{plan.work.name}, shard {report.shard}", report.done + report.failed
            )
    else:
        yield _lines(total, seen)


def _lines(total: int, seen: int) -> Callable[[ShardReport], None]:
    def advance(report: ShardReport) -> None:
        nonlocal seen
        before, seen = seen, seen + report.done + report.failed
        if seen * 10 // total > before * 10 // total and seen < total:
            echo(f"{seen}/{total}", err=True)

    return advance


def say_left_over(source: Source, choices: ClusterChoices) -> None:
    """Name the images without a counterpart and the ambiguous names."""
    if choices.quiet or choices.json:
        return
    for title, lines in (
        ("no partner", source.orphans),
        ("ambiguous", source.ambiguous),
        ("note", source.notes),
    ):
        for line in lines[:_SHOWN]:
            echo(f"{title}: {line}", err=True)
        if len(lines) > _SHOWN:
            echo(f"{title}: and {len(lines) - _SHOWN} more", err=True)


def say(summary: RunSummary, choices: ClusterChoices, **more: Any) -> None:
    """Print the summary of a run."""
    say_failures(summary)
    if choices.json:
        typer.echo(json_module.dumps({**as_json(summary), **more}, indent=2))
    elif not choices.quiet:
        echo(counts(summary))
        echo(summary.location)


def say_failures(summary: RunSummary) -> None:
    """Print some of the reasons for failures."""
    for reason in summary.reasons[:_SHOWN]:
        echo(f"failed: {reason}", err=True)
    if summary.failed > _SHOWN:
        echo(f"{summary.failed} pairs failed; {summary.location}/rows has all reasons", err=True)


def counts(summary: RunSummary) -> str:
    """The counts of a run, in one line."""
    reused = f", {summary.reused} shards were finished before" if summary.reused else ""
    return f"{summary.done} done, {summary.failed} failed{reused}"


def as_json(summary: RunSummary) -> dict[str, Any]:
    """The summary as plain values."""
    return {
        "run": summary.location,
        "pairs": summary.pairs,
        "done": summary.done,
        "failed": summary.failed,
        "shards_reused": summary.reused,
        "reasons": list(summary.reasons),
    }
