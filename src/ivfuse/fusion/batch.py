"""Batch fusion of pairs into a folder, which continues after failures and can be interrupted and resumed.

While one pair is fused, the next one is read and the previous one written, each in a thread. The method is
loaded while the first pair is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import OutputError, Spell, in_python, reason_of
from ivfuse.fusion.method import PreloadedMethod
from ivfuse.fusion.outputs import FusedImage, Output, write_outputs
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser, FuseResult
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import make_folder, refuse_input_as_output

Outcome = Literal["done", "skipped", "failed"]
OnProgress = Callable[[str, Outcome], None]

OVERLAP_PIXELS = 4_000_000  # larger images are processed one at a time, so that only one is in memory


class Failure(NamedTuple):
    """A pair that could not be fused.

    Attributes:
        name: name of the pair.
        error: the reason.
    """

    name: str
    error: Exception

    def reason(self, spell: Spell = in_python) -> str:
        """Render the error as one line, with the fields spelled as the caller's users know them."""
        return reason_of(self.error, spell)


class Summary(NamedTuple):
    """Outcome of a batch.

    Attributes:
        done: results of the fused pairs, in order.
        skipped: names of the pairs whose output already existed.
        failed: the pairs that could not be fused.
        stopped: whether the run was interrupted, so that the remaining pairs were not processed.
    """

    done: tuple[FuseResult, ...]
    skipped: tuple[str, ...]
    failed: tuple[Failure, ...]
    stopped: bool = False


class _Job(NamedTuple):
    """A pair of files and the path of each kind of output."""

    pair: FilePair
    files: dict[str, Path]

    @property
    def out(self) -> Path:
        """The file of the fused image; the pair is done if it exists."""
        return self.files[FusedImage.kind]


def fuse_pairs(
    fuser: Fuser,
    pairs: Sequence[FilePair],
    image: FusedImage,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    extra: Sequence[Output] = (),
) -> Summary:
    """Fuse pairs of files and write one image per pair.

    Args:
        fuser: the method and its options.
        pairs: the pairs to fuse.
        image: target and format of the fused images; a missing folder is created.
        overwrite: whether to replace existing outputs; otherwise their pairs are skipped.
        on_progress: function that is called after each pair with its name and outcome.
        extra: further outputs, written before the image.

    Returns:
        The summary. An interrupt (Ctrl-C) ends the run after the image that is being written, and the summary
        is marked as stopped.

    Raises:
        UsageError: before any pair is fused, if an output of several pairs is a single file.
        OutputError: before any pair is fused, if two pairs would write the same file, an output is an input,
            or the folder cannot be created.
    """
    run = _Run(fuser, [*extra, image], image.dtype, on_progress or (lambda name, outcome: None))
    todo = []
    for job in _plan(pairs, run.outputs):
        if job.out.exists() and not overwrite:
            run.skip(job)
        else:
            todo.append(job)
    run.all(todo)
    return Summary(tuple(run.done), tuple(run.skipped), tuple(run.failed), run.stopped)


def _plan(pairs: Sequence[FilePair], outputs: Sequence[Output]) -> list[_Job]:
    """Determine the output paths of each pair and check them for collisions."""
    jobs = [
        _Job(pair, {each.kind: each.path_for(pair.name, len(pairs)) for each in outputs}) for pair in pairs
    ]
    for folder in {job.out.parent for job in jobs}:
        make_folder(folder)
    taken: dict[Path, FilePair] = {}
    for job in jobs:
        if other := taken.get(job.out):
            raise OutputError(
                f"{job.out}: two pairs would write this file: {other.vi} and {job.pair.vi}; rename one"
            )
        taken[job.out] = job.pair
        for path in job.files.values():
            refuse_input_as_output(path, job.pair.ir, job.pair.vi)
            if path != job.out:
                refuse_input_as_output(path, job.out)
    return jobs


@dataclass
class _Run:
    """State of a batch."""

    fuser: Fuser
    outputs: Sequence[Output]
    dtype: np.dtype[Any]
    tell: OnProgress
    done: list[FuseResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    stopped: bool = False
    writing: tuple[_Job, Future[None]] | None = None

    def all(self, jobs: list[_Job]) -> None:
        """Fuse the jobs in order while files are read ahead and written in the background."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="ivfuse-files") as pool:
            try:
                self._pipeline(jobs, pool)
            except KeyboardInterrupt:
                self.stopped = True
            self._settle()

    def _pipeline(self, jobs: list[_Job], pool: ThreadPoolExecutor) -> None:
        reading: Future[tuple[Pair, float]] | None = None
        for index, job in enumerate(jobs):
            current = reading or pool.submit(self._read, job)
            reading = None
            try:
                loading = self._preload()
                pair, seconds = current.result()
                seconds = max(seconds, loading)
                small = pair.thermal.pixels.size <= OVERLAP_PIXELS
                if small and index + 1 < len(jobs):
                    reading = pool.submit(self._read, jobs[index + 1])
                started = time.perf_counter()
                fused = self.fuser.fuse_pair(pair, dtype=self.dtype)
                seconds += time.perf_counter() - started
            except Exception as error:  # one unusable pair must not end the run
                self._fail(job, error)
                continue
            self._settle()
            self.writing = (job, pool.submit(self._write, job, fused, pair, seconds))
            if not small:
                self._settle()
            del current, pair, fused

    def skip(self, job: _Job) -> None:
        """Record a pair whose output already exists."""
        self.skipped.append(job.pair.name)
        self.tell(job.pair.name, "skipped")

    def _preload(self) -> float:
        """Load the method if it is not yet loaded, and return the seconds that this took."""
        started = time.perf_counter()
        if isinstance(self.fuser.method, PreloadedMethod):
            self.fuser.method.preload()
        return time.perf_counter() - started

    def _read(self, job: _Job) -> tuple[Pair, float]:
        started = time.perf_counter()
        pair = self.fuser.read(job.pair.ir, job.pair.vi)
        return pair, time.perf_counter() - started

    def _write(self, job: _Job, fused: NDArray[Any], pair: Pair, seconds: float) -> None:
        started = time.perf_counter() - seconds
        notes = write_outputs(self.outputs, job.files, pair, fused)
        extra = {kind: path for kind, path in job.files.items() if kind != FusedImage.kind}
        seconds = time.perf_counter() - started
        # Recorded by the writing thread: an interrupt may reach the main thread before it has the future.
        inputs = tuple(dict.fromkeys((job.pair.ir, job.pair.vi)))
        height, width = fused.shape[:2]
        self.done.append(FuseResult(job.out, height, width, seconds, notes, extra, inputs, job.pair.name))

    def _settle(self) -> None:
        """Wait for the pending write, if any, and record its outcome."""
        if self.writing is None:
            return
        job, future = self.writing
        try:
            future.result()
        except Exception as error:  # see _pipeline
            self.writing = None
            self._fail(job, error)
        else:
            self.writing = None
            self.tell(job.pair.name, "done")

    def _fail(self, job: _Job, error: Exception) -> None:
        self.failed.append(Failure(job.pair.name, error))
        self.tell(job.pair.name, "failed")
