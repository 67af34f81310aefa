"""The coarse search over all scales and shifts: parts of the smaller image are sought in the larger one.

Each part may lie a little off its place, so that turns, shear, perspective and depth do not hide the match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.registration.features import Features, describe, fast_length, shrunk
from ivfuse.registration.geometry import Matrix, corners_of, moved, scaling

SIDE = 128  # root of the area that the visible is searched at, in pixels
ZOOMS = (0.3, 2.35)  # diagonal of the thermal in diagonals of the visible: what is searched
STEP = 1.15  # from one zoom to the next
PARTS = (2, 3)  # rows and columns
SLACK = (0.02, 0.05)  # how far a part may be off, in parts of the smaller side; the nearer, the better
OVERLAP = 0.35  # of the smaller image, at least
CHANNELS = 3  # of the features, the strongest ones: Fourier transforms are what takes the time
_APART = 0.06  # places nearer than this part of the visible's width are one


@dataclass(frozen=True)
class Place:
    """Where the thermal may lie.

    Attributes:
        matrix: thermal to visible: a scale, a shift and perhaps a turn.
        evidence: comparable within one search only.
        zoom: diagonal of the thermal in diagonals of the visible.
    """

    matrix: Matrix
    evidence: float
    zoom: float


@dataclass
class _Searched:
    """Features of the image that is searched, with the transforms that searches share."""

    features: Features
    spectra: dict[tuple[int, int], NDArray[np.complexfloating]] = field(default_factory=dict)

    def spectrum(self, shape: tuple[int, int]) -> NDArray[np.complexfloating]:
        if shape not in self.spectra:
            self.spectra[shape] = np.fft.rfft2(self.features, s=shape)
        return self.spectra[shape]


def search(ir: Gray, vi: Gray, mask: Gray, wanted: int = 6, turn: float = 0.0) -> list[Place]:
    """The most likely places of the thermal on the visible, best first.

    Args:
        ir: thermal, (H, W) float32.
        vi: visible luma, (H, W) float32.
        mask: where the thermal holds an image, (H, W).
        wanted: how many places.
        turn: degrees the thermal is turned by before it is sought.
    """
    found: list[Place] = []
    ready: dict[float, tuple[_Searched, Features]] = {}
    diagonals = float(np.hypot(*vi.shape) / np.hypot(*ir.shape))
    for zoom in np.exp(np.arange(np.log(ZOOMS[0]), np.log(ZOOMS[1]), np.log(STEP))):
        # A small thermal is sought in a finer visible, so that enough of it is left to see.
        factor = SIDE / np.sqrt(vi.size) * (1 if zoom > 0.75 else 1.5 if zoom > 0.5 else 2)
        if factor not in ready:
            features = describe(shrunk(vi, factor), "vi")
            axes = _principal_axes(features)
            ready[factor] = _Searched(_along(axes, features)), axes
        visible, axes = ready[factor]
        small = shrunk(ir, zoom * diagonals * factor)
        around = _turned(small.shape, turn)
        thermal = _along(axes, _thermal_features(small, mask, around))
        steps = (small.shape[1] / ir.shape[1], small.shape[0] / ir.shape[0])
        shape = visible.features.shape[1:]
        back = scaling(vi.shape[1] / shape[1], vi.shape[0] / shape[0])
        for x, y, evidence in _best_shifts(visible, thermal):
            shift = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
            found.append(Place(back @ shift @ around @ scaling(*steps), evidence, float(zoom)))
    return _distinct(found, ir, vi, wanted)


def _principal_axes(features: Features) -> Features:
    """The directions in which features (C, H, W) vary most, (:data:`CHANNELS`, C)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return np.asarray(np.linalg.eigh(flat @ flat.T)[1][:, -CHANNELS:].T, np.float32)


def _along(axes: Features, features: Features) -> Features:
    return np.ascontiguousarray(np.tensordot(axes, features, 1))


def _turned(shape: tuple[int, ...], degrees: float) -> Matrix:
    """A turn around the middle of an image."""
    turn = cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), degrees, 1)
    return np.vstack([turn, [0, 0, 1]])


def _thermal_features(small: Gray, mask: Gray, around: Matrix) -> Features:
    """Features of the turned thermal, zero where it holds no image."""
    inside = np.asarray(cv2.resize(mask, small.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    if not np.allclose(around, np.eye(3)):
        size = small.shape[::-1]
        small = np.asarray(
            cv2.warpAffine(small, around[:2], size, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        inside = np.asarray(cv2.warpAffine(inside, around[:2], size), np.float32)
    features = describe(small, "ir")
    if inside.min() < 1:
        features *= cv2.erode((inside > 0.999).astype(np.float32), np.ones((3, 3), np.uint8))
    return features


def _best_shifts(visible: _Searched, thermal: Features) -> Iterator[tuple[int, int, float]]:
    """The two best shifts (x, y) of the thermal over the visible, with their evidence."""
    height, width = visible.features.shape[1:]
    rows, columns = thermal.shape[1:]
    if rows * columns <= height * width:
        evidence = _sum_of_parts(visible, thermal)
    else:
        evidence = _sum_of_parts(_Searched(thermal), visible.features)[::-1, ::-1]
    down, right = np.arange(height + rows + 1) - rows, np.arange(width + columns + 1) - columns
    common_rows = np.clip(np.minimum(down + rows, height) - np.maximum(down, 0), 0, None)
    common_columns = np.clip(np.minimum(right + columns, width) - np.maximum(right, 0), 0, None)
    least = OVERLAP * min(rows * columns, height * width)
    evidence = np.where(np.outer(common_rows, common_columns) < least, -1, evidence).astype(np.float32)
    evidence = np.array(cv2.GaussianBlur(evidence, (0, 0), 1), np.float32)
    for _ in range(2):
        y, x = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
        yield int(x) - columns, int(y) - rows, float(evidence[y, x])
        evidence[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9] = -1


def _sum_of_parts(searched: _Searched, sought: Features) -> NDArray[np.float32]:
    """How well the parts fit, for every shift of the whole: (x, y) is at index (y + rows, x + columns)."""
    height, width = searched.features.shape[1:]
    rows, columns = sought.shape[1:]
    part = (rows // PARTS[0], columns // PARTS[1])
    shape = (fast_length(height + part[0] + 1), fast_length(width + part[1] + 1))
    spectrum = searched.spectrum(shape)
    scale = _inverse_norms(searched.features, part)
    slacks = [max(1, round(slack * min(columns, width))) for slack in SLACK]
    typical = float((sought * sought).sum()) / (PARTS[0] * PARTS[1])
    total = np.zeros((height + rows + 1, width + columns + 1), np.float32)
    for i, j in np.ndindex(*PARTS):
        piece = sought[:, i * part[0] : (i + 1) * part[0], j * part[1] : (j + 1) * part[1]]
        product = (spectrum * np.conj(np.fft.rfft2(piece, s=shape))).sum(axis=0)
        fit = np.roll(np.fft.irfft2(product, s=shape), part, (0, 1))[: scale.shape[0], : scale.shape[1]]
        # A part with little in it must not count as much as the others.
        power = max(float((piece * piece).sum()), 0.25 * typical, 1e-12)
        fit = np.maximum(fit * scale / np.sqrt(power), 0).astype(np.float32)
        y, x = rows - (i + 1) * part[0], columns - (j + 1) * part[1]
        total[y : y + fit.shape[0], x : x + fit.shape[1]] += sum(_loosened(fit, slack) for slack in slacks)
    return np.asarray(total * np.float32(np.sqrt(part[0] * part[1]) / len(slacks)))


def _loosened(fit: NDArray[np.float32], slack: int) -> NDArray[np.float32]:
    """The best fit within ``slack`` pixels."""
    return np.asarray(cv2.dilate(fit, np.ones((2 * slack + 1, 2 * slack + 1), np.uint8)))


def _inverse_norms(features: Features, part: tuple[int, int]) -> NDArray[np.float32]:
    """One over the norm of the features under a part, for each of its places, those half outside included."""
    height, width = features.shape[1:]
    power = np.pad((features * features).sum(axis=0), ((part[0],) * 2, (part[1],) * 2))
    sums = _window_sums(power, part)
    shares = np.outer(_covered(height, part[0]), _covered(width, part[1]))
    mean = float(power.sum()) / (height * width) * part[0] * part[1]
    norms = np.sqrt(np.maximum(sums, 0.25 * mean + 1e-12))
    return np.where(shares > 0.3, np.sqrt(shares) / norms, 0).astype(np.float32)


def _covered(length: int, part: int) -> NDArray[np.float64]:
    """Share of a part inside a line of ``length``, for its places from just before to just after."""
    start = np.arange(length + part + 1) - part
    return (np.minimum(start + part, length) - np.maximum(start, 0)) / max(part, 1)


def _window_sums(values: NDArray[np.float32], part: tuple[int, int]) -> NDArray[np.float64]:
    """Sums over windows of a size, by their upper left corner."""
    sums = cv2.integral(values, sdepth=cv2.CV_64F)
    rows, columns = part
    return np.asarray(
        sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    )


def _distinct(found: list[Place], ir: Gray, vi: Gray, wanted: int) -> list[Place]:
    """The best of those that put the inner part of the thermal in different places."""
    size = (ir.shape[1], ir.shape[0])
    inner = corners_of(size) * 0.6 + np.array(size) * 0.2
    kept: list[tuple[Place, NDArray[np.float64]]] = []
    for place in sorted(found, key=lambda place: -place.evidence):
        corners = moved(place.matrix, inner)
        if all(np.abs(corners - other).max() > _APART * vi.shape[1] for _, other in kept):
            kept.append((place, corners))
        if len(kept) == wanted:
            break
    return [place for place, _ in kept]
