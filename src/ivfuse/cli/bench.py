"""``ivfuse bench``: latency and peak memory of the methods on this machine."""

from __future__ import annotations

import json as json_module
import re
import sys
from dataclasses import replace
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
        int | None, typer.Option(help="CPU threads, 1 to 1024; default: chosen by the runtime.")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="Runtime of learned methods: auto, openvino or onnxruntime.")
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="Precision of learned methods: auto, fp32, bf16 or int8 (swift).")
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Devices of learned methods, separated by commas; or all that this machine has.",
        ),
    ] = "all",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the latency and peak memory of each method for each image size on this machine.

    A run fuses a pair of 8-bit arrays into a color image; reading and writing files is not included. Each
    method, size and device runs in a process of its own, on synthetic scenes, after three warm-up runs.
    Exit code: 0 done, 1 a method failed (it is listed), 2 wrong use.

    \b
    Examples:
      ivfuse bench
      ivfuse bench --methods laplacian,crossfuse-cam --sizes 640x480,1920x1080
      ivfuse bench --methods swift --device cpu,cuda
      ivfuse bench --threads 1 --json
    """
    from ivfuse.benchmark.latency import Cell, measure
    from ivfuse.cli.progress import bar
    from ivfuse.runtime.devices import available_devices, describe_runtimes

    asked = Cell("", 0, 0, runs, seconds, threads, runtime, precision)
    devices = _devices(device, runtime, precision)
    cells = _cells(methods, _sizes(sizes), devices, asked)
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
        echo(f"devices of this machine: {', '.join(available_devices())} ({describe_runtimes()})")
        echo_lines(_table(results))
    for latency in results:
        if latency.failure:
            echo(f"failed: {_label(latency)}: {latency.failure}", err=True)
    raise typer.Exit(1 if any(result.failure for result in results) else 0)


def _cells(methods: str, sizes: list[Size], devices: list[str], asked: Cell) -> list[Cell]:
    """Every method at every size, learned methods on every device, with the settings of ``asked``."""
    from ivfuse.benchmark.plan import method_names
    from ivfuse.fusion.registry import method_info

    names = method_names(methods)
    if not names:
        raise UsageError(field="methods", found=repr(methods), expected="names or all")
    cells = []
    for name in names:
        learned = method_info(name).kind == "learned"
        base = asked if learned else replace(asked, runtime="auto", precision="auto")
        cells += [
            replace(base, method=name, width=width, height=height, device=device)
            for device in (devices if learned else ["cpu"])
            for width, height in sizes
        ]
    return cells


def _devices(names: str, runtime: str, precision: str) -> list[str]:
    """The devices to measure.

    Raises:
        UsageError, MissingExtraError, IvfuseError: if one is unknown, missing or does not go with the rest.
    """
    from ivfuse.runtime.devices import ACCELERATORS, available_devices, choose

    if names == "all":
        return [
            name
            for name in available_devices()
            if name == "cpu" or (precision != "bf16" and runtime in ("auto", ACCELERATORS[name].runtime))
        ]
    found = [name for name in re.split(r"[,\s]+", names.strip()) if name]
    if not found:
        raise UsageError(field="device", found=repr(names), expected="names or all")
    return list(dict.fromkeys(choose(runtime, precision, name).device for name in found))  # type: ignore[arg-type]


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
    cell = latency.cell
    return f"{cell.method} {cell.width}x{cell.height}" + (f" {cell.device}" if cell.device != "cpu" else "")


def _table(results: list[Latency]) -> list[str]:
    """One row per method and size."""
    rows: list[tuple[str, ...]] = [
        ("method", "device", "size", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "peak MiB", "runs")
    ]
    for each in results:
        size = f"{each.cell.width}x{each.cell.height}"
        if each.failure:
            rows.append((each.cell.method, each.cell.device, size, *["-"] * 6))
            continue
        times = (f"{value:.1f}" for value in (each.p50, each.p95, each.p99, each.cpu))
        rows.append((each.cell.method, each.cell.device, size, *times, f"{each.peak:.0f}", str(each.runs)))
    return format_table(rows, "lllr")


def _as_json(latency: Latency) -> dict[str, object]:
    values: dict[str, object] = {
        "method": latency.cell.method,
        "width": latency.cell.width,
        "height": latency.cell.height,
        "device": latency.cell.device,
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
