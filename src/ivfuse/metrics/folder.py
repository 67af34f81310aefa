"""Scores of many fused images, read from files: in parallel, in a fixed order, past files that fail."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ivfuse.errors import reason_of
from ivfuse.image.pairing import Trio
from ivfuse.image.read import Window, read_visible
from ivfuse.metrics.conventions import get_convention
from ivfuse.metrics.evaluate import Scores, score_many, to_levels
from ivfuse.metrics.registry import get_metric
from ivfuse.runtime.processes import Reply, ask_all, available_cpus
from ivfuse.thermal.read import read_colored

OnProgress = Callable[[str, Literal["done", "failed"]], None]

WORTH_PROCESSES = 2.0  # seconds of work below which starting workers costs more than it saves
_MAKE_SCORER = "ivfuse.metrics.folder:make_scorer"


@dataclass(frozen=True)
class Scored:
    """The outcome for one fused image: its scores, or why it has none."""

    trio: Trio
    scores: Scores | None
    failure: str = ""


def score_files(
    trios: Sequence[Trio],
    metrics: Sequence[str],
    convention: str = "default",
    jobs: int | None = None,
    ir_window: Window | None = None,
    on_progress: OnProgress | None = None,
) -> list[Scored]:
    """Score fused images from files.

    Files are brought to 8 bit: 16-bit images are divided, 16-bit thermal files mapped by the window.

    Args:
        trios: what to score.
        metrics: names of metrics.
        convention: which family of tables to follow.
        jobs: worker processes; one per CPU if not given. Little work is done without workers.
        ir_window: the thermal values that become black and white; see :func:`read_colored`.
        on_progress: called after each image, in the order of completion, with its name and outcome.

    Returns:
        One entry per trio, in their order. An image that cannot be read or whose size differs has a failure.

    Raises:
        UnknownNameError: before any work, no such metric or convention.
    """
    names = [get_metric(name).name for name in metrics]
    convention = get_convention(convention).name
    report = on_progress or (lambda name, outcome: None)
    result: dict[int, Scored] = {}
    for index, scored in _scored(trios, (names, convention, ir_window), jobs or available_cpus()):
        result[index] = scored
        report(scored.trio.name, "failed" if scored.scores is None else "done")
    return [result[index] for index in range(len(trios))]


_How = tuple[list[str], str, Window | None]


def _scored(trios: Sequence[Trio], how: _How, processes: int) -> Iterator[tuple[int, Scored]]:
    """Yield index and outcome of each trio on completion; the first one is timed to estimate the rest."""
    started = time.perf_counter()
    for index, trio in enumerate(trios[:1]):
        yield index, _score(trio, how)
    rest = range(1, len(trios))
    if min(processes, len(rest)) > 1 and (time.perf_counter() - started) * len(rest) > WORTH_PROCESSES:
        yield from _in_processes(trios, rest, how, min(processes, len(rest)))
    else:
        yield from ((index, _score(trios[index], how)) for index in rest)


def _in_processes(
    trios: Sequence[Trio], indices: Sequence[int], how: _How, processes: int
) -> Iterator[tuple[int, Scored]]:
    requests = [trios[index] for index in indices]
    for position, reply in ask_all(_MAKE_SCORER, how, requests, processes):
        yield indices[position], _outcome(reply, requests[position])


def make_scorer(how: _How) -> Callable[[Trio], Scored]:
    """Build the function that scores one fused image, in a worker process."""
    return partial(_score, how=how)


def _outcome(reply: Reply, trio: Trio) -> Scored:
    if reply.failure:
        return Scored(trio, None, reply.failure + ("; fewer jobs need less memory" if reply.died else ""))
    scored: Scored = reply.value
    return scored


def _score(trio: Trio, how: _How) -> Scored:
    names, convention, window = how
    try:
        # Color is kept, since conventions differ in how it becomes gray.
        ir = to_levels(read_colored(trio.ir, window).pixels, trio.ir.name)
        vi, fused = (to_levels(read_visible(path).pixels, path.name) for path in (trio.vi, trio.fused))
        return Scored(trio, score_many({"fused": fused}, ir, vi, names, convention)["fused"])
    except Exception as error:  # a bad image must not end the run
        return Scored(trio, None, reason_of(error))


def means(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, float]:
    """Return the mean of each metric over the images that have a value; NaN if none has."""
    rows = [each.scores.values for each in scored if each.scores is not None]
    result = {}
    for name in names:
        found = [row[name] for row in rows if not math.isnan(row[name])]
        result[name] = math.fsum(found) / len(found) if found else math.nan
    return result
