"""Many pairs into a folder: goes on past a bad pair, can be stopped and run again.

While one pair is fused, the next is read and the last is written, each by a thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ivfuse.errors import OutputError, UsageError, reason_of
from ivfuse.fusion.pipeline import Fuser, FuseResult, Loaded, refuse_input_as_output, write_fused
from ivfuse.image.pairing import Pair
from ivfuse.image.read import Rgb
from ivfuse.image.write import check_output

Outcome = Literal["done", "skipped", "failed"]
OnProgress = Callable[[str, Outcome], None]

OVERLAP_PIXELS = 4_000_000  # larger images go one after another, so that only one is in memory


@dataclass(frozen=True)
class Summary:
    """What became of the pairs of a folder.

    Attributes:
        done: the pairs that were fused, in their order.
        skipped: names of the pairs whose output was there already.
        failed: names of the pairs that could not be fused, each with the reason in one line.
        stopped: the run was interrupted; the remaining pairs were not tried.
    """

    done: tuple[FuseResult, ...]
    skipped: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    stopped: bool = False


@dataclass(frozen=True)
class _Job:
    """A pair and where its image and its temperatures go."""

    pair: Pair
    out: Path
    temperature: Path | None = None


def fuse_pairs(
    fuser: Fuser,
    pairs: Sequence[Pair],
    out_dir: str | os.PathLike[str],
    suffix: str = ".png",
    depth: int = 8,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    temperature: str | os.PathLike[str] | None = None,
) -> Summary:
    """Fuse pairs of files into a folder, one output ``<name><suffix>`` for each.

    Args:
        fuser: the method and its choices.
        pairs: what to fuse.
        out_dir: made if it does not exist.
        suffix: of the outputs, which chooses their format.
        depth: bits per channel of the outputs, 8 or 16.
        overwrite: replace outputs that exist; without it their pairs are skipped.
        on_progress: called after each pair with its name and what became of it.
        temperature: where rasters of temperatures go: a folder, or a .tif or .tiff file for a single pair;
            ``None`` for nowhere.

    Returns:
        The summary. An interrupt (Ctrl-C) ends the run after the image that is being written; the summary
            then says ``stopped``.

    Raises:
        UsageError: before any work, if the suffix is unknown or does not hold the depth, or one file of
            temperatures is named for many pairs.
        OutputError: before any work, if two pairs would write the same file, an output is an input, or the
            folder cannot be made.
    """
    check_output(Path("x" + suffix), depth)
    run = _Run(fuser, depth, on_progress or (lambda name, outcome: None))
    todo = []
    rasters = None if temperature is None else Path(temperature)
    for job in _plan(pairs, Path(out_dir), suffix, rasters):
        if job.out.exists() and not overwrite:
            run.skip(job)
        else:
            todo.append(job)
    run.all(todo)
    return Summary(tuple(run.done), tuple(run.skipped), tuple(run.failed), run.stopped)


def make_folder(folder: Path) -> None:
    """Make an output folder, or raise OutputError if that is not possible or nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the output folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: the output folder is not writable")


def _plan(pairs: Sequence[Pair], out_dir: Path, suffix: str, rasters: Path | None) -> list[_Job]:
    """Where each pair goes; refuses collisions before any work is done."""
    make_folder(out_dir)
    jobs = [
        _Job(pair, out_dir / f"{pair.name}{suffix}", _raster(pair, rasters, len(pairs))) for pair in pairs
    ]
    taken: dict[Path, Pair] = {}
    for job in jobs:
        if other := taken.get(job.out):
            raise OutputError(
                f"{job.out}: two pairs would write this file: {other.vi} and {job.pair.vi}; rename one"
            )
        taken[job.out] = job.pair
        refuse_input_as_output(job.out, job.pair.ir, job.pair.vi)
        if job.temperature is not None:
            refuse_input_as_output(job.temperature, job.pair.ir, job.pair.vi, job.out)
    return jobs


def _raster(pair: Pair, rasters: Path | None, pairs: int) -> Path | None:
    """Where the temperatures of a pair go."""
    if rasters is None:
        return None
    if rasters.suffix.lower() not in (".tif", ".tiff"):
        return rasters / f"{pair.name}.tiff"
    if pairs > 1:
        raise UsageError(f"{rasters}: one file of temperatures for {pairs} pairs, expected a folder")
    return rasters


@dataclass
class _Run:
    """The state of one run over a folder."""

    fuser: Fuser
    depth: int
    tell: OnProgress
    done: list[FuseResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False
    writing: tuple[_Job, Future[None]] | None = None

    def all(self, jobs: list[_Job]) -> None:
        """Fuse the jobs in their order, with reading ahead and writing behind."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="ivfuse-files") as pool:
            try:
                self._pipeline(jobs, pool)
            except KeyboardInterrupt:
                self.stopped = True
            self._settle()

    def _pipeline(self, jobs: list[_Job], pool: ThreadPoolExecutor) -> None:
        reading: Future[tuple[Loaded, float]] | None = None
        for index, job in enumerate(jobs):
            current = reading or pool.submit(self._read, job)
            reading = None
            try:
                loaded, seconds = current.result()
                small = loaded.ir.size <= OVERLAP_PIXELS
                if small and index + 1 < len(jobs):
                    reading = pool.submit(self._read, jobs[index + 1])
                started = time.perf_counter()
                fused = self.fuser.combine(loaded)
                seconds += time.perf_counter() - started
            except Exception as error:  # a bad pair must not end the run
                self._fail(job, error)
                continue
            self._settle()
            self.writing = (job, pool.submit(self._write, job, fused, loaded, seconds))
            if not small:
                self._settle()
            del current, loaded, fused

    def skip(self, job: _Job) -> None:
        """Note a pair whose output exists."""
        self.skipped.append(job.pair.name)
        self.tell(job.pair.name, "skipped")

    def _read(self, job: _Job) -> tuple[Loaded, float]:
        started = time.perf_counter()
        loaded = self.fuser.load(job.pair.ir, job.pair.vi)
        return loaded, time.perf_counter() - started

    def _write(self, job: _Job, fused: Rgb, loaded: Loaded, seconds: float) -> None:
        started = time.perf_counter() - seconds
        result = write_fused(job.out, fused, loaded, self.depth, started, job.temperature)
        # Noted by the thread that wrote it: an interrupt can hit the other one before it holds the future.
        self.done.append(result)

    def _settle(self) -> None:
        """Wait for the write that is under way, if there is one, and note what became of it."""
        if self.writing is None:
            return
        job, future = self.writing
        try:
            future.result()
        except Exception as error:  # as in the pipeline
            self.writing = None
            self._fail(job, error)
        else:
            self.writing = None
            self.tell(job.pair.name, "done")

    def _fail(self, job: _Job, error: Exception) -> None:
        self.failed.append((job.pair.name, reason_of(error)))
        self.tell(job.pair.name, "failed")
