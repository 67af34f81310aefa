"""Rain, snow and haze over a pair of images: what falls, and the veil between camera and scene.

Light is mixed in a linear scale (gamma 2, near enough to sRGB), where a veil and a streak add as light does.
The thermal sees long waves: it loses a little contrast and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

_SHIFT = 4  # fractional bits of line ends
_BRIGHT = 0.75  # light of the brightest haze


@dataclass(frozen=True)
class Layer:
    """What falls at one distance.

    Attributes:
        count: at the highest strength, per 640x480 pixels.
        length: of a trace during the exposure, in pixels of an image 480 high.
        width: of a trace, likewise.
        soft: defocus, standard deviation, likewise.
        opacity: largest share of the light behind that a trace hides.
    """

    count: int
    length: float
    width: float
    soft: float
    opacity: float


RAIN = (
    Layer(2600, 11, 0.55, 0.35, 0.34),
    Layer(900, 26, 0.8, 0.5, 0.42),
    Layer(160, 70, 1.5, 1.3, 0.40),
)
SNOW = (
    Layer(2800, 1.6, 0.9, 0.5, 0.75),
    Layer(850, 4.0, 1.9, 0.9, 0.75),
    Layer(140, 9.0, 4.6, 2.4, 0.80),
    Layer(26, 22.0, 11.0, 6.0, 0.55),
)


def to_linear(pixels: Floats) -> Floats:
    """Display values to light."""
    return pixels * pixels


def to_display(light: Floats) -> Floats:
    """Light to display values in [0, 1]."""
    return np.sqrt(np.clip(light, 0, 1))


def ambient(light: Floats) -> float:
    """The light that haze, drops and flakes send to the camera: bright by day, faint by night."""
    # Fog at night has little light to scatter: a gray wall over a dark street would be a fault of its own.
    level = float(np.sqrt(max(float(light.mean()), 0.0)))
    return float(np.interp(level, (0.0, 0.15, 0.35, 0.6), (0.06, 0.14, 0.42, 0.80)))


def depth_ramp(vi: Floats, rng: np.random.Generator) -> Floats:
    """Distance over a road scene: near at the lower edge, far from the horizon upwards.

    Args:
        vi: an image of its size.
        rng: chooses the horizon and the banks.

    Returns:
        (H, W) float32 in about [0.15, 1], with soft banks in it.
    """
    height, width = vi.shape[:2]
    horizon = float(rng.uniform(0.30, 0.46))
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    below = np.maximum(rows - horizon, 0) / (1 - horizon)
    ground = 0.16 / (0.16 + below)  # distance on a plane seen in perspective, 1 at the horizon
    ramp = np.where(rows < horizon, 1.0, ground).astype(np.float32)[:, np.newaxis]
    coarse = rng.standard_normal((5, 7)).astype(np.float32)
    banks = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(ramp * np.clip(1 + 0.09 * banks, 0.7, 1.3), np.float32)


def veil(vi: Floats, density: float, depth: Floats, glow: float = 0) -> Floats:
    """Koschmieder's law: ``J t + A (1 - t)`` with ``t = exp(-density depth)``.

    Args:
        vi: (H, W) or (H, W, 3) in [0, 1].
        density: extinction times the distance of the horizon.
        depth: (H, W), 1 at the horizon.
        glow: 0 for air that is lit by the scene alone, up to 1 for haze as bright as by day: lamps beyond the
            image, or an exposure for what is near.
    """
    light = to_linear(vi)
    through = np.exp(-density * depth)
    level = ambient(light)
    air = (level + glow * max(_BRIGHT - level, 0)) * np.ones(1, np.float32)
    if vi.ndim == 3:
        through = through[..., np.newaxis]
        air = air * np.array((0.97, 1.0, 1.03), np.float32)
    return to_display(light * through + air * (1 - through))


def damped(ir: Floats, keep: float) -> Floats:
    """A thermal image with less contrast; ``keep`` is what is left of it.

    The air between adds its own glow, and the camera's automatic gain keeps the warmest at white: what is
    cold rises. About the mean instead, saturated people would turn gray, which no camera shows.
    """
    top = np.float32(ir.max())
    return np.asarray(top + np.float32(keep) * (ir - top), np.float32)


def traces(like: Floats, layer: Layer, amount: float, angle: float, rng: np.random.Generator) -> Floats:
    """Opacity of what falls in one layer.

    Args:
        like: an image of the size wanted.
        layer: how much, how long, how wide.
        amount: share of the layer's count, 0 to 1; more keeps what fewer had.
        angle: of the fall, in radians from straight down.
        rng: draws the same numbers for every amount.

    Returns:
        (H, W) float32 in [0, 1].
    """
    height, width = like.shape[:2]
    scale = min(height, width) / 480
    most = max(1, round(layer.count * height * width / (640 * 480) / max(scale, 0.2) ** 2))
    x, y = rng.uniform(-0.05, 1.05, (2, most))
    lengths = layer.length * scale * rng.lognormal(0, 0.35, most)
    tilts = angle + rng.normal(0, 0.05, most)
    widths = layer.width * scale * rng.lognormal(0, 0.3, most)
    levels = rng.beta(2.0, 2.2, most)  # drops differ in size and in how the light meets them
    mask = np.zeros((height, width), np.uint8)
    for i in range(round(amount * most)):
        # A trace thinner than a pixel is one pixel wide and fainter.
        level = 255 * layer.opacity * levels[i] * min(1.0, max(widths[i], 0.3))
        half = 0.5 * lengths[i] * np.array((np.sin(tilts[i]), np.cos(tilts[i])))
        middle = np.array((x[i] * width, y[i] * height))
        ends = [[round(float(v) * 2**_SHIFT) for v in middle + sign * half] for sign in (-1, 1)]
        cv2.line(mask, ends[0], ends[1], level, max(1, round(widths[i])), cv2.LINE_AA, _SHIFT)
    sigma = max(layer.soft * scale, 0.3)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32) / np.float32(255)


def falling(
    ir: Floats, vi: Floats, layers: tuple[Layer, ...], amount: float, bright: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw what falls over both images.

    Args:
        ir: (H, W) in [0, 1].
        vi: (H, W) or (H, W, 3) in [0, 1].
        layers: from far to near.
        amount: share of their counts.
        bright: light of a trace beside the ambient light.
        rng: source of chance.
    """
    light = to_linear(vi)
    angle = float(rng.normal(0, 0.17))
    # Traces shine with the light about them: a lamp's cone shows more rain than the dark beside it.
    around = _surroundings(light)
    shine = np.clip(bright * ambient(light) + 0.5 * around, 0, 1)
    cold = np.float32(max(float(ir.min()), float(ir.mean()) - 0.25))
    for layer in layers:
        seeds = rng.integers(2**32, size=1)
        over = traces(vi, layer, amount, angle, np.random.default_rng(seeds))
        light += (over if vi.ndim == 2 else over[..., np.newaxis]) * (shine - light)
        if layer.width > 1.2:  # only near drops and flakes are large enough for the thermal's pixels
            same = ir.shape == vi.shape[:2]
            faint = over if same else traces(ir, layer, amount, angle, np.random.default_rng(seeds))
            ir = ir + 0.10 * faint * (cold - ir)
    return np.asarray(ir, np.float32), to_display(light)


def _surroundings(light: Floats) -> Floats:
    """The mean light about each pixel, over a twelfth of the shorter side; computed on a small copy."""
    height, width = light.shape[:2]
    step = max(1, min(height, width) // 48)
    small = cv2.resize(light, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(1.0, min(small.shape[:2]) / 12))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
