"""The work of ``ivfuse benchmark``: all methods on a pair, their scores and times, and images of a sample."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from ivfuse.cluster.locations import fetch
from ivfuse.cluster.pairs import PairRow
from ivfuse.cluster.work import SOURCE_DIGESTS, method_version
from ivfuse.cluster.work_score import score_cells, score_columns
from ivfuse.errors import reason_of
from ivfuse.fusion.emphasis import EmphasisName
from ivfuse.fusion.outputs import FusedImage
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import is_learned
from ivfuse.image.arrays import to_levels
from ivfuse.metrics import Scorer, get_convention
from ivfuse.metrics.folder import read_sources
from ivfuse.metrics.triple import Levels
from ivfuse.thermal.read import ThermalOptions
from ivfuse.thermal.tone_mapping import Window


@dataclass(frozen=True)
class CompareWork:
    """Fuses and scores pairs with several methods.

    Attributes:
        methods: name in tables -> name or .onnx file of the method.
        metrics: convention -> metrics that are computed under it.
        ir_window: thermal values that become black and white.
        keep: share of the pairs whose fused images are kept, chosen by their ids; 0 to 1.
        emphases: name in tables -> emphasis of the method, for those that are not to have their own.
    """

    methods: tuple[tuple[str, str], ...]
    metrics: tuple[tuple[str, tuple[str, ...]], ...]
    ir_window: Window | None = None
    keep: float = 1.0
    emphases: tuple[tuple[str, EmphasisName], ...] = ()
    name = "compare"

    @property
    def columns(self) -> pa.Schema:
        """See :class:`ivfuse.cluster.work.Work`."""
        facts = [("stage", pa.string()), ("wall", pa.float64()), ("cpu", pa.float64())]
        size = [("height", pa.int32()), ("width", pa.int32())]
        scores = [column for convention, names in self.metrics for column in score_columns(names, convention)]
        return pa.schema([*SOURCE_DIGESTS, *facts, *size, *scores])

    def settings(self) -> dict[str, Any]:
        """See :class:`ivfuse.cluster.work.Work`."""
        return {
            "methods": [[name, *method_version(method)] for name, method in self.methods],
            "metrics": [[convention, list(names)] for convention, names in self.metrics],
            "ir_window": None if self.ir_window is None else list(self.ir_window),
            "keep": self.keep,
        }

    def check(self) -> None:
        """Create each method once, so that its errors come before the work."""
        for name, method in self.methods:
            self.fuser(name, method, 1)

    def fuser(self, name: str, method: str, threads: int) -> Fuser:
        """The pipeline of one method."""
        thermal = ThermalOptions() if self.ir_window is None else ThermalOptions(self.ir_window)
        threads_of = threads if is_learned(method) else None
        emphasis = dict(self.emphases).get(name)
        return Fuser(method, emphasis=emphasis, thermal=thermal, threads=threads_of, allow_damaged=None)

    def session(self, threads: int) -> CompareSession:
        """See :class:`ivfuse.cluster.work.Work`."""
        return CompareSession(self, threads)

    def failed(self, pair: PairRow, reason: str) -> list[dict[str, Any]]:
        """See :class:`ivfuse.cluster.work.Work`."""
        return [{"method": name, "stage": "fuse"} for name, _ in self.methods]

    def keeps(self, name: str) -> bool:
        """Whether the fused images of a pair are kept."""
        number = int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=4).digest(), "big")
        return number < self.keep * 2**32


@dataclass(frozen=True)
class _Read:
    """A pair that was read: as the methods take it, and as the metrics do."""

    name: str
    pair: Pair
    ir: Levels
    vi: Levels


class CompareSession:
    """Warm methods; see :class:`ivfuse.cluster.work.Session`."""

    def __init__(self, work: CompareWork, threads: int) -> None:
        """Create all methods."""
        self.work = work
        self.fusers = {name: work.fuser(name, method, threads) for name, method in work.methods}
        self.versions = {name: method_version(method)[1] for name, method in work.methods}
        self._warm: set[str] = set()

    def read(self, pair: PairRow, folder: Path) -> _Read:
        """Fetch and decode the images."""
        ir = fetch(pair.ir, folder, "ir")
        vi = ir if pair.vi == pair.ir else fetch(pair.vi, folder, "vi")
        both = next(iter(self.fusers.values())).read(ir, vi)
        return _Read(pair.id, both, *read_sources(ir, vi, self.work.ir_window))

    def compute(self, data: _Read) -> list[tuple[dict[str, Any], Any]]:
        """Fuse and score with each method; one that fails has a reason, and the others go on."""
        scorers = {name: Scorer(data.ir, data.vi, get_convention(name)) for name, _ in self.work.metrics}
        return [self._one(name, fuser, data, scorers) for name, fuser in self.fusers.items()]

    def _one(
        self, name: str, fuser: Fuser, data: _Read, scorers: Mapping[str, Scorer]
    ) -> tuple[dict[str, Any], Any]:
        row: dict[str, Any] = {"method": name, "weights": self.versions[name], "stage": "fuse"}
        try:
            if name not in self._warm:  # the first call loads and initializes what later ones reuse
                fuser.fuse_pair(data.pair)
                self._warm.add(name)
            wall, cpu = time.perf_counter(), time.thread_time()
            fused = fuser.fuse_pair(data.pair)
            row |= {"wall": time.perf_counter() - wall, "cpu": time.thread_time() - cpu}
            row |= {"height": fused.shape[0], "width": fused.shape[1], "stage": "score"}
            levels = to_levels(fused, 8)
            row |= _scores(scorers, levels, self.work.metrics)
        except Exception as error:  # one bad method must not prevent the scores of the others
            return {**row, "status": "failed", "reason": reason_of(error)}, None
        return row, (data.pair, fused) if self.work.keeps(data.name) else None

    def write(
        self, pair: PairRow, result: list[tuple[dict[str, Any], Any]], folder: Path
    ) -> list[dict[str, Any]]:
        """Write the images that are kept and return a row per method."""
        rows = []
        for row, kept in result:
            if kept is not None:
                path = folder / row["method"] / f"{pair.id}.png"
                FusedImage(path).write(path, *kept)
                row["fused"] = path.relative_to(folder).as_posix()
            rows.append(row)
        return rows

    def finish(self, folder: Path) -> None:
        """Nothing is left to write."""


def _scores(
    scorers: Mapping[str, Scorer], levels: Any, metrics: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for convention, names in metrics:
        cells |= score_cells(scorers[convention].score(levels, names), convention)
    return cells
