"""``ivfuse bench``: latency and memory of the methods on this machine."""

from __future__ import annotations

import json as json_module
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ivfuse.cli.tables import format_table
from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.benchmark.latency import Cell, Latency, Size


def bench(
    methods: Annotated[str, typer.Option(metavar="NAMES", help="Names with commas between, or all.")] = "all",
    sizes: Annotated[
        str,
        typer.Option(metavar="SIZES", help="WIDTHxHEIGHT with commas between, sides of 32 to 8192 pixels."),
    ] = "320x240,640x480,1280x720",
    runs: Annotated[int, typer.Option(min=5, help="Timed runs of each, at most.")] = 100,
    seconds: Annotated[
        float,
        typer.Option(min=0.0, help="After so many seconds no further run of a cell begins; 5 runs at least."),
    ] = 5.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; else as the runtime takes them.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Of trained methods: auto, openvino or onnxruntime.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of trained methods: auto, fp32 or bf16.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how long each method takes for a pair of each size, and how much memory, on this machine.

    A pair goes from 8-bit arrays to the fused image in color; files are not read or written. Each method
    and size runs in a process of its own, on synthetic scenes, after three runs that are not counted.
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
    found: list[Latency] = []
    if sys.stderr.isatty() and not json:
        with bar(len(cells)) as advance:
            for latency in measure(cells):
                found.append(latency)
                advance(latency.cell.method)
    else:
        found = list(measure(cells))
    if json:
        typer.echo(json_module.dumps([_facts(x) for x in found], indent=2))
    else:
        typer.echo("\n".join(_table(found)))
    for latency in found:
        if latency.failure:
            typer.echo(f"failed: {_label(latency)}: {latency.failure}", err=True)
    raise typer.Exit(1 if any(x.failure for x in found) else 0)


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
        raise UsageError(f"--methods: found {methods!r}, expected names or all")
    cells = []
    for name in names:
        chosen = (runtime, precision) if method_info(name).kind == "learned" else ("auto", "auto")
        cells += [Cell(name, width, height, runs, seconds, threads, *chosen) for width, height in sizes]
    return cells


def _sizes(text: str) -> list[Size]:
    sizes = []
    for word in re.split(r"[,\s]+", text.strip()):
        fits = re.fullmatch(r"(\d{1,5})x(\d{1,5})", word.lower())
        if not fits or not all(32 <= int(side) <= 8192 for side in fits.groups()):
            raise UsageError(
                f"--sizes: found {word!r}, expected WIDTHxHEIGHT with sides of 32 to 8192 pixels"
            )
        sizes.append((int(fits[1]), int(fits[2])))
    return sizes


def _label(latency: Latency) -> str:
    return f"{latency.cell.method} {latency.cell.width}x{latency.cell.height}"


def _table(found: list[Latency]) -> list[str]:
    """A row for each method and size."""
    rows: list[tuple[str, ...]] = [
        ("method", "size", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "peak MiB", "runs")
    ]
    for x in found:
        size = f"{x.cell.width}x{x.cell.height}"
        if x.failure:
            rows.append((x.cell.method, size, *["-"] * 6))
            continue
        times = (f"{value:.1f}" for value in (x.p50, x.p95, x.p99, x.cpu))
        rows.append((x.cell.method, size, *times, f"{x.peak:.0f}", str(x.runs)))
    return format_table(rows, "llr")


def _facts(x: Latency) -> dict[str, object]:
    facts: dict[str, object] = {"method": x.cell.method, "width": x.cell.width, "height": x.cell.height}
    if x.failure:
        return {**facts, "failure": x.failure}
    return {
        **facts,
        "p50_ms": round(x.p50, 3),
        "p95_ms": round(x.p95, 3),
        "p99_ms": round(x.p99, 3),
        "cpu_ms": round(x.cpu, 3),
        "peak_mib": round(x.peak, 1),
        "runs": x.runs,
        "threads": x.cell.threads,
    }
