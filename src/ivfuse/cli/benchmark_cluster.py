"""``ivfuse benchmark --cluster``: all methods on all pairs, and statistics over the rows of the workers.

The report shows a sample of the pairs; its means, intervals, ranks and tests are those of all pairs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ivfuse.cli import cluster_runs
from ivfuse.cli.cluster_options import ClusterChoices
from ivfuse.cli.extras import clustering

if TYPE_CHECKING:
    from ivfuse.benchmark.datasets import DataSet
    from ivfuse.benchmark.plan import Entry, Plan
    from ivfuse.cluster.plan import RunPlan
    from ivfuse.cluster.work_compare import CompareWork
    from ivfuse.image.pairing import FilePair
    from ivfuse.thermal.tone_mapping import Window

SAMPLE = 24  # pairs that the report shows, about


@dataclass(frozen=True)
class Asked:
    """What is to be compared, as the options of these names say it."""

    methods: str
    metrics: str | None
    conventions: tuple[str, ...]
    ir_window: Window | None
    seed: int
    recursive: bool


def run(data: Sequence[str], out: Path, asked: Asked, choices: ClusterChoices) -> int:
    """Compare methods on a cluster and write the report; returns the exit code."""
    from ivfuse.benchmark.parquet import ParquetColumns
    from ivfuse.benchmark.plan import method_entries, plan_of
    from ivfuse.benchmark.protocol import Protocol
    from ivfuse.benchmark.report.page import write_page
    from ivfuse.benchmark.results import reduce
    from ivfuse.benchmark.run import Outcome
    from ivfuse.benchmark.tables import write_tables
    from ivfuse.cli import benchmark_report
    from ivfuse.runtime.files import make_folder
    from ivfuse.runtime.processes import available_cpus

    settings = {"ir_window": asked.ir_window, "threads": choices.threads, "seed": asked.seed}
    plan = plan_of((), method_entries(asked.methods), out, asked.metrics, asked.conventions, **settings)
    make_folder(out)
    runs = _carry_out(plan, data, out, choices, recursive=asked.recursive)
    sets, shown = [], {}
    for name, (source, done) in runs.items():
        found, shown[name] = _sampled(plan, name, source, done)
        sets.append(found)
    plan = replace(plan, sets=tuple(sets))
    rows = {name: done.folder.rows() for name, (_, done) in runs.items()}
    columns = ParquetColumns(rows, {name: plan.measured(name) for name in plan.conventions})
    protocol = Protocol(
        tuple(map(columns.sources, rows)),
        plan.metrics,
        plan.conventions,
        seed=plan.seed,
        ir_window=plan.ir_window,
    )
    plan = replace(plan, protocol=protocol)
    for _, done in runs.values():
        done.folder.state(protocol.metadata)
    results = reduce(plan, columns, columns.problems(), shown)
    write_tables(results, out / "tables")
    write_page(results, out / "index.html", available_cpus())
    benchmark_report.print_results(results, Outcome(), json=choices.json, quiet=choices.quiet)
    return 1 if results.problems else 0


def _carry_out(
    plan: Plan, data: Sequence[str], out: Path, choices: ClusterChoices, *, recursive: bool
) -> dict[str, tuple[str, RunPlan]]:
    """Run the comparison on each source; name of the set -> source and finished run."""
    with clustering():
        from ivfuse.cluster.plan import make_plan
        from ivfuse.cluster.sources import open_source

    sources = [open_source(each, recursive=recursive, leave_out=str(out)) for each in data]
    plans: dict[str, tuple[str, RunPlan]] = {}
    with cluster_runs.pool_of(choices) as execute:
        for each, source in zip(data, sources, strict=True):
            cluster_runs.say_left_over(source, choices)
            work = _work(plan, sum(1 for _ in source.rows()))
            name = _name(each, plans)
            plans[name] = (each, make_plan(work, source, str(out / "runs"), choices.shard))
        for _, ready in plans.values():
            execute(ready)
    return plans


def _for_workers(entry: Entry) -> str:
    """The method as any machine opens it: a name, a model of the Hub, or the full path of a graph."""
    from ivfuse.fusion.hub import is_reference

    method = entry.method or entry.name
    is_file = method.lower().endswith(".onnx") and not is_reference(method)
    return str(Path(method).absolute()) if is_file else method


def _work(plan: Plan, pairs: int) -> CompareWork:
    from ivfuse.cluster.work_compare import CompareWork

    return CompareWork(
        tuple((entry.name, _for_workers(entry)) for entry in plan.entries),
        tuple((name, tuple(plan.measured(name))) for name in plan.conventions),
        plan.ir_window,
        min(1.0, SAMPLE / max(1, pairs)),
        tuple((entry.name, entry.emphasis) for entry in plan.entries if entry.emphasis is not None),
    )


def _name(source: str, taken: dict[str, tuple[str, RunPlan]]) -> str:
    stem = re.sub(r"[^\w.+-]+", "_", PurePosixPath(source.rstrip("/")).stem.strip("*")) or "data"
    number = 1 + sum(each == stem or each.startswith(f"{stem}-") for each in taken)
    return stem if number == 1 else f"{stem}-{number}"


def _sampled(plan: Plan, name: str, source: str, done: RunPlan) -> tuple[DataSet, list[int]]:
    """The pairs whose images were kept, copied to the report, and their positions among all pairs."""
    from ivfuse.benchmark.datasets import DataSet
    from ivfuse.image.pairing import Pairing

    work: CompareWork = done.work  # type: ignore[assignment]  # made in _work
    pairs, places = [], []
    position = 0
    for number in range(done.facts.shards):
        for row in done.folder.pairs_of(number):
            if work.keeps(row.id):
                pairs.append(_copied(plan, name, row.id, row.ir, row.vi))
                places.append(position)
            position += 1
    _copy_fused(plan, name, done)
    layout = f"{done.facts.pairs} pairs of {source}, of which {len(pairs)} are shown"
    return DataSet(name, Path(source), Pairing(tuple(pairs), (), ()), None, layout), places


def _copied(plan: Plan, name: str, pair: str, ir: str, vi: str) -> FilePair:
    """A pair with local files."""
    from ivfuse.cluster.locations import fetch
    from ivfuse.errors import InputError
    from ivfuse.image.pairing import FilePair

    folder = plan.out / "sources" / name / pair
    folder.mkdir(parents=True, exist_ok=True)
    try:
        first = fetch(ir, folder, "ir")
        return FilePair(pair, first, first if vi == ir else fetch(vi, folder, "vi"))
    except InputError:  # its rows say why
        return FilePair(pair, folder / "ir", folder / "vi")


def _copy_fused(plan: Plan, name: str, done: RunPlan) -> None:
    """Copy the fused images that were kept to where the report looks for them."""
    import pyarrow.dataset as ds

    from ivfuse.benchmark.store import Store
    from ivfuse.cluster.locations import join, read_bytes
    from ivfuse.runtime.files import write_atomic

    kept = done.folder.rows().to_table(["id", "method", "fused"], filter=ds.field("fused") != "")
    for row in kept.to_pylist():
        target = Store(plan.out).image(name, row["method"], row["id"])
        write_atomic(target, read_bytes(join(done.folder.location, row["fused"])))
