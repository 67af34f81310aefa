"""Runs a benchmark: fuses all pairs with all methods, then scores them; failures do not stop it.

Methods alternate on each pair, one at a time, each in a process of its own: load on the machine affects all
of them alike, and time and memory are those of one method. Scoring is not timed and runs in parallel. A run
that was interrupted resumes where it stopped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ivfuse.benchmark.datasets import DataSet
from ivfuse.benchmark.digests import digest, file_digest, metrics_version
from ivfuse.benchmark.jobs import FuseJob, ScoreJob, Setup
from ivfuse.benchmark.plan import Entry, Plan
from ivfuse.benchmark.store import Record, Store
from ivfuse.errors import InputError
from ivfuse.image.pairing import FilePair
from ivfuse.runtime.files import make_folder
from ivfuse.runtime.processes import Reply, Worker, ask_all, available_cpus

Stage = Literal["fuse", "score"]
OnProgress = Callable[[str, bool], None]  # what was done, and whether an earlier result was reused

_FUSE = "ivfuse.benchmark.jobs:make_fuse"
_SCORE = "ivfuse.benchmark.jobs:make_score"


@dataclass(frozen=True)
class Problem:
    """An image without scores.

    Attributes:
        data, method, pair: names that identify it.
        kind: ``missing`` (an external file), ``fuse`` or ``score`` (the stage that failed).
        reason: one line.
    """

    data: str
    method: str
    pair: str
    kind: Literal["missing", "fuse", "score"]
    reason: str


@dataclass
class Outcome:
    """The outcome of a run.

    Attributes:
        records: (data set, method, pair) -> record, of images with scores.
        problems: all other images.
        reused: number of fused images and scored pairs reused from an earlier run.
    """

    records: dict[tuple[str, str, str], Record] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reused: Counter[Stage] = field(default_factory=Counter)


def run(plan: Plan, jobs: int | None = None, on_progress: OnProgress | None = None) -> Outcome:
    """Run a benchmark.

    Args:
        plan: its settings.
        jobs: processes for scoring; by default one per CPU.
        on_progress: called after each fused image and each scored pair.

    Raises:
        OutputError: if the folder of the report cannot be written.
    """
    make_folder(plan.out)
    work = _Run(plan, jobs or available_cpus(), on_progress or (lambda what, reused: None))
    work.fuse_all()
    work.score_all()
    order = {entry.name: index for index, entry in enumerate(plan.entries)}
    sets = [data.name for data in plan.sets]
    work.outcome.problems.sort(key=lambda each: (sets.index(each.data), order[each.method]))
    return work.outcome


class _Run:
    """The state of one run."""

    def __init__(self, plan: Plan, jobs: int, on_progress: OnProgress) -> None:
        self.plan, self.jobs, self.report = plan, jobs, on_progress
        self.store = Store(plan.out)
        self.outcome = Outcome()
        self.fused: dict[tuple[str, str, str], Record] = {}
        self.digests: dict[tuple[str, str], tuple[str, str]] = {}

    def fuse_all(self) -> None:
        """Fuse every pair with every method, except external ones."""
        own = [entry for entry in self.plan.entries if entry.external is None]
        with self._workers(own) as workers:
            for data in self.plan.sets:
                for number, pair in enumerate(data.pairs):
                    # rotate, so that no method is always the first one to read the files, from a cold cache
                    start = number % max(1, len(own))
                    for entry in [*own[start:], *own[:start]]:
                        self._fuse(data, pair, entry, workers[entry.name])

    def score_all(self) -> None:
        """Score the images of every pair, in several processes."""
        requests: list[tuple[DataSet, FilePair, ScoreJob]] = []
        for data in self.plan.sets:
            for pair in data.pairs:
                job = self._score_job(data, pair)
                if job.wanted:
                    requests.append((data, pair, job))
                else:
                    self.outcome.reused["score"] += 1
                    self.report(f"score {data.name} {pair.name}", True)
        for index, reply in ask_all(_SCORE, None, [job for _, _, job in requests], self.jobs):
            self._keep_scores(*requests[index], reply)
            self.report(f"score {requests[index][0].name} {requests[index][1].name}", False)
        for (data_name, method, pair_name), record in self.fused.items():
            if all(name in record.scores for name in self.plan.conventions):
                self.outcome.records[data_name, method, pair_name] = record

    @contextmanager
    def _workers(self, own: list[Entry]) -> Iterator[dict[str, Worker]]:
        window, threads, device = self.plan.ir_window, self.plan.threads, self.plan.device
        setups = {
            entry.name: Setup(entry.method or entry.name, window, threads, device, entry.emphasis)
            for entry in own
        }
        workers = {name: Worker(_FUSE, setup, threads) for name, setup in setups.items()}
        try:
            yield workers
        finally:
            for worker in workers.values():
                worker.close()

    def _fuse(self, data: DataSet, pair: FilePair, entry: Entry, worker: Worker) -> None:
        key = (data.name, entry.name, pair.name)
        what = f"fuse {data.name} {pair.name} {entry.name}"
        try:
            settings = self._settings(timed=True)
            version = digest(*self._sources(data, pair), entry.name, entry.version, settings)
            record, out = self.store.load(*key), self.store.image(*key)
            if record.key == version and out.is_file() and file_digest(out) == record.digest:
                self.fused[key] = record
                self.outcome.reused["fuse"] += 1
                self.report(what, True)
                return
            reply = worker.ask(FuseJob(pair.ir, pair.vi, out))
            if not reply.failure:
                facts = {**asdict(reply.value), "notes": list(reply.value.notes)}
                self.fused[key] = Record(version, file_digest(out), **facts)
                self.store.save(*key, self.fused[key])
        except InputError as error:
            reply = Reply(failure=str(error))
        if reply.failure:
            self._fail(key, "fuse", reply.failure)
        self.report(what, False)

    def _score_job(self, data: DataSet, pair: FilePair) -> ScoreJob:
        """The missing scores of a pair; missing images are recorded as problems."""
        fused = {}
        wanted: dict[str, dict[str, list[str]]] = {}
        for entry in self.plan.entries:
            key = (data.name, entry.name, pair.name)
            path = self._image(data, pair, entry)
            if path is None:
                continue
            record = self.fused[key]
            missing = self._missing_scores(record, self._score_key(data, pair, record))
            if missing:
                fused[entry.name], wanted[entry.name] = path, missing
        return ScoreJob(pair.ir, pair.vi, fused, wanted, self.plan.ir_window)

    def _image(self, data: DataSet, pair: FilePair, entry: Entry) -> Any:
        """The fused file, whose record is stored in ``fused``; ``None`` if there is none."""
        key = (data.name, entry.name, pair.name)
        if entry.external is None:
            return self.store.image(*key) if key in self.fused else None
        path = entry.external[data.name].get(pair.name)
        if path is None:
            self._fail(key, "missing", "no fused image")
            return None
        try:
            found = file_digest(path)
            self._sources(data, pair)
        except InputError as error:
            self._fail(key, "score", str(error))
            return None
        record = self.store.load(*key)
        self.fused[key] = record if record.digest == found else Record(digest=found)
        return path

    def _missing_scores(self, record: Record, key: str) -> dict[str, list[str]]:
        """Convention -> metrics that a record lacks; scores of other files or other code are discarded."""
        todo = {}
        for convention in self.plan.conventions:
            if record.scores.get(convention, {}).get("key") != key:
                record.scores.pop(convention, None)
            there = record.scores.get(convention, {}).get("values", {})
            if missing := [name for name in self.plan.measured(convention) if name not in there]:
                todo[convention] = missing
        return todo

    def _keep_scores(self, data: DataSet, pair: FilePair, job: ScoreJob, reply: Reply) -> None:
        for method, conventions in job.wanted.items():
            key = (data.name, method, pair.name)
            record = self.fused[key]
            answer = {} if reply.failure else reply.value[method]
            failures = []
            for convention in conventions:
                found = answer.get(convention, reply.failure)
                if isinstance(found, str):
                    failures.append(found)
                    record.scores.pop(convention, None)
                    continue
                kept = record.scores.setdefault(
                    convention,
                    {"key": self._score_key(data, pair, record), "values": {}, "reasons": {}, "counts": {}},
                )
                for what in ("values", "reasons", "counts"):
                    kept[what].update(found[what])
            if failures:
                self._fail(key, "score", failures[0])
            self.store.save(*key, record)

    def _score_key(self, data: DataSet, pair: FilePair, record: Record) -> str:
        return digest(record.digest, *self._sources(data, pair), self._settings(), metrics_version())

    def _sources(self, data: DataSet, pair: FilePair) -> tuple[str, str]:
        """Digests of the source images, which are read once."""
        key = (data.name, pair.name)
        if key not in self.digests:
            self.digests[key] = (file_digest(pair.ir), file_digest(pair.vi))
        return self.digests[key]

    def _settings(self, timed: bool = False) -> str:
        """Settings that results depend on; times also depend on threads and device."""
        device = [] if self.plan.device == "auto" else [self.plan.device]
        return json.dumps([self.plan.ir_window, *([self.plan.threads, *device] if timed else [])])

    def _fail(self, key: tuple[str, str, str], kind: Any, reason: str) -> None:
        self.outcome.problems.append(Problem(*key, kind, reason))
