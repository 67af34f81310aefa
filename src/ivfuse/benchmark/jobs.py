"""Jobs of the benchmark's workers: fuse a pair with one method, score all fused images of a pair."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.errors import reason_of
from ivfuse.fusion.emphasis import EmphasisName
from ivfuse.fusion.outputs import FusedImage
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import is_learned
from ivfuse.image.read import read_visible
from ivfuse.metrics import Scorer, get_convention
from ivfuse.metrics.evaluate import to_levels
from ivfuse.metrics.folder import read_sources
from ivfuse.metrics.triple import Levels
from ivfuse.runtime.devices import Device
from ivfuse.thermal.read import ThermalOptions
from ivfuse.thermal.tone_mapping import Window


@dataclass(frozen=True)
class Setup:
    """A method and its settings; see :class:`ivfuse.benchmark.plan.Plan`."""

    method: str
    ir_window: Window | None = None
    threads: int | None = None
    device: Device = "auto"
    emphasis: EmphasisName | None = None


@dataclass(frozen=True)
class FuseJob:
    """A pair of files and the file to write."""

    ir: Path
    vi: Path
    out: Path


@dataclass(frozen=True)
class Fused:
    """The cost of a fusion; fields as in :class:`ivfuse.benchmark.store.Record`."""

    wall: float
    cpu: float
    peak: float
    height: int
    width: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ScoreJob:
    """The fused images of a pair and the scores to compute.

    Attributes:
        ir, vi: source images.
        fused: method -> fused file.
        wanted: method -> convention -> metrics.
        ir_window: thermal values that become black and white.
    """

    ir: Path
    vi: Path
    fused: Mapping[str, Path]
    wanted: Mapping[str, Mapping[str, Sequence[str]]]
    ir_window: Window | None = None


def make_fuse(setup: Setup) -> Callable[[FuseJob], Fused]:
    """Build the function that fuses pairs with one method and measures its cost."""
    thermal = ThermalOptions() if setup.ir_window is None else ThermalOptions(setup.ir_window)
    device = setup.device if is_learned(setup.method) else "auto"
    fuser = Fuser(
        setup.method,
        emphasis=setup.emphasis,
        thermal=thermal,
        threads=setup.threads,
        device=device,
        allow_damaged=None,
    )
    warm = False

    def fuse(job: FuseJob) -> Fused:
        nonlocal warm
        if not warm:  # the first call loads and initializes what later ones reuse
            fuser.fuse_pair(fuser.read(job.ir, job.vi))
            warm = True
        pair = fuser.read(job.ir, job.vi)
        wall, cpu = time.perf_counter(), time.process_time()
        fused = fuser.fuse_pair(pair)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        notes = pair.notes + FusedImage(job.out).write(job.out, pair, fused)
        return Fused(wall, cpu, peak_memory(), fused.shape[0], fused.shape[1], notes)

    return fuse


def make_score(_: Any) -> Callable[[ScoreJob], dict[str, dict[str, dict[str, Any] | str]]]:
    """Build the function that scores the fused images of a pair.

    Its result: method -> convention -> values, reasons and counts, or one line that says why there are none.
    """
    return score


def score(job: ScoreJob) -> dict[str, dict[str, dict[str, Any] | str]]:
    """Score the fused images of a pair; the source images are prepared once for all methods."""
    ir, vi = read_sources(job.ir, job.vi, job.ir_window)
    scorers: dict[str, Scorer] = {}
    result: dict[str, dict[str, dict[str, Any] | str]] = {}
    for method, path in job.fused.items():
        result[method] = {}
        try:
            fused = to_levels(read_visible(path, as_stored=True).pixels, path.name)
        except Exception as error:  # one bad file must not prevent the scores of the others
            result[method] = dict.fromkeys(job.wanted[method], reason_of(error))
            continue
        for convention, names in job.wanted[method].items():
            if convention not in scorers:
                scorers[convention] = Scorer(ir, vi, get_convention(convention))
            result[method][convention] = _scores(scorers[convention], fused, names)
    return result


def peak_memory() -> float:
    """Peak resident memory of this process so far, in MiB; 0 on systems without /proc."""
    try:
        # not getrusage: its peak includes that of the parent process before exec
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return 0.0


def _scores(scorer: Scorer, fused: Levels, names: Sequence[str]) -> dict[str, Any] | str:
    if fused.shape[:2] != scorer.vi.shape[:2]:
        found, expected = (f"{shape[1]}x{shape[0]}" for shape in (fused.shape, scorer.vi.shape))
        return f"mis-sized: {found}, expected {expected}"
    try:
        scores = scorer.score(fused, names)
    except Exception as error:  # as above
        return reason_of(error)
    values = {name: (float(value) if np.isfinite(value) else None) for name, value in scores.values.items()}
    return {"values": values, "reasons": scores.reasons, "counts": scores.counts}
