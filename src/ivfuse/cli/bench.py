"""``ivfuse bench``: latency and peak memory of the methods on this machine."""

from __future__ import annotations

import json as json_module
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ivfuse.cli.tables import format_table
from ivfuse.cli.terminal import echo, echo_lines
from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.benchmark.latency import Cell, Latency, Size


def bench(
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Methods, separated by commas; or all.")
    ] = "all",
    sizes: Annotated[
        str,
        typer.Option(metavar="SIZES", help="WIDTHxHEIGHT, separated by commas; sides of 32 to 8192 pixels."),
    ] = "320x240,640x480,1280x720",
    runs: Annotated[int, typer.Option(min=5, help="Maximum number of timed runs per method and size.")] = 100,
    seconds: Annotated[
        float,
        typer.Option(min=0.0, help="Time limit per method and size, in seconds; at least 5 runs are timed."),
    ] = 5.0,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="CPU threads; default: chosen by the runtime.")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="Runtime of learned methods: auto, openvino or onnxruntime.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="Precision of learned methods: auto, fp32, bf16 or int8 (swift).")
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the latency and peak memory of each method for each image size on this machine.

    A run fuses a pair of 8-bit arrays into a color image; reading and writing files is not included. Each
    method and size runs in a process of its own, on synthetic scenes, after three warm-up runs.
    Exit code: 0 done, 1 a method failed (it is listed), 2 wrong use.

    \b
    Examples:
      ivfuse bench
      ivfuse bench --methods laplacian,crossfuse-cam --sizes 640x480,1920x1080
      ivfuse bench --threads 1 --json
    """
    from ivfuse.benchmark.latency import measure
    from ivfuse.cli.progress import bar

    cells = _cells(methods, _sizes(sizes), runs, seconds, threads, runtime, precision)
    results: list[Latency] = []
    if sys.stderr.isatty() and not json:
        with bar(len(cells)) as advance:
            for latency in measure(cells):
                results.append(latency)
                advance(latency.cell.method)
    else:
        results = list(measure(cells))
    if json:
        typer.echo(json_module.dumps([_as_json(result) for result in results], indent=2))
    else:
        echo_lines(_table(results))
    for latency in results:
        if latency.failure:
            echo(f"failed: {_label(latency)}: {latency.failure}", err=True)
    raise typer.Exit(1 if any(result.failure for result in results) else 0)


def _cells(
    methods: str,
    sizes: list[Size],
    runs: int,
    seconds: float,
    threads: int | None,
    runtime: str,
    precision: str,
) -> list[Cell]:
    """Every method at every size."""
    from ivfuse.benchmark.latency import Cell
    from ivfuse.benchmark.plan import method_names
    from ivfuse.fusion.registry import method_info

    names = method_names(methods)
    if not names:
        raise UsageError(field="methods", found=repr(methods), expected="names or all")
    cells = []
    for name in names:
        settings = (runtime, precision) if method_info(name).kind == "learned" else ("auto", "auto")
        cells += [Cell(name, width, height, runs, seconds, threads, *settings) for width, height in sizes]
    return cells


def _sizes(text: str) -> list[Size]:
    sizes = []
    for word in re.split(r"[,\s]+", text.strip()):
        fits = re.fullmatch(r"(\d{1,5})x(\d{1,5})", word.lower())
        if not fits or not all(32 <= int(side) <= 8192 for side in fits.groups()):
            raise UsageError(
                field="sizes", found=repr(word), expected="WIDTHxHEIGHT with sides of 32 to 8192 pixels"
            )
        sizes.append((int(fits[1]), int(fits[2])))
    return sizes


def _label(latency: Latency) -> str:
    return f"{latency.cell.method} {latency.cell.width}x{latency.cell.height}"


def _table(results: list[Latency]) -> list[str]:
    """One row per method and size."""
    rows: list[tuple[str, ...]] = [
        ("method", "size", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "peak MiB", "runs")
    ]
    for each in results:
        size = f"{each.cell.width}x{each.cell.height}"
        if each.failure:
            rows.append((each.cell.method, size, *["-"] * 6))
            continue
        times = (f"{value:.1f}" for value in (each.p50, each.p95, each.p99, each.cpu))
        rows.append((each.cell.method, size, *times, f"{each.peak:.0f}", str(each.runs)))
    return format_table(rows, "llr")


def _as_json(latency: Latency) -> dict[str, object]:
    values: dict[str, object] = {
        "method": latency.cell.method,
        "width": latency.cell.width,
        "height": latency.cell.height,
    }
    if latency.failure:
        return {**values, "failure": latency.failure}
    return {
        **values,
        "p50_ms": round(latency.p50, 3),
        "p95_ms": round(latency.p95, 3),
        "p99_ms": round(latency.p99, 3),
        "cpu_ms": round(latency.cpu, 3),
        "peak_mib": round(latency.peak, 1),
        "runs": latency.runs,
        "threads": latency.cell.threads,
    }
