"""Carries out a plan: hands missing shards to an executor, counts outcomes, stops at too many failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow.dataset as ds

from ivfuse.cluster.plan import RunPlan
from ivfuse.cluster.shard import Job, ShardReport, ShardWorker
from ivfuse.errors import IvfuseError, UsageError

_REASONS = 100  # reasons that a summary carries at most

OnShard = Callable[[ShardReport], None]
Executor = Callable[[Job, Sequence[int]], Iterable[ShardReport]]


class TooManyFailures(IvfuseError):
    """A run ended because more pairs failed than were allowed."""


@dataclass(frozen=True)
class RunSummary:
    """The outcome of a run, over all its attempts.

    Attributes:
        location: folder of the run.
        pairs: number of its pairs.
        done: pairs that were worked on.
        failed: pairs that have a reason instead.
        reused: shards that were finished before.
        reasons: some of the reasons, with the names of the pairs.
    """

    location: str
    pairs: int
    done: int
    failed: int
    reused: int
    reasons: tuple[str, ...]


def in_process(job: Job, shards: Sequence[int]) -> Iterator[ShardReport]:
    """Carry out shards one after another in this process: the executor without Ray."""
    worker = ShardWorker(job)
    for number in shards:
        yield worker.run(number)


def carry_out(
    plan: RunPlan,
    execute: Executor = in_process,
    *,
    threads: int = 1,
    max_failures: int | None = None,
    on_shard: OnShard | None = None,
) -> RunSummary:
    """Carry out the missing shards of a plan.

    Args:
        plan: the run.
        execute: carries out shards, in any order, in this process or on a cluster.
        threads: threads of each worker.
        max_failures: failed pairs, over all attempts, beyond which the run ends; ``None`` for no limit.
        on_shard: called after each shard.

    Raises:
        TooManyFailures: if the limit is exceeded; finished shards are kept.
        UsageError: if the limit is negative.
        IvfuseError: if the cluster or the folder of the run fails.
    """
    if max_failures is not None and max_failures < 0:
        raise UsageError(field="max_failures", found=max_failures, expected="0 or more")
    reused = plan.facts.shards - len(plan.missing)
    failed = count_failed(plan) if reused else 0
    reasons: list[str] = []
    _check_failures(failed, max_failures, reasons)
    if plan.missing:
        job = Job(plan.work, plan.folder.location, plan.facts.tar, threads)
        for report in execute(job, plan.missing):
            failed += report.failed
            if len(reasons) < _REASONS:
                reasons += report.reasons
            if on_shard:
                on_shard(report)
            _check_failures(failed, max_failures, reasons)
        plan.folder.clean()
    if failed and reused:  # those of earlier attempts as well
        reasons = _reasons(plan)
    facts = plan.facts
    return RunSummary(plan.folder.location, facts.pairs, facts.pairs - failed, failed, reused, tuple(reasons))


def count_failed(plan: RunPlan) -> int:
    """Count the pairs of finished shards that failed."""
    rows = plan.folder.rows().to_table(columns=["id"], filter=ds.field("status") != "done")
    return len(rows["id"].unique())


def _reasons(plan: RunPlan) -> list[str]:
    """Some of the reasons in the rows of a run."""
    columns = ["id", "reason"]
    rows = plan.folder.rows().scanner(columns, filter=ds.field("status") != "done").head(_REASONS)
    return list(dict.fromkeys(f"{row['id']}: {row['reason']}" for row in rows.to_pylist()))


def _check_failures(failed: int, most: int | None, reasons: Sequence[str]) -> None:
    if most is not None and failed > most:
        hint = f"the first: {reasons[0]}" if reasons else None
        raise TooManyFailures(
            f"the run was stopped: {failed} pairs failed", expected=f"at most {most}", hint=hint
        )
