"""``ivfuse benchmark``: methods by data sets by metrics, with costs, statistics, tables and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli import (
    benchmark_protocol,
    benchmark_tasks,
    cluster_options,
    method_options,
    reading,
    sources,
)

if TYPE_CHECKING:
    from ivfuse.benchmark.plan import Plan


def benchmark(
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="DIR", help="Folder of pairs; may be given several times."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="REPORT", help="Folder of the report.")],
    methods: method_options.MethodNames = "all",
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
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:STRENGTH",
            help="Degrade the pairs first, as in haze:3 or rain:4,noise:2 (`ivfuse degrade --list`); may be "
            "given several times, none stands for the clean pairs.",
        ),
    ] = None,
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white, 255 0 for black-hot images; else the 1st and 99th "
            "percentile of 16-bit files.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of a method, 1 to 1024; else as its runtime takes them."),
    ] = None,
    device: method_options.DeviceName = "auto",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes for scoring; else all processors.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the bootstrap intervals and degradations; else 0.")
    ] = None,
    recursive: sources.Recursive = False,
    protocol: benchmark_protocol.ProtocolFile = None,
    save_protocol: benchmark_protocol.SaveProtocol = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the plots of the report as PDF and SVG files (Matplotlib)."),
    ] = None,
    max_pixels: reading.MaxPixels = None,
    labels: benchmark_tasks.LabelFiles = None,
    detector: benchmark_tasks.DetectorFile = None,
    detector_format: benchmark_tasks.DetectorFormat = None,
    detector_names: benchmark_tasks.DetectorNames = None,
    detector_size: benchmark_tasks.DetectorSize = None,
    class_map: benchmark_tasks.ClassMap = None,
    classes: benchmark_tasks.Classes = None,
    ignore_below: benchmark_tasks.IgnoreBelow = 0,
    export_detection: benchmark_tasks.ExportDetection = None,
    label_maps: benchmark_tasks.LabelMaps = None,
    label_set: benchmark_tasks.LabelSetName = "msrs",
    segmenter: benchmark_tasks.SegmenterFile = None,
    segmenter_scale: benchmark_tasks.SegmenterScale = "imagenet",
    predicted: benchmark_tasks.Predicted = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
    cluster: cluster_options.Cluster = None,
    max_failures: cluster_options.MaxFailures = None,
    shard: cluster_options.Shard = 256,
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
      ivfuse benchmark --data roads/ --methods swift@natural,swift,swift@targets -o report
      ivfuse benchmark --data roads/ --degrade none --degrade haze:3 --degrade rain:3 -o report
      ivfuse benchmark --data roads/ --labels boxes.json --detector yolov8n.onnx -o report
      ivfuse benchmark --data TNO/ --fused CDDFuse=results/cddfuse --convention cddfuse -o report
      ivfuse benchmark --data TNO/ --save-protocol tno.toml --plots figures -o report
      ivfuse benchmark --protocol tno.toml --data downloads/TNO/ -o report
      ivfuse benchmark --data s3://bucket/pairs.parquet --methods swift,laplacian --cluster auto -o report
    """
    if cluster is not None:
        from ivfuse.cli import benchmark_cluster

        given: dict[str, object] = {
            "fused": fused,
            "degrade": degrade,
            "labels": labels,
            "detector": detector,
        }
        given |= {"label_maps": label_maps, "segmenter": segmenter, "predicted": predicted}
        given |= {"protocol": protocol, "save_protocol": save_protocol, "plots": plots}
        given |= {"device": None if device == "auto" else device}
        cluster_options.refuse({**given, "export_detection": export_detection})
        choices = cluster_options.ClusterChoices(cluster, max_failures, jobs, shard, threads, json, quiet)
        asked = benchmark_cluster.Asked(
            methods, metrics, tuple(convention or ()), ir_window, seed or 0, recursive
        )
        raise typer.Exit(benchmark_cluster.run(data, out, asked, choices))
    cluster_options.needs_cluster(*data)
    if plots is not None:
        from ivfuse.benchmark.report.figures import check_matplotlib

        check_matplotlib()
    reading.limit_pixels(max_pixels)
    stated: dict[str, Any] = {
        "metrics": metrics,
        "convention": convention,
        "degrade": degrade,
        "ir_window": ir_window,
    }
    stated |= {"seed": seed, "recursive": recursive}
    read = benchmark_protocol.read(protocol, stated)
    tasks = benchmark_tasks.tasks(
        *(labels, detector, detector_format, detector_names, detector_size, class_map, classes, ignore_below),
        *(export_detection, label_maps, label_set, segmenter, segmenter_scale, predicted),
        copies=max(1, len(read.degradations if read else degrade or ())),
    )
    roots = [Path(each) for each in data]
    plan = benchmark_protocol.make_plan(read, roots, out, methods, fused or (), stated, threads, device)
    tasks.check(plan)
    benchmark_protocol.save(plan, save_protocol)
    raise typer.Exit(_measure(plan, tasks, jobs, plots, json=json, quiet=quiet))


def _measure(
    plan: Plan,
    tasks: benchmark_tasks.Tasks,
    jobs: int | None,
    plots: Path | None,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Carry out a plan and write the report; returns the exit code."""
    from ivfuse.benchmark.report.page import write_page
    from ivfuse.benchmark.results import collect
    from ivfuse.benchmark.run import run
    from ivfuse.benchmark.tables import write_tables
    from ivfuse.cli import benchmark_report
    from ivfuse.runtime.processes import available_cpus

    steps = plan.tasks + tasks.count(plan)
    try:
        with benchmark_report.progress(steps, shown=not (quiet or json)) as tell:
            outcome = run(plan, jobs, tell)
            done = tasks.carry_out(plan, jobs or available_cpus(), tell)
    except KeyboardInterrupt:
        typer.echo("ivfuse: interrupted; run again to go on from here", err=True)
        return 130
    results = collect(plan, outcome)
    write_tables(results, plan.out / "tables")
    write_page(results, plan.out / "index.html", jobs or available_cpus(), sections=done.sections)
    if plots is not None:
        from ivfuse.benchmark.report.figures import write_figures

        write_figures(results, plots)
    benchmark_report.print_results(results, outcome, done.tables, json=json, quiet=quiet)
    return 1 if results.problems or done.problems else 0
