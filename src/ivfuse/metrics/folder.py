"""Scores of many fused images, read from files: in parallel, in a fixed order, past files that fail."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import Spell, in_python, reason_of
from ivfuse.image.arrays import Pixels
from ivfuse.image.color import luma, resize_to
from ivfuse.image.decode import allowing_damage
from ivfuse.image.pairing import FileTriple
from ivfuse.image.read import read_visible
from ivfuse.metrics.conventions import get_convention
from ivfuse.metrics.evaluate import Image, Scores, evaluate_arrays, score_many, to_levels
from ivfuse.metrics.registry import expand_names, get_metric
from ivfuse.metrics.triple import Levels
from ivfuse.runtime.processes import Reply, ask_all, available_cpus
from ivfuse.thermal.formats.registry import is_plain
from ivfuse.thermal.read import ThermalOptions, read_thermal
from ivfuse.thermal.tone_mapping import Window

Source = str | os.PathLike[str] | Image  # a path or an array
OnProgress = Callable[[str, Literal["done", "failed"]], None]

WORTH_PROCESSES = 2.0  # seconds of work below which starting workers costs more than it saves
_MAKE_SCORER = "ivfuse.metrics.folder:make_scorer"


@dataclass(frozen=True)
class Scored:
    """The outcome for one fused image: its scores, or why it has none.

    Attributes:
        triple: the files.
        scores: the numbers; ``None`` after a failure.
        failure: why there are none, in one line.
        resampled: whether the thermal image was resampled to the size of the visible one.
    """

    triple: FileTriple
    scores: Scores | None
    failure: str = ""
    resampled: bool = False


def evaluate(
    fused: Source,
    ir: Source,
    vi: Source,
    metrics: Iterable[str] | None = None,
    convention: str = "default",
) -> dict[str, float]:
    """Score one fused image, given as files or arrays.

    Args:
        fused: a path, or an array (H, W) or (H, W, 3) RGB; uint8, or float in [0, 1], which is rounded to 8
            bit first.
        ir: the infrared image, of the same height and width, in either form. A file of another size is
            resampled to that of ``vi``; 16-bit files are mapped by their 1st and 99th percentile.
        vi: the visible image, in the forms of ``fused``.
        metrics: names, or families of metrics; all if not given.
        convention: which family of tables to follow; it also says how color becomes gray.

    Returns:
        Metric name -> number, in the order asked; NaN where the metric has no value.

    Raises:
        InputError: if a file cannot be read, or an array is neither uint8 nor float in [0, 1].
        ShapeError: if sizes differ or an array is no image.
        UnknownNameError: if there is no such metric or convention.

    Example:
        >>> evaluate("fused.png", "thermal.png", "visible.jpg", metrics=["EN", "VIF"])  # doctest: +SKIP
        {'EN': 6.91, 'VIF': 0.87}
    """
    if isinstance(vi, str | os.PathLike):
        vi = read_visible(Path(vi)).pixels
    if isinstance(fused, str | os.PathLike):
        fused = read_visible(Path(fused), as_stored=True).pixels
    if isinstance(ir, str | os.PathLike):
        ir = _on_grid_of(np.asarray(vi), read_infrared(Path(ir)))
    return evaluate_arrays(fused, ir, vi, metrics, convention)


def score_files(
    triples: Sequence[FileTriple],
    metrics: Sequence[str],
    convention: str = "default",
    jobs: int | None = None,
    ir_window: Window | None = None,
    on_progress: OnProgress | None = None,
    *,
    allow_damaged: bool = False,
    spell: Spell = in_python,
) -> list[Scored]:
    """Score fused images from files.

    Files are brought to 8 bit: 16-bit images are divided, 16-bit thermal files mapped by the window.

    Args:
        triples: what to score.
        metrics: names of metrics.
        convention: which family of tables to follow.
        jobs: worker processes; one per CPU if not given. Little work is done without workers.
        ir_window: the thermal values that become black and white; see :func:`read_infrared`.
        on_progress: called after each image, in the order of completion, with its name and outcome.
        allow_damaged: use what can be decoded of damaged JPEG files.
        spell: how failures spell fields of the API; a function of a module, as workers call it too.

    Returns:
        One entry per triple, in their order. A thermal image of another size is resampled to that of the
        visible one. A fused image that cannot be read or whose size differs has a failure.

    Raises:
        UnknownNameError: before any work, no such metric or convention.
    """
    names = expand_names(metrics)
    convention = get_convention(convention).name
    report = on_progress or (lambda name, outcome: None)
    result: dict[int, Scored] = {}
    how = (names, convention, ir_window, allow_damaged, spell)
    for index, scored in _scored(triples, how, jobs or available_cpus()):
        result[index] = scored
        report(scored.triple.name, "failed" if scored.scores is None else "done")
    return [result[index] for index in range(len(triples))]


_How = tuple[list[str], str, Window | None, bool | None, Spell]


def _scored(triples: Sequence[FileTriple], how: _How, processes: int) -> Iterator[tuple[int, Scored]]:
    """Yield index and outcome of each triple on completion; the first one is timed to estimate the rest."""
    started = time.perf_counter()
    for index, triple in enumerate(triples[:1]):
        yield index, _score(triple, how)
    rest = range(1, len(triples))
    if min(processes, len(rest)) > 1 and (time.perf_counter() - started) * len(rest) > WORTH_PROCESSES:
        yield from _in_processes(triples, rest, how, min(processes, len(rest)))
    else:
        yield from ((index, _score(triples[index], how)) for index in rest)


def _in_processes(
    triples: Sequence[FileTriple], indices: Sequence[int], how: _How, processes: int
) -> Iterator[tuple[int, Scored]]:
    requests = [triples[index] for index in indices]
    for position, reply in ask_all(_MAKE_SCORER, how, requests, processes):
        yield indices[position], _outcome(reply, requests[position])


def make_scorer(how: _How) -> Callable[[FileTriple], Scored]:
    """Build the function that scores one fused image, in a worker process."""
    return partial(_score, how=how)


def _outcome(reply: Reply, triple: FileTriple) -> Scored:
    if reply.failure:
        return Scored(triple, None, reply.failure + ("; fewer jobs need less memory" if reply.died else ""))
    scored: Scored = reply.value
    return scored


def _score(triple: FileTriple, how: _How) -> Scored:
    names, convention, window, allow_damaged, spell = how
    try:
        # Color is kept, since conventions differ in how it becomes gray.
        with allowing_damage(allow_damaged):
            pixels = read_infrared(triple.ir, window)
            vi = to_levels(read_visible(triple.vi).pixels, triple.vi.name)
            fused = to_levels(read_visible(triple.fused, as_stored=True).pixels, triple.fused.name)
        resampled = pixels.shape[:2] != vi.shape[:2]
        ir = to_levels(_on_grid_of(vi, pixels), triple.ir.name)
        scores = score_many({"fused": fused}, ir, vi, names, convention)["fused"]
        return Scored(triple, scores, resampled=resampled)
    except Exception as error:  # a bad image must not end the run
        return Scored(triple, None, reason_of(error, spell))


def read_infrared(path: Path, window: Window | None = None) -> Pixels:
    """The infrared image of a triple, as metrics take it.

    Args:
        path: a thermal file of any known format.
        window: the thermal values that become black and white; ``None`` for 8-bit images as they are, and the
            1st to 99th percentile of all others.

    Returns:
        (H, W) float32 in [0, 1]; (H, W, 3) for an 8-bit color image without a window, since conventions
        differ in how color becomes gray.

    Raises:
        InputError: if it cannot be used.
        UsageError: if the window is empty.
    """
    if window is None and is_plain(path):
        image = read_visible(path, as_stored=True)
        if image.depth == 8:
            return image.pixels
    return read_thermal(path, ThermalOptions() if window is None else ThermalOptions(window)).pixels


def read_sources(ir: Path, vi: Path, ir_window: Window | None = None) -> tuple[Levels, Levels]:
    """Read thermal and visible image in 8 bits, on the visible grid as in the fusion."""
    visible = to_levels(read_visible(vi).pixels, vi.name)
    return to_levels(_on_grid_of(visible, read_infrared(ir, ir_window)), ir.name), visible


def _on_grid_of(visible: NDArray[Any], pixels: Pixels) -> Pixels:
    """A thermal image in the size of the visible one, as the fusion places it without a registration."""
    same = pixels.shape[:2] == visible.shape[:2]
    return pixels if same else resize_to(luma(pixels), *visible.shape[:2])


def means(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, float]:
    """Return the mean of each metric over the images that have a value; NaN if none has.

    The mean of a share of targets is over the targets of all images: each image weighs as many as it has.
    """
    rows = [each.scores for each in scored if each.scores is not None]
    result = {}
    for name in names:
        found = [(row.values[name], row.counts.get(name, 1)) for row in rows if name not in row.reasons]
        found = [(value, weight) for value, weight in found if not math.isnan(value)]
        total = sum(weight for _, weight in found)
        result[name] = math.fsum(value * weight for value, weight in found) / total if total else math.nan
    return result


def counts(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, int]:
    """Return how many things (targets) the means are over, for each metric that is a share of such."""
    rows = [each.scores for each in scored if each.scores is not None]
    return {name: sum(row.counts.get(name, 0) for row in rows) for name in names if get_metric(name).count}
