"""Carries out one shard: reads ahead and writes behind while it computes, and gives every pair its rows."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa

from ivfuse.cluster.locations import fetch
from ivfuse.cluster.pairs import PairRow
from ivfuse.cluster.run_folder import RunFolder
from ivfuse.cluster.work import COMMON, SOURCE_DIGESTS, Session, Work, code_version
from ivfuse.errors import InputError, reason_of
from ivfuse.runtime.files import check_regular
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.processes import Worker

CAREFUL_AFTER = 2  # attempts that ended with their process; then each pair is tried in a process of its own
REASONS = 3  # reasons of failures that a report carries


@dataclass(frozen=True)
class Job:
    """What workers are told of a run.

    Attributes:
        work: what to do.
        location: folder of the run.
        tar: whether images are written to tar archives.
        threads: threads of each worker.
    """

    work: Work
    location: str
    tar: bool
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise UsageError if the threads are not 1 to 1024."""
        check_threads(self.threads)


@dataclass(frozen=True)
class ShardReport:
    """The outcome of a shard.

    Attributes:
        shard: its number.
        done: pairs that were worked on.
        failed: pairs that could not be worked on.
        seconds: time that the shard took.
        reasons: some of the reasons, with the names of the pairs.
    """

    shard: int
    done: int
    failed: int
    seconds: float
    reasons: tuple[str, ...] = ()


class ShardWorker:
    """Carries out shards of one run with one warm session.

    Args:
        job: the run.
    """

    def __init__(self, job: Job) -> None:
        """Build the session, with which all shards are carried out."""
        import cv2

        cv2.setNumThreads(job.threads)
        self.job = job
        self.folder = RunFolder(job.location)
        self.session = job.work.session(job.threads)

    def run(self, number: int) -> ShardReport:
        """Carry out a shard, from its plan to its file of rows.

        Raises:
            InputError: if the plan cannot be read.
            OutputError: if results cannot be written.
        """
        started = time.perf_counter()
        pairs = self.folder.pairs_of(number)
        careful = self.folder.begin_attempt(number) >= CAREFUL_AFTER
        with self.folder.scratch(number) as scratch:
            if careful:
                found = _one_by_one(self.job, pairs, scratch)
            else:
                found = _overlapped(self.session, self.job.work, pairs, scratch)
                self.session.finish(scratch)
            rows = [row for some in found for row in some]
            schema = pa.unify_schemas([COMMON, self.job.work.columns])
            table = pa.Table.from_pylist(rows, schema=schema)
            self.folder.finish(number, scratch, table, self.job.tar)
        self.folder.end_attempts(number)
        bad = [some for some in found if any(row["status"] != "done" for row in some)]
        reasons = [f"{some[0]['id']}: {_reason(some)}" for some in bad[:REASONS]]
        seconds = time.perf_counter() - started
        return ShardReport(number, len(pairs) - len(bad), len(bad), seconds, tuple(reasons))


def _reason(rows: list[dict[str, Any]]) -> str:
    return next(str(row["reason"]) for row in rows if row["status"] != "done")


@dataclass(frozen=True)
class _Reading:
    """What reading a pair gave.

    Attributes:
        data: for the session; or the error in its place.
        digests: cells of the row on the content of the files.
        started: when it began, in seconds.
    """

    data: Any
    digests: dict[str, str]
    started: float

    def computed(self, session: Session) -> Any:
        """What the session makes of it; raises what reading or computing raises."""
        if isinstance(self.data, Exception):
            raise self.data
        return session.compute(self.data)


def _overlapped(
    session: Session, work: Work, pairs: list[PairRow], scratch: Path
) -> list[list[dict[str, Any]]]:
    """Work on pairs in order while the next one is read and the previous one written, each in a thread."""
    rows: list[list[dict[str, Any]]] = [[] for _ in pairs]
    writing: Future[None] | None = None

    def write(index: int, result: Any, read: _Reading) -> None:
        try:
            rows[index] = _completed(session.write(pairs[index], result, scratch), pairs[index], read)
        except Exception as error:  # one bad pair must not end the run
            rows[index] = _failed(work, pairs[index], error, read.digests)

    with _copies() as copies, ThreadPoolExecutor(2, thread_name_prefix="ivfuse-files") as pool:
        reading = pool.submit(_read, session, work, pairs[0], copies)
        for index, pair in enumerate(pairs):
            current = reading
            if index + 1 < len(pairs):
                reading = pool.submit(_read, session, work, pairs[index + 1], copies)
            read = current.result()
            try:
                result = read.computed(session)
            except Exception as error:  # as above
                rows[index] = _failed(work, pair, error, read.digests)
                continue
            if writing is not None:
                writing.result()
            writing = pool.submit(write, index, result, read)
        if writing is not None:
            writing.result()
    return rows


def _read(session: Session, work: Work, pair: PairRow, copies: Path) -> _Reading:
    """Read a pair; copies of its remote files are removed again."""
    started = time.perf_counter()
    folder = Path(mkdtemp(dir=copies))
    data: Any
    try:
        try:
            data = session.read(pair, folder)
        except Exception as error:
            reason = reason_of(error)
            data = InputError(_named_by_source(reason, folder, pair)) if str(folder) in reason else error
        return _Reading(data, _digests(work, pair, folder), started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _digests(work: Work, pair: PairRow, folder: Path) -> dict[str, str]:
    """The cells of :data:`SOURCE_DIGESTS`, if the work has them; ``folder`` holds what was fetched."""
    if not set(SOURCE_DIGESTS.names) <= set(work.columns.names):
        return {}
    ir = _digest(pair.ir, folder, "ir")
    return {"ir_sha256": ir, "vi_sha256": ir if pair.vi == pair.ir else _digest(pair.vi, folder, "vi")}


def _digest(location: str, folder: Path, stem: str) -> str:
    """SHA-256 of a file, by its copy if there is one; empty if it cannot be read."""
    try:
        path = next(folder.glob(f"{stem}*"), None) or fetch(location, folder, stem)
        check_regular(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (InputError, OSError):
        return ""


def _named_by_source(reason: str, folder: Path, pair: PairRow) -> str:
    """The reason with the locations of the pair instead of the paths of copies, which are gone by then."""
    locations = asdict(pair)
    copy = re.compile(rf"{re.escape(str(folder))}/(\w+)(\.\w+)?")
    return copy.sub(lambda found: str(locations.get(found[1], found[0])), reason)


@contextmanager
def _copies() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="ivfuse-copies-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _completed(rows: list[dict[str, Any]], pair: PairRow, read: _Reading) -> list[dict[str, Any]]:
    """Fill in the columns that all rows share."""
    common = {**asdict(pair), **read.digests, "status": "done", "reason": "", "code": code_version()}
    seconds = time.perf_counter() - read.started
    return [{**common, "seconds": seconds, **row} for row in rows]


def _failed(
    work: Work, pair: PairRow, error: Exception | str, digests: dict[str, str]
) -> list[dict[str, Any]]:
    reason = error if isinstance(error, str) else reason_of(error)
    common = {**asdict(pair), **digests, "status": "failed", "reason": reason, "code": code_version()}
    return [{**common, **row, "fused": ""} for row in work.failed(pair, reason)]


def _one_by_one(job: Job, pairs: list[PairRow], scratch: Path) -> list[list[dict[str, Any]]]:
    """Work on each pair in another process: one that ends it fails alone."""
    worker = Worker("ivfuse.cluster.shard:make_careful", (job, scratch), job.threads)
    try:
        rows = []
        for pair in pairs:
            reply = worker.ask(pair)
            if not reply.failure:
                rows.append(reply.value)
                continue
            with _copies() as folder:
                rows.append(_failed(job.work, pair, reply.failure, _digests(job.work, pair, folder)))
        return rows
    finally:
        worker.close()


def make_careful(argument: tuple[Job, Path]) -> Any:
    """Build the function that works on one pair, in a process of its own."""
    job, scratch = argument
    session = job.work.session(job.threads)

    def work(pair: PairRow) -> list[dict[str, Any]]:
        rows = _overlapped(session, job.work, [pair], scratch)
        session.finish(scratch)
        return rows[0]

    return work
