"""Camera models, from radiance to images: glare, exposure, blur, noise, vignetting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivfuse.synthetic.scenery.canvas import Color, Floats, blurred, fractal, resized


def add_glare(light: Floats, column: float, row: float, radius: float, color: Color, power: float) -> None:
    """Add the halo and the rays of a bright light, in place.

    Args:
        light: (H, W, 3) linear.
        column: of the light, in pixels.
        row: of the light, in pixels.
        radius: of the halo, in pixels.
        color: linear.
        power: radiance at the center.
    """
    height, width = light.shape[:2]
    left, right = max(int(column - 4 * radius), 0), min(int(column + 4 * radius) + 1, width)
    top, bottom = max(int(row - 4 * radius), 0), min(int(row + 4 * radius) + 1, height)
    if left >= right or top >= bottom:
        return
    x = (np.arange(left, right, dtype=np.float32)[np.newaxis] - column) / radius
    y = (np.arange(top, bottom, dtype=np.float32)[:, np.newaxis] - row) / radius
    squared = x * x + y * y
    window = np.clip(1 - squared / 16, 0, 1) ** 2
    halo = 0.75 * np.exp(-squared / 0.09) + 0.25 / (1 + squared * 2.2) ** 1.6
    for angle in (0.0, 1.05, 2.09):
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        along, across = c * x + s * y, c * y - s * x
        halo += 0.22 * np.exp(-np.abs(along) / 0.9 - (across / 0.035) ** 2)
    light[top:bottom, left:right] += (power * halo * window)[..., np.newaxis] * np.asarray(color, np.float32)


def expose(light: Floats, exposure: float, noise: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Image of a color camera, (H, W, 3) in [0, 1]: bloom, a film-like tone curve, vignetting, noise."""
    height, width = light.shape[:2]
    size = min(height, width)
    bright = np.clip(light - 0.8, 0, 6)
    small = resized(bright, max(height // 4, 1), max(width // 4, 1))
    bloom = blurred(small, max(size / 120, 0.8)) + 0.5 * blurred(small, max(size / 40, 0.8))
    x = light + 0.16 * resized(bloom, height, width)
    x = x * (exposure * _vignette(height, width, 0.30)[..., np.newaxis])
    x = x * (1 + x / 6.0) / (1 + 0.62 * x)  # highlights roll off
    shown = np.clip(x, 0, None) ** np.float32(1 / 2.2)
    grain = rng.standard_normal((height, width, 3), dtype=np.float32)
    grain = 0.7 * blurred(grain, 0.6) + 0.9 * blurred(grain[..., :1], 0.5)
    shown = shown + noise * (1.5 - np.clip(shown, 0, 1)) * grain
    return np.asarray(np.clip(shown, 0, 1), np.float32)


def sense_heat(heat: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Image of an uncooled thermal camera, (H, W) in [0, 1]: soft optics, column noise, vignetting."""
    height, width = heat.shape
    size = min(height, width)
    soft = blurred(heat, max(size / 640, 0.35))
    soft = soft + 0.10 * (soft - blurred(heat, max(size / 45, 0.5)))  # the dark halo of uncooled cameras
    soft = soft + 0.022 * (_vignette(height, width, 1.0) - 0.7)
    soft = soft + 0.0035 * rng.standard_normal((1, width), dtype=np.float32)
    soft = soft + 0.006 * fractal(rng, height, width, max(size / 4, 4), 2)
    soft = soft + 0.010 * blurred(rng.standard_normal((height, width), dtype=np.float32), 0.55)
    return np.clip(soft, 0, 1).astype(np.float32)


def _vignette(height: int, width: int, depth: float) -> Floats:
    """Relative illumination: 1 at the center, less towards the corners."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[np.newaxis]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    return np.asarray(1 - depth * 0.5 * (x * x + y * y) ** 1.2, np.float32)
