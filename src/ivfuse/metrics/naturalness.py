"""Naturalness: does the fused image look like the scene by day, in tones, colors and edges?

Functions on plain arrays; gray is (H, W), color (H, W, 3) RGB, uint8 or float, 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError
from ivfuse.metrics.metric import Undefined

Image = NDArray[Any]
Gray = NDArray[np.float64]

DAYLIGHT = 70.0  # least mean of the visible's luma
LOW_FREQUENCIES = 0.02  # sigma of the Gaussian as a share of the width
OVERSHOOT_REACH = 5  # pixels
OVERSHOOT_LEVELS = 10.0
CONTRAST_SIDE = 9  # pixels of the square in which local contrast is measured
LEAST_CHROMA = 8.0  # CIELAB chroma below which the visible has no color that could change
NO_CHROMA = 0.5  # CIELAB chroma below which a fused pixel is gray and has no hue


def low_frequencies(image: Image) -> Gray:
    """Return the tones of a gray image: a Gaussian of 2 % of its width, (H, W) float64."""
    sigma = LOW_FREQUENCIES * image.shape[1]
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma), np.float64)


def is_daylight(vi: Image) -> bool:
    """Say whether the visible was taken by daylight: the mean of its luma is at least 70."""
    return float(vi.mean()) >= DAYLIGHT


def tone_correlation(fused: Image, vi: Image) -> float:
    """Correlation of the low frequencies of fused and visible luma by daylight, -1..1; higher is better.

    Args:
        fused: (H, W) luma of the fused image, 0..255.
        vi: (H, W) luma of the visible.

    Raises:
        ShapeError: the shapes differ.
        Undefined: the visible was not taken by daylight, or an image has one tone.
    """
    _check_shapes(fused, vi)
    check_daylight(vi)
    return correlation_of_tones(low_frequencies(fused), low_frequencies(vi))


def tone_distance(fused: Image, vi: Image) -> float:
    """Mean absolute distance of the same low frequencies by daylight, 0..255 levels; lower is better.

    Args, Raises: as :func:`tone_correlation`; an image of one tone has a distance.
    """
    _check_shapes(fused, vi)
    check_daylight(vi)
    return distance_of_tones(low_frequencies(fused), low_frequencies(vi))


def correlation_of_tones(first: Gray, second: Gray) -> float:
    """Return the correlation of two low-pass images.

    Raises:
        Undefined: one of them is flat.
    """
    first, second = first - first.mean(), second - second.mean()
    power = float((first * first).mean()), float((second * second).mean())
    if min(power) < 1e-6:  # float32 filters leave less than a thousandth of a level
        raise Undefined("an image has one tone: its low frequencies are flat")
    return float(np.clip((first * second).mean() / np.sqrt(power[0] * power[1]), -1, 1))


def distance_of_tones(first: Gray, second: Gray) -> float:
    """Return the mean absolute distance of two low-pass images, in levels."""
    return float(np.abs(first - second).mean())


def clipped(fused: Image) -> float:
    """Share of pixels of the fused image at level 0 or 255, 0..1; lower is better.

    Args:
        fused: (H, W) luma, or (H, W, 3), in which a pixel counts if any of its channels is clipped.
    """
    at_end = (fused <= 0) | (fused >= 255)
    return float((at_end if fused.ndim == 2 else at_end.any(axis=2)).mean())


def overshoot(fused: Image, ir: Image, vi: Image) -> float:
    """Share of pixels more than 10 levels outside the range of both sources near by, 0..1; lower is better.

    The range is from the least to the greatest level of both sources in a square of 11x11 pixels. Halos,
    ringing and invented contrast leave it; a fused image that lies between its sources never does.

    Args:
        fused, ir, vi: (H, W), 0..255.

    Raises:
        ShapeError: the shapes differ.
    """
    _check_shapes(fused, ir, vi)
    return share_outside(fused, *source_range(ir, vi))


def source_range(ir: Image, vi: Image) -> tuple[Image, Image]:
    """Return the least and greatest level of both sources within 5 pixels, (H, W) each."""
    square = np.ones((2 * OVERSHOOT_REACH + 1,) * 2, np.uint8)
    return cv2.erode(np.minimum(ir, vi), square), cv2.dilate(np.maximum(ir, vi), square)


def share_outside(fused: Image, least: Image, greatest: Image) -> float:
    """Return the share of pixels that are more than 10 levels outside a range, each array (H, W)."""
    exact = fused.astype(np.float32)  # 8-bit levels would wrap
    outside = (exact < least - np.float32(OVERSHOOT_LEVELS)) | (
        exact > greatest + np.float32(OVERSHOOT_LEVELS)
    )
    return float(outside.mean())


def local_contrast(fused: Image, ir: Image, vi: Image) -> float:
    """Local contrast of the fused image over that of the source that has more, >= 0; higher is better.

    The sum over all pixels of the standard deviation in 9x9 pixels, divided by the sum of the larger of
    both sources' at each pixel: 1 keeps all contrast everywhere, more than 1 adds some.

    Args, Raises: as :func:`overshoot`.

    Raises:
        Undefined: both sources are flat.
    """
    _check_shapes(fused, ir, vi)
    larger = np.maximum(local_deviation(ir), local_deviation(vi))
    return contrast_ratio(local_deviation(fused), larger)


def local_deviation(image: Image) -> Gray:
    """Return the standard deviation in the 9x9 pixels around each pixel, (H, W)."""
    exact = image.astype(np.float64)
    side = (CONTRAST_SIDE, CONTRAST_SIDE)
    mean = cv2.blur(exact, side)
    variance = cv2.blur(exact * exact, side) - mean * mean
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float64)


def contrast_ratio(fused: Gray, larger: Gray) -> float:
    """Return the summed local contrast of the fused image over the larger one of its sources.

    Raises:
        Undefined: both sources are flat.
    """
    total = float(larger.sum())
    if total < 1e-6 * larger.size:
        raise Undefined("both sources are flat: they have no local contrast")
    return float(fused.sum()) / total


@dataclass(frozen=True)
class ColorChange:
    """Mean change of the visible's colors: hue in degrees (NaN if none is left), saturation 0..1."""

    hue: float
    saturation: float


def hue_change(fused: Image, vi: Image) -> float:
    """Mean change of hue of the visible's colors, 0..180 degrees; lower is better.

    Over the pixels where the visible has a color (CIELAB chroma of at least 8), weighted with the root of
    both chromas as in the CIE's hue difference: what has lost its color has no hue, see
    :func:`saturation_change`.

    Args:
        fused, vi: (H, W, 3) RGB, 0..255.

    Raises:
        ShapeError: the shapes differ or an array has no color channels.
        Undefined: the visible has no color, or the fused image has none there.
    """
    hue = color_change(fused, vi).hue
    if np.isnan(hue):
        raise Undefined("the fused image has no color where the visible has one")
    return hue


def saturation_change(fused: Image, vi: Image) -> float:
    """Mean change of saturation of the visible's colors, 0..1; lower is better.

    Saturation is chroma over root(chroma^2 + lightness^2) in CIELAB: a red car that turns pink, white or
    gray changes it, one that turns brighter and stays red does so little. Over the pixels where the visible
    has a color (chroma of at least 8).

    Args, Raises: as :func:`hue_change`; a gray fused image has a value.
    """
    return color_change(fused, vi).saturation


def color_change(fused: Image, vi: Image) -> ColorChange:
    """Return the changes of hue and saturation together; see :func:`hue_change`, :func:`saturation_change`.

    Raises:
        ShapeError: the shapes differ or an array has no color channels.
        Undefined: the visible has no color.
    """
    if vi.ndim != 3 or vi.shape[2] != 3 or vi.shape != fused.shape:
        raise ShapeError(f"fused has shape {fused.shape}, vi {vi.shape}; expected (H, W, 3) RGB for both")
    before = _lab(vi)
    colored = _chroma(before) >= LEAST_CHROMA
    if not colored.any():
        raise Undefined("the visible has no color")
    before, after = before[colored], _lab(fused)[colored]
    chromas = _chroma(before), _chroma(after)
    weight = np.sqrt(chromas[0] * np.where(chromas[1] < NO_CHROMA, 0, chromas[1]))
    (_, a0, b0), (_, a1, b1) = before.T, after.T
    turn = np.rad2deg(np.arctan2(np.abs(a0 * b1 - b0 * a1), a0 * a1 + b0 * b1))
    saturations = (
        chroma / np.sqrt(np.maximum(chroma**2 + lab[:, 0] ** 2, 1e-6))
        for chroma, lab in zip(chromas, (before, after), strict=True)
    )
    total = weight.sum(dtype=np.float64)
    hue = float((turn * weight).sum(dtype=np.float64) / total) if total else float("nan")
    return ColorChange(hue, float(np.abs(np.subtract(*saturations)).mean(dtype=np.float64)))


def _lab(rgb: Image) -> NDArray[np.float32]:
    """Return RGB, 0..255, in CIELAB; (H, W, 3)."""
    scaled = rgb.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), np.float32)


def _chroma(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    a, b = lab[..., 1], lab[..., 2]
    return np.asarray(np.sqrt(a * a + b * b))


def check_daylight(vi: Image) -> None:
    """Raise Undefined, with the reason, if the visible was not taken by daylight."""
    if not is_daylight(vi):
        raise Undefined(f"not by daylight: the visible's mean is below {DAYLIGHT:.0f}")


def _check_shapes(*images: Image) -> None:
    if any(image.ndim != 2 or image.size == 0 or image.shape != images[0].shape for image in images):
        found = ", ".join(str(image.shape) for image in images)
        raise ShapeError(f"images have shapes {found}; expected one gray shape (H, W) for all")
