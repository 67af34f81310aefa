"""From images to a registration: one pair, or several of a rig that must agree; refuses when not sure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import IvfuseError, RegistrationError, UnknownNameError, reason_of
from ivfuse.image.arrays import Gray, to_float
from ivfuse.image.color import luma, one_channel
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.registration.estimate import Candidate, Reduced, best_candidate, reduced, settle
from ivfuse.registration.geometry import MODELS, Matrix, Model, Points, Size, moved
from ivfuse.registration.quality import NOTHING, Trust, fault_of_images, judge
from ivfuse.registration.transform import Registration, registration_of
from ivfuse.thermal.read import read_thermal
from ivfuse.thermal.tone_mapping import thermal_window

Source = str | os.PathLike[str] | NDArray[Any]

HINT = "give several pairs of the rig, or --points"
LOOKS = ((0.0,), (-20.0, 20.0))  # degrees of turn: the second only where the first finds nothing sure
NEAR = 0.02  # of the visible's diagonal: transforms this near to each other agree
POOLED = 12  # pairs, at most, whose blocks vote together in the end


@dataclass(frozen=True)
class Attempt:
    """What registering one pair gave.

    Attributes:
        data: the reduced pair; ``None`` if it could not be used at all.
        matrix: the best transform of the reduced pair, or ``None``.
        trust: how far to trust it.
    """

    data: Reduced | None
    matrix: Matrix | None
    trust: Trust


@dataclass(frozen=True)
class PairOutcome:
    """What became of one pair of a rig.

    Attributes:
        name: of the pair.
        reason: why it does not count; empty if it does.
        trust: of the transform found for it alone.
    """

    name: str
    reason: str
    trust: Trust


@dataclass(frozen=True)
class RigResult:
    """What several pairs gave.

    Attributes:
        registration: the rig's; the best guess where it is refused, ``None`` without one.
        reason: why it is refused; empty if it is not.
        trust: of the rig's transform on the pairs that count.
        pairs: what became of each pair, in their order.
    """

    registration: Registration | None
    reason: str
    trust: Trust
    pairs: tuple[PairOutcome, ...]

    def sure(self, name: str) -> Registration:
        """The registration of the images that ``name`` stands for.

        Raises:
            RegistrationError: if it is refused.
        """
        if self.reason or self.registration is None:
            raise RegistrationError(f"{name}: {self.reason}; {HINT}")
        return self.registration


def register(ir: Source, vi: Source, model: Model = "homography") -> Registration:
    """Find where a thermal image lies on a visible one.

    Args:
        ir: thermal: a path, or an array (H, W) or (H, W, 3) of any kind that :class:`ivfuse.Fuser` takes.
        vi: visible: a path or an array.
        model: ``translation`` (the thermal stretched over the visible, then shifted), ``similarity``,
            ``affine`` or ``homography``.

    Returns:
        The registration; ``Fuser(rig=...)`` applies it.

    Raises:
        RegistrationError: if no transform is sure.
        InputError, ShapeError: if an input cannot be used.
        UnknownNameError: if there is no such model.

    Example:
        >>> rig = register("thermal.png", "visible.jpg")  # doctest: +SKIP
        >>> rig.save("rig.json")  # doctest: +SKIP
    """
    name = "images" if isinstance(ir, np.ndarray) else str(ir)
    return register_grays([(name, thermal_gray(ir), visible_gray(vi))], model).sure(name)


def register_pairs(
    pairs: Sequence[FilePair], model: Model = "homography", on_pair: Callable[[str], None] | None = None
) -> RigResult:
    """Find the one transform of a rig from pairs of files; see :func:`register_grays`.

    A pair that cannot be read is named in the result and does not count.
    """
    check_model(model)
    tell = on_pair or (lambda name: None)
    tried = []
    for pair in pairs:
        try:
            tried.append(_tried(pair.name, thermal_gray(pair.ir), visible_gray(pair.vi), model))
        except IvfuseError as error:
            tried.append(_Tried(pair.name, Attempt(None, None, NOTHING), None, reason_of(error)))
        tell(pair.name)
    return _agreed(tried, model)


def register_grays(pairs: Sequence[tuple[str, Gray, Gray]], model: Model = "homography") -> RigResult:
    """Find the one transform of a rig.

    Each pair is registered by itself; those that are sure and agree with most of the others count, and in the
    end their blocks vote together.

    Args:
        pairs: name, thermal and visible luma, float32 (H, W); all of one rig, so of equal sizes.
        model: what the transform may do.
    """
    check_model(model)
    return _agreed([_tried(name, ir, vi, model) for name, ir, vi in pairs], model)


def attempt(ir: Gray, vi: Gray, model: Model) -> Attempt:
    """Register one pair, with a second look at turned thermals where the first is not sure."""
    fault = fault_of_images(ir, vi)
    if fault:
        return Attempt(None, None, Trust(0.0, 0.0, 1.0, fault))
    data = reduced(ir, vi)
    best: tuple[Trust, Candidate] | None = None
    for turns in LOOKS[: 1 if model == "translation" else None]:
        candidate = best_candidate(data, model, turns)
        if candidate is None:
            continue
        trust = judge([data], candidate.matrix, model)
        if best is None or _rank(trust) > _rank(best[0]):
            best = trust, candidate
        if best[0].enough:
            break
    if best is None:
        return Attempt(data, None, NOTHING)
    return Attempt(data, best[1].matrix, best[0])


def check_model(model: str) -> None:
    """Raise UnknownNameError if there is no such model."""
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS)


def thermal_gray(ir: Source) -> Gray:
    """A thermal image or file of any kind as (H, W) float32 in [0, 1]."""
    if not isinstance(ir, np.ndarray):
        return read_thermal(ir).pixels
    ir = one_channel(ir)
    if ir.dtype == np.uint8:
        return to_float(ir)
    return thermal_window(ir)[0]


def visible_gray(vi: Source) -> Gray:
    """The luma of a visible image or file, (H, W) float32 in [0, 1]."""
    return luma(to_float(vi) if isinstance(vi, np.ndarray) else read_visible(Path(vi)).pixels)


def _rank(trust: Trust) -> tuple[bool, float]:
    return trust.enough, trust.agreement + trust.distinctness


@dataclass(frozen=True)
class _Tried:
    """What became of one pair by itself; ``sizes`` of thermal and visible, ``None`` if it was not read."""

    name: str
    attempt: Attempt
    sizes: tuple[Size, Size] | None
    error: str = ""

    @property
    def reason(self) -> str:
        """Why it does not count; empty if it may."""
        return self.error or self.attempt.trust.reason


def _tried(name: str, ir: Gray, vi: Gray, model: Model) -> _Tried:
    sizes = (ir.shape[1], ir.shape[0]), (vi.shape[1], vi.shape[0])
    return _Tried(name, attempt(ir, vi, model), sizes)


@dataclass(frozen=True)
class _Sure:
    """A pair that is sure by itself, and where its transform puts a grid of thermal points."""

    index: int
    data: Reduced
    matrix: Matrix
    places: Points


def _agreed(tried: Sequence[_Tried], model: Model) -> RigResult:
    """Combine what pairs gave by themselves."""
    sizes = next((one.sizes for one in tried if one.sizes), None)
    reasons = [one.reason for one in tried]
    sure: list[_Sure] = []
    for index, one in enumerate(tried):
        pair, alone = one.attempt.data, one.attempt.matrix
        if one.sizes and one.sizes != sizes:
            reasons[index] = f"its frames are of other sizes than the first pair's, {_said(one.sizes)}"
        elif not reasons[index] and pair is not None and alone is not None:
            sure.append(_Sure(index, pair, alone, moved(alone, _grid(pair.sizes[0]))))
    if sizes is None or not sure:
        return _refused(tried, reasons, sizes, model)
    together = _consensus(sure)
    apart = [x.index for x in sure if x not in together]
    for index in apart:
        reasons[index] = "its transform differs from that of the other pairs"
    matrix, trust = together[0].matrix, tried[together[0].index].attempt.trust
    reason = ""
    if len(sure) > 1:
        data = [x.data for x in together[:POOLED]]
        settled = settle(data, matrix, model) if len(data) > 1 else matrix
        matrix = matrix if settled is None else settled
        trust = judge(data, matrix, model)
        reason = trust.reason
        if len(together) * 2 <= len(sure):
            reason = f"not sure: of {len(sure)} pairs only {len(together)} have one transform"
    registration = registration_of(
        together[0].data.full(matrix), *sizes, model, score=trust.agreement, pairs=len(together)
    )
    return RigResult(registration, reason, trust, _outcomes(tried, reasons))


def _outcomes(tried: Sequence[_Tried], reasons: Sequence[str]) -> tuple[PairOutcome, ...]:
    return tuple(
        PairOutcome(one.name, why, one.attempt.trust) for one, why in zip(tried, reasons, strict=True)
    )


def _consensus(sure: list[_Sure]) -> list[_Sure]:
    """The largest group of transforms near one of them, the one in its midst first."""
    diagonal = float(np.hypot(*sure[0].data.sizes[1]))
    places = np.stack([x.places for x in sure])
    apart = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1).mean(axis=-1))
    near = apart < NEAR * diagonal
    most = near.sum(axis=1)
    middle = min(np.flatnonzero(most == most.max()), key=lambda i: float(apart[i][near[i]].sum()))
    group = sorted(np.flatnonzero(near[middle]), key=lambda i: float(apart[middle][i]))
    return [sure[i] for i in group]


def _refused(
    tried: Sequence[_Tried], reasons: Sequence[str], sizes: tuple[Size, Size] | None, model: Model
) -> RigResult:
    """No pair is sure: the best guess, if there is one, and why it is not taken."""
    outcomes = _outcomes(tried, reasons)
    index = max(range(len(tried)), key=lambda i: _rank(tried[i].attempt.trust), default=None)
    if index is None:
        return RigResult(None, "there is no pair", NOTHING, outcomes)
    best, guess = tried[index].attempt, None
    fits = tried[index].sizes == sizes
    if sizes is not None and fits and best.data is not None and best.matrix is not None:
        guess = registration_of(
            best.data.full(best.matrix), *sizes, model, score=best.trust.agreement, pairs=0
        )
    reason = reasons[index]
    if len(tried) > 1:
        reason = f"none of {len(tried)} pairs is sure; the best: {reason}"
    return RigResult(guess, reason, best.trust, outcomes)


def _grid(size: Size) -> Points:
    """Points spread over the inner part of a frame."""
    x, y = np.meshgrid(np.linspace(0.2, 0.8, 4) * size[0], np.linspace(0.2, 0.8, 4) * size[1])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _said(sizes: tuple[Size, Size]) -> str:
    return " and ".join(f"{width}x{height}" for width, height in sizes)
