"""What the camera's own parameters leave over: the shift between photo and thermal image at this distance.

The two lenses stand side by side, so the offset depends on how far things are, and cameras store one for the
distance that they were focused to, or none. The shift is sought by the directions of edges, which both bands
share, and taken only if three sizes of the images agree on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray

WIDTHS = (160, 240, 320)  # pixels; the sizes that must agree
REACH = 0.07  # of the width: the largest shift that is sought
_AGREE = 0.01  # of the width: how far the sizes may lie apart
_CLEAR = 1.05  # the best shift must score this much higher than any other that is not beside it
_LEAST = 0.2  # the score of the best; 1 for the same edges everywhere
_BESIDE = 4.5  # pixels
_BLUR = 1.5  # pixels
_WEAK = 0.35  # edges weaker than about half of their surroundings do not count
_RANKS = 65  # quantiles by which thermal values are spread evenly
_LEAST_SIDE = 32  # pixels of a side, for there to be edges to compare

Field = NDArray[np.complex64]


@dataclass(frozen=True)
class Shift:
    """A shift that was found.

    Attributes:
        x: of the thermal image, to the right, in pixels of the images that were given.
        y: downwards.
        score: how well the edges then agree, 0..1.
    """

    x: float
    y: float
    score: float


def find_shift(thermal: Gray, photo: Gray) -> Shift | None:
    """How far the thermal image must move to lie on the photo.

    Args:
        thermal: (H, W) float32, any range; only the order of its values counts.
        photo: luma, (H, W) float32.

    Returns:
        The shift, up to 7 % of the width each way; ``None`` if the images do not say it clearly.
    """
    height, width = photo.shape
    if min(height, width) < _LEAST_SIDE or thermal.min() == thermal.max() or photo.min() == photo.max():
        return None
    found = [_at(size, _spread(thermal), photo) for size in WIDTHS]
    if any(score < _LEAST or score < _CLEAR * other for _, _, score, other in found):
        return None
    shifts = np.array([(x, y) for x, y, _, _ in found])
    middle = np.median(shifts, axis=0)
    if np.abs(shifts - middle).max() > _AGREE * width:
        return None
    return Shift(float(middle[0]), float(middle[1]), min(score for _, _, score, _ in found))


def _spread(values: Gray) -> Gray:
    """Values by their rank, so that one hot thing does not hide all other edges."""
    levels, first = np.unique(np.quantile(values, np.linspace(0, 1, _RANKS)), return_index=True)
    return np.interp(values, levels, first / (_RANKS - 1)).astype(np.float32)


def _at(width: int, thermal: Gray, photo: Gray) -> tuple[float, float, float, float]:
    """The best shift with the images at one width: x, y, its score, and the best score elsewhere."""
    import cv2

    factor = width / photo.shape[1]
    size = (width, max(8, round(photo.shape[0] * factor)))
    small = [_edges(cv2.resize(x, size, interpolation=cv2.INTER_AREA)) for x in (thermal, photo)]
    reach = min(int(np.ceil(REACH * width)), min(size) // 3)
    scores = _scores(small[0], small[1], reach)
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    rows, columns = np.ogrid[: scores.shape[0], : scores.shape[1]]
    elsewhere = scores[np.hypot(rows - row, columns - column) > _BESIDE]
    x, y = (float(place - reach) / factor for place in (column, row))
    return x, y, float(scores.max()), float(elsewhere.max(initial=0.0))


def _edges(gray: Any) -> Field:
    """Strength and direction of edges; the doubled angle makes light on dark the same as dark on light."""
    import cv2

    gray = cv2.GaussianBlur(gray, (0, 0), _BLUR)
    x, y = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    size = np.hypot(x, y)
    around = cv2.GaussianBlur(size, (0, 0), 8 * _BLUR)
    strength = np.maximum(size / (size + around + 0.2 * size.mean() + 1e-6) - _WEAK, 0)
    field: Field = (strength * ((x + 1j * y) / (size + 1e-9)) ** 2).astype(np.complex64)
    return field


def _scores(thermal: Field, photo: Field, reach: int) -> NDArray[np.float64]:
    """Normalized correlation for all shifts up to ``reach``, over what then overlaps."""
    height, width = photo.shape
    size = (height + reach + 1, width + reach + 1)
    ones = np.fft.fft2(np.ones((height, width)), size)

    def correlate(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
        near = np.roll(np.fft.ifft2(a * np.conj(b)).real, (reach, reach), axis=(0, 1))
        return near[: 2 * reach + 1, : 2 * reach + 1]

    together = correlate(np.fft.fft2(photo, size), np.fft.fft2(thermal, size))
    of_thermal = correlate(ones, np.fft.fft2(np.abs(thermal) ** 2, size))
    of_photo = correlate(np.fft.fft2(np.abs(photo) ** 2, size), ones)
    return together / np.sqrt(np.maximum(of_thermal * of_photo, 1e-6))
