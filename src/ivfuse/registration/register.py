"""Registration of one pair, or of several pairs of one rig by consensus; rejects what is not reliable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ivfuse.errors import RegistrationError, UnknownNameError
from ivfuse.image.arrays import Gray
from ivfuse.registration.estimate import Candidate, estimate, estimate_from, estimate_jointly
from ivfuse.registration.geometry import MODELS, Matrix, Model, Points, Size, to_corners, transform_points
from ivfuse.registration.prepare import PreparedPair, find_unusable, prepare
from ivfuse.registration.quality import REJECTED, RegistrationQuality, assess, rejected
from ivfuse.registration.transform import Registration, registration_of

HINT = "give several pairs of the rig, or {points}"
# Angles in degrees; retry at +-20 degrees if the first pass is rejected.
ROTATION_HYPOTHESES = ((0.0,), (-20.0, 20.0))
CONSENSUS_RADIUS = 0.02  # of the visible's diagonal: transforms within it agree
MAX_POOLED_PAIRS = 12  # whose blocks are matched together in the end


@dataclass(frozen=True)
class PairEstimate:
    """The transform of one pair by itself.

    Attributes:
        pair: the prepared images; ``None`` if they cannot be used.
        matrix: the best transform between the prepared images, accepted or not; ``None`` without any.
        quality: of that transform.
    """

    pair: PreparedPair | None
    matrix: Matrix | None
    quality: RegistrationQuality

    @property
    def original_matrix(self) -> Matrix | None:
        """The transform between the original images, in corner-based coordinates."""
        if self.pair is None or self.matrix is None:
            return None
        return self.pair.to_original(self.matrix)


@dataclass(frozen=True)
class NamedEstimate:
    """The estimate of one named pair, or the error that prevented one.

    Attributes:
        name: of the pair.
        estimate: its transform.
        sizes: of the original thermal and visible; ``None`` if they were not read.
        error: why they were not read; empty if they were.
    """

    name: str
    estimate: PairEstimate
    sizes: tuple[Size, Size] | None
    error: str = ""

    @property
    def reason(self) -> str:
        """Why the pair is rejected by itself; empty if it is accepted."""
        return self.error or self.estimate.quality.reason


@dataclass(frozen=True)
class PairOutcome:
    """What became of one pair of a rig.

    Attributes:
        name: of the pair.
        reason: why it was excluded; empty if it was used.
        quality: of the transform found for it alone.
    """

    name: str
    reason: str
    quality: RegistrationQuality


@dataclass(frozen=True)
class RigResult:
    """The transform of a rig.

    Attributes:
        registration: the rig's; the best guess where it is rejected, ``None`` without one.
        reason: why it is rejected; empty if it is accepted.
        quality: of the rig's transform on the pairs that were used.
        pairs: what became of each pair, in their order.
    """

    registration: Registration | None
    reason: str
    quality: RegistrationQuality
    pairs: tuple[PairOutcome, ...]

    def require(self, name: str) -> Registration:
        """Return the registration if it is accepted.

        Args:
            name: of the images, for the error.

        Raises:
            RegistrationError: if it is rejected.
        """
        if self.reason or self.registration is None:
            raise RegistrationError(f"{name}: registration rejected: {self.reason}", hint=HINT)
        return self.registration


def register_grays(
    pairs: Sequence[tuple[str, Gray, Gray]], model: Model = "homography", field_ratio: float | None = None
) -> RigResult:
    """Estimate the one transform of a rig.

    Each pair is registered by itself. Those that are accepted and agree with most of the others are used, and
    their blocks are matched together in the end.

    Args:
        pairs: name, thermal and visible luma, float32 (H, W) in [0, 1]; of one rig, so of equal sizes.
        model: the family of transforms.
        field_ratio: see :func:`register_pair`.

    Raises:
        UnknownNameError: if there is no such model.
    """
    check_model(model)
    return combine([estimate_named(name, ir, vi, model, field_ratio) for name, ir, vi in pairs], model)


def register_pair(
    ir: Gray,
    vi: Gray,
    model: Model = "homography",
    field_ratio: float | None = None,
    start: Registration | None = None,
) -> PairEstimate:
    """Register one pair by itself; retry with a rotated thermal if the first pass is rejected.

    Args:
        ir: thermal, (h, w) float32 in [0, 1].
        vi: visible luma, (H, W) float32 in [0, 1].
        model: the family of transforms.
        field_ratio: diagonal of the thermal field over that of the visible, where the lenses of parallel
            cameras are known. Locations near it are tried first, which is faster; then all others.
        start: approximate registration, which is refined first; a search follows only if that is rejected.
    """
    fault = find_unusable(ir, vi)
    if fault:
        return PairEstimate(None, None, rejected(fault))
    pair = prepare(ir, vi)
    best: tuple[RegistrationQuality, Candidate] | None = None
    for attempt in _attempts(pair, model, field_ratio, start):
        candidate = attempt()
        if candidate is None:
            continue
        quality = assess([pair], candidate.matrix, model)
        if best is None or quality.rank > best[0].rank:
            best = quality, candidate
        if best[0].accepted:
            break
    if best is None:
        return PairEstimate(pair, None, REJECTED)
    return PairEstimate(pair, best[1].matrix, best[0])


def _attempts(
    pair: PreparedPair, model: Model, field_ratio: float | None, start: Registration | None
) -> Iterator[Callable[[], Candidate | None]]:
    """The estimates to try until one is accepted."""
    if start is not None:
        yield partial(estimate_from, pair, model, pair.to_prepared(to_corners(start.array)))
    if field_ratio is not None and model != "translation":
        yield partial(estimate, pair, model, ROTATION_HYPOTHESES[0], field_ratio)
    for rotations in ROTATION_HYPOTHESES[: 1 if model == "translation" else None]:
        yield partial(estimate, pair, model, rotations)


def estimate_named(
    name: str,
    ir: Gray,
    vi: Gray,
    model: Model,
    field_ratio: float | None = None,
    start: Registration | None = None,
) -> NamedEstimate:
    """Register one named pair of a rig by itself; see :func:`register_pair`."""
    sizes = (ir.shape[1], ir.shape[0]), (vi.shape[1], vi.shape[0])
    fitting = None if start is None else start.for_sizes(*sizes)
    return NamedEstimate(name, register_pair(ir, vi, model, field_ratio, fitting), sizes)


def failed(name: str, error: str) -> NamedEstimate:
    """A pair that could not be read."""
    return NamedEstimate(name, PairEstimate(None, None, REJECTED), None, error)


def check_model(model: str) -> None:
    """Raise UnknownNameError if there is no such model."""
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS, field="model")


def combine(estimates: Sequence[NamedEstimate], model: Model) -> RigResult:
    """Combine the estimates of single pairs into the transform of their rig."""
    sizes = _usual_sizes(estimates)
    reasons = [one.reason for one in estimates]
    accepted = []
    for index, one in enumerate(estimates):
        pair, matrix = one.estimate.pair, one.estimate.matrix
        if sizes and one.sizes and one.sizes != sizes:
            reasons[index] = (
                f"its frame sizes, {_format_sizes(one.sizes)}, differ from those of the most pairs,"
                f" {_format_sizes(sizes)}"
            )
        elif not reasons[index] and pair is not None and matrix is not None:
            accepted.append(_Accepted(index, pair, matrix, transform_points(matrix, _grid(pair.sizes[0]))))
    if sizes is None or not accepted:
        return _without_accepted(estimates, reasons, sizes, model)
    read = [one.sizes for one in estimates if one.sizes]
    usual = read.count(sizes)
    if usual * 2 < len(read):
        reason = f"only {usual} of {len(read)} pairs have frames of one size, as those of a rig do"
        return RigResult(None, reason, REJECTED, _outcomes(estimates, reasons))
    used = _consensus(accepted)
    for one_accepted in accepted:
        if one_accepted not in used:
            reasons[one_accepted.index] = "its transform differs from that of the other pairs"
    matrix, quality = used[0].matrix, estimates[used[0].index].estimate.quality
    if len(accepted) > 1:
        matrix, quality = _estimate_pooled([x.pair for x in used[:MAX_POOLED_PAIRS]], matrix, model)
    reason = quality.reason
    if len(used) * 2 <= len(accepted):
        reason = f"only {len(used)} of {len(accepted)} pairs agree on one transform"
    registration = registration_of(
        used[0].pair.to_original(matrix), *sizes, model, score=quality.inlier_ratio, pairs=len(used)
    )
    return RigResult(registration, reason, quality, _outcomes(estimates, reasons))


def _usual_sizes(estimates: Sequence[NamedEstimate]) -> tuple[Size, Size] | None:
    """The frame sizes of the largest group of pairs, of equal ones the first; ``None`` if none was read."""
    counts = Counter(one.sizes for one in estimates if one.sizes)
    return max(counts, key=lambda sizes: counts[sizes], default=None)


@dataclass(frozen=True, eq=False)
class _Accepted:
    """A pair that is accepted by itself, and where its transform maps a grid of thermal points."""

    index: int
    pair: PreparedPair
    matrix: Matrix
    mapped: Points


def _estimate_pooled(
    pairs: Sequence[PreparedPair], matrix: Matrix, model: Model
) -> tuple[Matrix, RegistrationQuality]:
    """Refine a transform on the blocks of all pairs together."""
    refined = estimate_jointly(pairs, matrix, model) if len(pairs) > 1 else matrix
    matrix = matrix if refined is None else refined
    return matrix, assess(pairs, matrix, model)


def _consensus(accepted: list[_Accepted]) -> list[_Accepted]:
    """The largest group of transforms within the consensus radius of one of them, which comes first."""
    diagonal = float(np.hypot(*accepted[0].pair.sizes[1]))
    mapped = np.stack([x.mapped for x in accepted])
    distances = np.sqrt(((mapped[:, None] - mapped[None]) ** 2).sum(axis=-1).mean(axis=-1))
    near = distances < CONSENSUS_RADIUS * diagonal
    counts = near.sum(axis=1)
    center = min(np.flatnonzero(counts == counts.max()), key=lambda i: float(distances[i][near[i]].sum()))
    group = sorted(np.flatnonzero(near[center]), key=lambda i: float(distances[center][i]))
    return [accepted[i] for i in group]


def _without_accepted(
    estimates: Sequence[NamedEstimate],
    reasons: Sequence[str],
    sizes: tuple[Size, Size] | None,
    model: Model,
) -> RigResult:
    """The result if no pair is accepted: the best guess, if there is one, and why it is rejected."""
    outcomes = _outcomes(estimates, reasons)
    index = max(range(len(estimates)), key=lambda i: estimates[i].estimate.quality.rank, default=None)
    if index is None:
        return RigResult(None, "there is no pair", REJECTED, outcomes)
    best, guess = estimates[index].estimate, None
    matrix = best.original_matrix
    if sizes is not None and estimates[index].sizes == sizes and matrix is not None:
        guess = registration_of(matrix, *sizes, model, score=best.quality.inlier_ratio, pairs=0)
    reason = reasons[index]
    if len(estimates) > 1:
        reason = f"none of {len(estimates)} pairs is accepted; the best: {reason}"
    return RigResult(guess, reason, best.quality, outcomes)


def _outcomes(estimates: Sequence[NamedEstimate], reasons: Sequence[str]) -> tuple[PairOutcome, ...]:
    return tuple(
        PairOutcome(one.name, why, one.estimate.quality) for one, why in zip(estimates, reasons, strict=True)
    )


def _grid(size: Size) -> Points:
    """Points spread over the inner part of a frame, (16, 2)."""
    x, y = np.meshgrid(np.linspace(0.2, 0.8, 4) * size[0], np.linspace(0.2, 0.8, 4) * size[1])
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _format_sizes(sizes: tuple[Size, Size]) -> str:
    return " and ".join(f"{width}x{height}" for width, height in sizes)
