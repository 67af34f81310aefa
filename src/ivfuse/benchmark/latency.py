"""Latency of a pair and peak memory on this machine, each method and size in a process of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.benchmark.jobs import peak_memory
from ivfuse.image.color import resize_to
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.processes import Worker
from ivfuse.synthetic.street import street_scene

Size = tuple[int, int]  # width, height in pixels

PERCENTILES = (50, 95, 99)
_WARM_UP = 3
_LEAST_RUNS = 5
_RENDERED = 640  # pixels; larger scenes are enlarged from this width, which saves minutes and changes no time


@dataclass(frozen=True)
class Cell:
    """What is measured in one process.

    Attributes:
        method: its name.
        width, height: of the pair, in pixels.
        runs: how often, at most.
        seconds: after which no further run begins.
        threads: CPU threads; ``None`` leaves them to the runtime.
        runtime, precision, device: of a learned method.
    """

    method: str
    width: int
    height: int
    runs: int
    seconds: float
    threads: int | None = None
    runtime: str = "auto"
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise UsageError if the threads are not 1 to 1024."""
        check_threads(self.threads)


@dataclass(frozen=True)
class Latency:
    """What was measured.

    Attributes:
        cell: of what.
        p50, p95, p99: percentiles of the time of a pair, in milliseconds.
        cpu: processor time of a pair, in milliseconds, the mean.
        peak: largest resident memory of the process, in MiB; 0 where the system does not tell.
        runs: how many were timed.
        failure: "" or why there are no numbers.
    """

    cell: Cell
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    runs: int = 0
    failure: str = ""


@dataclass(frozen=True)
class _Job:
    cell: Cell
    scenes: Path


def measure(cells: Sequence[Cell]) -> Iterator[Latency]:
    """Measure cells one after another, a fresh process for each.

    Yields:
        The result of each cell in their order; a failure is told in it and does not end the others.
    """
    with tempfile.TemporaryDirectory(prefix="ivfuse-bench-") as folder:
        for cell in cells:
            scenes = Path(folder) / f"{cell.width}x{cell.height}.npz"
            if not scenes.exists():
                _write_scenes(scenes, cell.width, cell.height)
            worker = Worker("ivfuse.benchmark.latency:make", None, cell.threads)
            try:
                reply = worker.ask(_Job(cell, scenes))
            finally:
                worker.close()
            yield Latency(cell, failure=reply.failure) if reply.failure else reply.value


def make(_: None) -> Callable[[_Job], Latency]:
    """Make the function that measures a cell, in its process."""
    return _measured


def _measured(job: _Job) -> Latency:
    """Time a pair again and again: arrays of 8 bit in, the fused image in color out."""
    from ivfuse.fusion.pipeline import Fuser

    cell = job.cell
    choices = {"runtime": cell.runtime, "precision": cell.precision, "device": cell.device}
    fuser = Fuser(cell.method, threads=cell.threads, **choices)  # type: ignore[arg-type]  # checked by the method
    with np.load(job.scenes) as scenes:
        pairs = [(scenes[f"ir{i}"], scenes[f"vi{i}"]) for i in range(2)]
    for index in range(_WARM_UP):
        fuser.fuse(*pairs[index % 2])
    walls: list[float] = []
    begun, cpu = time.perf_counter(), time.process_time()
    while len(walls) < cell.runs and (len(walls) < _LEAST_RUNS or time.perf_counter() - begun < cell.seconds):
        started = time.perf_counter()
        fuser.fuse(*pairs[len(walls) % 2])
        walls.append(time.perf_counter() - started)
    cpu = (time.process_time() - cpu) / len(walls)
    p50, p95, p99 = (float(x) * 1e3 for x in np.percentile(walls, PERCENTILES))
    return Latency(cell, p50, p95, p99, cpu * 1e3, peak_memory(), len(walls))


def _write_scenes(path: Path, width: int, height: int) -> None:
    """A street by night and by day, in 8 bit; rendered outside of the process whose memory is measured."""
    share = min(1.0, _RENDERED / max(width, height))
    small = max(32, round(height * share)), max(32, round(width * share))
    arrays: dict[str, Any] = {}
    for index, moment in enumerate(("night", "day")):
        scene = street_scene(*small, time=moment)  # type: ignore[arg-type]
        colors = [resize_to(np.ascontiguousarray(scene.vi[..., c]), height, width) for c in range(3)]
        arrays[f"ir{index}"] = np.rint(resize_to(scene.ir, height, width) * 255).astype(np.uint8)
        arrays[f"vi{index}"] = np.rint(np.dstack(colors) * 255).astype(np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)
