"""``ivfuse benchmark``: methods by data sets by metrics, with costs, statistics, tables and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    data: Annotated[
        list[Path],
        typer.Option("--data", metavar="DIR", help="Folder of pairs; may be given several times."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="REPORT", help="Folder of the report.")],
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Names with commas between, all, or none (with --fused).")
    ] = "all",
    fused: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Fused images of another program; may be given several times. With several sets DIR "
            "may hold a folder for each.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Metrics to rank by: names, families or all, with commas between; else the eight of the "
            "common tables.",
        ),
    ] = None,
    convention: Annotated[
        list[str] | None,
        typer.Option(help="Family of tables to follow: default, tang, li, cddfuse, vifb or liu; several go."),
    ] = None,
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white; else the 1st and 99th percentile of 16-bit files.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of a method; else as its runtime takes them.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes for scoring; else all processors.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap intervals.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
) -> None:
    """Compare methods on your pairs: fuse, time, score, rank, and write tables and a report.

    Methods take turns on each pair, one at a time, so that their times compare. A run that was stopped goes
    on when it is repeated: what was fused from the same files by the same version is not fused again. An
    image that fails is listed and counted, and the others go on.
    Exit code: 0 done, 1 some images have no scores (they are listed), 2 wrong use.

    \b
    Examples:
      ivfuse benchmark --data pairs/ -o report
      ivfuse benchmark --data roads/ --data TNO/ --methods laplacian,guided-filter -o report
      ivfuse benchmark --data TNO/ --fused CDDFuse=results/cddfuse --convention cddfuse -o report
    """
    from ivfuse.benchmark.plan import make_plan
    from ivfuse.benchmark.report.page import write_page
    from ivfuse.benchmark.results import collect
    from ivfuse.benchmark.run import run
    from ivfuse.benchmark.tables import write_tables
    from ivfuse.cli import benchmark_report
    from ivfuse.runtime.processes import available_cpus

    plan = make_plan(
        data,
        out,
        methods,
        fused or (),
        metrics,
        convention or (),
        ir_window=ir_window,
        threads=threads,
        seed=seed,
    )
    try:
        with benchmark_report.progress(plan.tasks, shown=not (quiet or json)) as tell:
            outcome = run(plan, jobs, tell)
    except KeyboardInterrupt:
        typer.echo("ivfuse: interrupted; run again to go on from here", err=True)
        raise typer.Exit(130) from None
    results = collect(plan, outcome)
    write_tables(results, out / "tables")
    write_page(results, out / "index.html", jobs or available_cpus())
    benchmark_report.say(results, outcome, json=json, quiet=quiet)
    raise typer.Exit(1 if results.problems else 0)
