"""The work of ``ivfuse eval``: the scores of fused images, a row per image and a column per metric."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ivfuse.cluster.locations import fetch
from ivfuse.cluster.pairs import PairRow
from ivfuse.cluster.work import SOURCE_DIGESTS
from ivfuse.errors import InputError, in_python
from ivfuse.image.pairing import FileTriple
from ivfuse.metrics import get_convention, get_metric
from ivfuse.metrics.evaluate import Scores
from ivfuse.metrics.folder import make_scorer
from ivfuse.thermal.tone_mapping import Window


def score_columns(names: Sequence[str], convention: str) -> list[tuple[str, pa.DataType]]:
    """The columns of scores: ``CONVENTION/METRIC``, counts as ``CONVENTION/METRIC#``, and reasons."""
    values = [(f"{convention}/{name}", pa.float64()) for name in names]
    counts = [(f"{convention}/{name}#", pa.int32()) for name in names if get_metric(name).count]
    return [*values, *counts, (f"{convention}/reasons", pa.string())]


def score_cells(scores: Scores, convention: str) -> dict[str, Any]:
    """The scores of one image in the columns of :func:`score_columns`; a missing value is null."""
    cells: dict[str, Any] = {
        f"{convention}/{name}": value if math.isfinite(value) else None
        for name, value in scores.values.items()
    }
    cells |= {f"{convention}/{name}#": count for name, count in scores.counts.items()}
    reasons = scores.reasons
    return {**cells, f"{convention}/reasons": json.dumps(reasons) if reasons else ""}


@dataclass(frozen=True)
class ScoreWork:
    """Scores fused images.

    Attributes:
        names: the metrics.
        convention: the family of tables to follow.
        ir_window: thermal values that become black and white.
    """

    names: tuple[str, ...]
    convention: str = "default"
    ir_window: Window | None = None
    name = "score"

    @property
    def columns(self) -> pa.Schema:
        """See :class:`ivfuse.cluster.work.Work`."""
        return pa.schema([*SOURCE_DIGESTS, *score_columns(self.names, self.convention)])

    def settings(self) -> dict[str, Any]:
        """See :class:`ivfuse.cluster.work.Work`."""
        window = None if self.ir_window is None else list(self.ir_window)
        return {"metrics": list(self.names), "convention": self.convention, "ir_window": window}

    def check(self) -> None:
        """Look up the names."""
        get_convention(self.convention)
        for name in self.names:
            get_metric(name)

    def session(self, threads: int) -> ScoreSession:
        """See :class:`ivfuse.cluster.work.Work`."""
        return ScoreSession(self)

    def failed(self, pair: PairRow, reason: str) -> list[dict[str, Any]]:
        """See :class:`ivfuse.cluster.work.Work`."""
        return [{}]


class ScoreSession:
    """Scores one image at a time; see :class:`ivfuse.cluster.work.Session`."""

    def __init__(self, work: ScoreWork) -> None:
        """Store what to do."""
        self.work = work
        self.score = make_scorer((list(work.names), work.convention, work.ir_window, None, in_python))

    def read(self, pair: PairRow, folder: Path) -> Scores:
        """Fetch the three images and score them: metrics need them all, so that nothing overlaps."""
        if not pair.fused:
            raise InputError("no fused image")
        ir = fetch(pair.ir, folder, "ir")
        vi = ir if pair.vi == pair.ir else fetch(pair.vi, folder, "vi")
        scored = self.score(FileTriple(pair.id, ir, vi, fetch(pair.fused, folder, "fused")))
        if scored.scores is None:
            raise InputError(scored.failure)
        return scored.scores

    def compute(self, data: Scores) -> Scores:
        """Nothing is left to do."""
        return data

    def write(self, pair: PairRow, result: Scores, folder: Path) -> list[dict[str, Any]]:
        """The row of scores."""
        return [score_cells(result, self.work.convention)]

    def finish(self, folder: Path) -> None:
        """Nothing is left to write."""
