"""Scores of fused images: from arrays to named numbers, and from tables to ranks.

Images are brought to 8 bit before anything is measured: published numbers come from saved 8-bit files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError
from ivfuse.metrics.conventions import Convention, get_convention
from ivfuse.metrics.metric import Function, Undefined
from ivfuse.metrics.registry import METRICS, expand_names, get_metric
from ivfuse.metrics.triple import Levels, Sources, Triple

Image = NDArray[np.uint8] | NDArray[np.floating[Any]]

DEFAULT_METRICS = ("EN", "SD", "SF", "MI", "SCD", "VIF", "Qabf", "SSIM")

# What the eight do not ask: is what the thermal camera saw still there, does the image look like the scene?
SEEING = (
    *("targets_lost", "targets_seen", "targets_kept", "targets_bright", "hidden_lost", "hidden_seen"),
    *("tone_correlation", "tone_distance", "hue_change", "saturation_change"),
    *("clipped", "overshoot", "local_contrast"),
)


@dataclass(frozen=True)
class Scores:
    """The numbers of one fused image.

    Attributes:
        convention: the name of the convention they follow.
        values: metric name -> number; NaN where the metric has none.
        reasons: metric name -> why it has none.
        counts: metric name -> how many things (targets) its value is a share of; of such metrics alone.
    """

    convention: str
    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def evaluate_arrays(
    fused: Image, ir: Image, vi: Image, metrics: Iterable[str] | None = None, convention: str = "default"
) -> dict[str, float]:
    """Score one fused image.

    Args:
        fused: (H, W) or (H, W, 3) RGB; uint8, or float in [0, 1], which is rounded to 8 bit first.
        ir: the infrared image, of the same height and width, in either form.
        vi: the visible image, likewise.
        metrics: names, or families of metrics; all if not given.
        convention: which family of tables to follow; it also says how color becomes gray.

    Returns:
        Metric name -> number, in the order asked; NaN where the metric has no value.

    Raises:
        InputError: an array is neither uint8 nor float in [0, 1].
        ShapeError: sizes differ or an array is no image.
        UnknownNameError: no such metric or convention.

    Example:
        >>> evaluate_arrays(fused, ir, vi, metrics=["EN", "VIF"])  # doctest: +SKIP
        {'EN': 6.91, 'VIF': 0.87}
    """
    return score_many({"fused": fused}, ir, vi, metrics, convention)["fused"].values


def score_many(
    fused: Mapping[str, Image],
    ir: Image,
    vi: Image,
    metrics: Iterable[str] | None = None,
    convention: str = "default",
) -> dict[str, Scores]:
    """Score several fused images of one pair; what concerns the sources alone is computed once.

    Args, Raises: as :func:`evaluate_arrays`, with one image per name in ``fused``.

    Returns:
        Name -> scores, with the reason for every NaN.
    """
    chosen = get_convention(convention)
    names = list(METRICS) if metrics is None else expand_names(metrics)
    faults = {name: fault for name, what in (("ir", ir), ("vi", vi)) if (fault := _fault(what, name))}
    if faults:
        return {label: _nothing(chosen, names, faults) for label in fused}
    scorer = Scorer(ir, vi, chosen)
    return {label: scorer.score(image, names, label) for label, image in fused.items()}


class Scorer:
    """Scores fused images of one pair under one convention.

    Args:
        ir: the infrared image, all values finite; forms as in :func:`evaluate_arrays`.
        vi: the visible image, likewise.
        convention: which variants to use and what to do with color.
    """

    def __init__(self, ir: Image, vi: Image, convention: Convention) -> None:
        """Bring the sources to 8 bit."""
        self.ir = to_levels(ir, "ir")
        self.vi = to_levels(vi, "vi")
        self.convention = convention
        self._sources: dict[str, list[Sources]] = {}

    def score(self, fused: Image, names: Sequence[str], label: str = "fused") -> Scores:
        """Score one fused image; ``label`` names it in messages."""
        fault = _fault(fused, label)
        if fault:
            return _nothing(self.convention, names, {label: fault})
        levels = to_levels(fused, label)
        sizes = {name: what.shape[:2] for name, what in (("ir", self.ir), ("vi", self.vi), (label, levels))}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{name} {shape[1]}x{shape[0]}" for name, shape in sizes.items())
            raise ShapeError(f"images differ in size: {found}; expected one size for all")
        by_channel = self.convention.color == "channels" and levels.ndim == 3
        triples: dict[str, list[Triple]] = {}
        result = Scores(self.convention.name)
        for name in names:
            variant = self.convention.variant(name)
            apart = by_channel and METRICS[name].family == "images"
            layout = ("joined" if variant.joined else "channels") if apart else "gray"
            if layout not in triples:
                triples[layout] = self._triples(levels, layout)
            _measure(result, name, variant.function, triples[layout])
        return result

    def _triples(self, fused: Levels, layout: str) -> list[Triple]:
        if layout not in self._sources:
            planes = zip(self._planes(self.ir, layout), self._planes(self.vi, layout), strict=True)
            color = _color(self.vi, layout)
            self._sources[layout] = [Sources(ir, vi, color) for ir, vi in planes]
        color = _color(fused, layout)
        fused_planes = self._planes(fused, layout)
        pairs = self._sources[layout]
        return [Triple(pair, plane, color) for pair, plane in zip(pairs, fused_planes, strict=True)]

    def _planes(self, levels: Levels, layout: str) -> list[Levels]:
        if layout == "gray":
            return [self.convention.to_gray(levels) if levels.ndim == 3 else levels]
        channels = [levels[:, :, index] if levels.ndim == 3 else levels for index in range(3)]
        return [np.hstack(channels)] if layout == "joined" else channels


def mean_ranks(table: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Rank the methods by each metric and average the ranks.

    Args:
        table: method -> metric -> value, usually the mean over a data set.

    Returns:
        Method -> mean rank, 1 = best. Ties share the better rank; a NaN or missing value comes last.
    """
    names = dict.fromkeys(name for row in table.values() for name in row)
    sums = dict.fromkeys(table, 0)
    for name in names:
        sign = 1.0 if get_metric(name).higher_is_better else -1.0
        found = {method: sign * row.get(name, math.nan) for method, row in table.items()}
        goodness = {method: -math.inf if math.isnan(value) else value for method, value in found.items()}
        for method, value in goodness.items():
            sums[method] += 1 + sum(other > value for other in goodness.values())
    return {method: total / len(names) if names else math.nan for method, total in sums.items()}


def to_levels(image: Image, name: str) -> Levels:
    """Return an image in 8 bit: uint8 as it is, float in [0, 1] clipped, scaled by 255 and rounded.

    Raises:
        InputError: another dtype, or floats so far outside [0, 1] that another range must be meant.
        ShapeError: the array is neither (H, W) nor (H, W, 3).
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ShapeError(f"{name} has shape {array.shape}; expected (H, W) or (H, W, 3)")
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name} is {array.dtype}; expected uint8, or float in [0, 1]")
    if array.min() < -0.5 or array.max() > 1.5:
        found = f"{array.min():g}..{array.max():g}"
        raise InputError(f"{name} holds floats {found}; expected floats in [0, 1], or uint8")
    levels: Levels = np.rint(np.clip(array, 0, 1) * 255.0).astype(np.uint8)
    return levels


def _fault(image: Image, name: str) -> str:
    """Say what keeps an image from having any score: values that are not finite."""
    array = np.asarray(image)
    if not np.issubdtype(array.dtype, np.floating):
        return ""
    lost = int(np.count_nonzero(~np.isfinite(array)))
    return f"{name} holds {lost} values that are not finite" if lost else ""


def _color(levels: Levels, layout: str) -> Levels | None:
    return levels if layout == "gray" and levels.ndim == 3 else None


def _nothing(convention: Convention, names: Sequence[str], faults: Mapping[str, str]) -> Scores:
    why = "; ".join(faults.values())
    return Scores(convention.name, dict.fromkeys(names, math.nan), dict.fromkeys(names, why))


def _measure(result: Scores, name: str, function: Function, triples: Sequence[Triple]) -> None:
    """Put the mean over the triples of one image into the result; NaN with a reason if any has no value."""
    if count := METRICS[name].count:
        result.counts[name] = sum(count(triple) for triple in triples)
    try:
        result.values[name] = sum(float(function(triple)) for triple in triples) / len(triples)
    except Undefined as reason:
        result.values[name], result.reasons[name] = math.nan, str(reason)
