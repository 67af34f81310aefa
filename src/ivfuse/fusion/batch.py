"""Many pairs into a folder: goes on past a bad pair, can be stopped and run again.

While one pair is fused, the next is read and the last is written, each by a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ivfuse.errors import OutputError, Spell, in_python, reason_of
from ivfuse.fusion.outputs import FusedImage, Output
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser, FuseResult, write_outputs
from ivfuse.image.arrays import Pixels
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import make_folder, refuse_input_as_output

Outcome = Literal["done", "skipped", "failed"]
OnProgress = Callable[[str, Outcome], None]

OVERLAP_PIXELS = 4_000_000  # larger images go one after another, so that only one is in memory


@dataclass(frozen=True)
class Failure:
    """A pair that could not be fused.

    Attributes:
        name: of the pair.
        error: why.
    """

    name: str
    error: Exception

    def reason(self, spell: Spell = in_python) -> str:
        """The error as one line, its fields spelled as the caller's users know them."""
        return reason_of(self.error, spell)


@dataclass(frozen=True)
class Summary:
    """What became of the pairs of a folder.

    Attributes:
        done: the pairs that were fused, in their order.
        skipped: names of the pairs whose output was there already.
        failed: the pairs that could not be fused.
        stopped: the run was interrupted; the remaining pairs were not tried.
    """

    done: tuple[FuseResult, ...]
    skipped: tuple[str, ...]
    failed: tuple[Failure, ...]
    stopped: bool = False


@dataclass(frozen=True)
class _Job:
    """A pair of files and where each kind of output goes."""

    pair: FilePair
    files: dict[str, Path]

    @property
    def out(self) -> Path:
        """The fused image's file, which tells whether the pair is done."""
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
    """Fuse pairs of files, each into an image of its own.

    Args:
        fuser: the method and its options.
        pairs: what to fuse.
        image: where the images go and how they are written; a folder is made if it does not exist.
        overwrite: replace outputs that exist; without it their pairs are skipped.
        on_progress: called after each pair with its name and what became of it.
        extra: further outputs, written before the image.

    Returns:
        The summary. An interrupt (Ctrl-C) ends the run after the image that is being written; the summary
        then says ``stopped``.

    Raises:
        UsageError: before any work, if an output of many pairs names a single file.
        OutputError: before any work, if two pairs would write the same file, an output is an input, or the
            folder cannot be made.
    """
    run = _Run(fuser, [*extra, image], on_progress or (lambda name, outcome: None))
    todo = []
    for job in _plan(pairs, run.outputs):
        if job.out.exists() and not overwrite:
            run.skip(job)
        else:
            todo.append(job)
    run.all(todo)
    return Summary(tuple(run.done), tuple(run.skipped), tuple(run.failed), run.stopped)


def _plan(pairs: Sequence[FilePair], outputs: Sequence[Output]) -> list[_Job]:
    """Where each pair goes; refuses collisions before any work is done."""
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
    """The state of one run over a folder."""

    fuser: Fuser
    outputs: Sequence[Output]
    tell: OnProgress
    done: list[FuseResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
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
        reading: Future[tuple[Pair, float]] | None = None
        for index, job in enumerate(jobs):
            current = reading or pool.submit(self._read, job)
            reading = None
            try:
                pair, seconds = current.result()
                small = pair.thermal.pixels.size <= OVERLAP_PIXELS
                if small and index + 1 < len(jobs):
                    reading = pool.submit(self._read, jobs[index + 1])
                started = time.perf_counter()
                fused = self.fuser.fuse_pair(pair)
                seconds += time.perf_counter() - started
            except Exception as error:  # a bad pair must not end the run
                self._fail(job, error)
                continue
            self._settle()
            self.writing = (job, pool.submit(self._write, job, fused, pair, seconds))
            if not small:
                self._settle()
            del current, pair, fused

    def skip(self, job: _Job) -> None:
        """Note a pair whose output exists."""
        self.skipped.append(job.pair.name)
        self.tell(job.pair.name, "skipped")

    def _read(self, job: _Job) -> tuple[Pair, float]:
        started = time.perf_counter()
        pair = self.fuser.read(job.pair.ir, job.pair.vi)
        return pair, time.perf_counter() - started

    def _write(self, job: _Job, fused: Pixels, pair: Pair, seconds: float) -> None:
        started = time.perf_counter() - seconds
        notes = write_outputs(self.outputs, job.files, pair, fused)
        extra = {kind: path for kind, path in job.files.items() if kind != FusedImage.kind}
        seconds = time.perf_counter() - started
        # Noted by the thread that wrote it: an interrupt can hit the other one before it holds the future.
        self.done.append(FuseResult(job.out, fused.shape[0], fused.shape[1], seconds, notes, extra))

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
        self.failed.append(Failure(job.pair.name, error))
        self.tell(job.pair.name, "failed")
