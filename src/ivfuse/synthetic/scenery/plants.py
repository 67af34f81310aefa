"""Trees, hedges, street lamps and a bank of smoke."""

from __future__ import annotations

import numpy as np

from ivfuse.synthetic.scenery.canvas import (
    Canvas,
    Floats,
    Window,
    fractal,
    hull,
    linear,
    smoothstep,
    vector,
)
from ivfuse.synthetic.scenery.setting import Street


def _patch(
    canvas: Canvas, left: float, top: float, right: float, bottom: float
) -> tuple[Window, Floats, Floats] | None:
    """A window of the canvas and coordinates -1..1 in the unclipped one (columns, rows); ``None`` outside."""
    height, width = canvas.heat.shape
    l, t = max(int(left), 0), max(int(top), 0)  # noqa: E741
    r, b = min(int(right) + 1, width), min(int(bottom) + 1, height)
    if l >= r or t >= b:
        return None
    x = (np.arange(l, r, dtype=np.float32)[np.newaxis] - left) / max(right - left, 1e-3) * 2 - 1
    y = (np.arange(t, b, dtype=np.float32)[:, np.newaxis] - top) / max(bottom - top, 1e-3) * 2 - 1
    return np.s_[t:b, l:r], x, y


def paint_leaves(
    canvas: Canvas,
    frame: tuple[float, float, float, float],
    color: Floats,
    heat: float,
    rng: np.random.Generator,
    leaf: float,
    square: bool = False,
) -> None:
    """Paint foliage: clumps with light tops and dark gaps.

    Args:
        canvas: to paint on.
        frame: left, top, right and bottom in pixels.
        color: linear light of the leaves, (3,).
        heat: of the leaves.
        rng: source of randomness.
        leaf: size of a clump in pixels.
        square: a hedge instead of a crown.
    """
    found = _patch(canvas, *frame)
    if found is None:
        return
    window, x, y = found
    rows, columns = y.shape[0], x.shape[1]
    rough = fractal(rng, rows, columns, leaf * 3, 5)
    fine = fractal(rng, rows, columns, max(leaf * 0.6, 2.0), 3)
    power = 8 if square else 2.2
    far = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
    edge = far - (0.05 if square else 0.26) * rough - (0.04 if square else 0.10) * fine
    mask = smoothstep(0.93, 0.86, edge)
    depth = np.clip(0.62 + 0.42 * rough + 0.34 * fine - 0.30 * y - 0.12 * x, 0.10, 1.7)
    light = depth[..., np.newaxis] * color
    canvas.paint(window, mask, light, np.clip(heat + 0.02 * rough - 0.015 * y, 0, 1))


def paint_tree(street: Street, rng: np.random.Generator, x: float, z: float, sunlit: float) -> None:
    """Paint a tree: trunk, boughs and a crown of several clumps."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    scale = camera.scale(z)
    (foot,) = camera.project(vector(x), 0.0, z)
    light = street.lights.at(x, 2.0, z, sunlit * 0.8)
    bark = linear((0.30, 0.24, 0.19)) * light
    lean = float(rng.uniform(-0.15, 0.15))
    for a, b, thick in (((0, 0), (lean, 2.6), (0.15, 0.11)), ((lean, 2.3), (lean - 0.9, 3.6), (0.09, 0.05)),
                        ((lean, 2.4), (lean + 0.8, 3.7), (0.08, 0.05))):  # fmt: skip
        outline = hull((a[0], a[1], thick[0]), (b[0], b[1], thick[1])) * vector(scale, -scale) + foot
        canvas.fill_round(outline, bark, hour.heat.leaves + 0.05, radius=0.1 * scale)
    crown = street.lights.at(x, 4.2, z, sunlit)
    tint = linear([(0.30, 0.44, 0.17), (0.38, 0.45, 0.16), (0.24, 0.40, 0.20)][int(rng.integers(3))])
    clumps = [(lean, 4.6, 1.75), (lean - 1.1, 4.0, 1.1), (lean + 1.1, 4.1, 1.15), (lean + 0.2, 5.6, 1.1)]
    for cx, cy, radius in clumps:
        px, py = foot[0] + cx * scale, foot[1] - cy * scale
        size = radius * scale
        frame = (px - size, py - size * 0.85, px + size, py + size * 0.85)
        paint_leaves(
            canvas, frame, tint * crown * float(rng.uniform(0.85, 1.1)), hour.heat.leaves, rng, 0.22 * scale
        )


def paint_hedge(street: Street, rng: np.random.Generator, x: float, z: float, sunlit: float) -> None:
    """Paint a low hedge in a planter."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    scale = camera.scale(z)
    (foot,) = camera.project(vector(x), 0.0, z)
    light = street.lights.at(x, 0.7, z - 0.3, sunlit)
    stone = linear((0.52, 0.50, 0.47)) * light * 0.8
    rim = (
        np.array([[-1.02, 0.42], [1.02, 0.42], [1.0, 0], [-1.0, 0]], np.float32) * vector(scale, -scale)
        + foot
    )
    canvas.fill(rim, stone, hour.heat.pavement - 0.02)
    frame = (foot[0] - 1.05 * scale, foot[1] - 1.12 * scale, foot[0] + 1.05 * scale, foot[1] - 0.34 * scale)
    paint_leaves(
        canvas, frame, linear((0.25, 0.38, 0.16)) * light, hour.heat.leaves, rng, 0.1 * scale, square=True
    )


def paint_lamp(street: Street, x: float, z: float) -> None:
    """Paint a street lamp: post, arm and head."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    scale = camera.scale(z)
    (foot,) = camera.project(vector(x), 0.0, z)
    inward = -np.sign(x)
    color = street.lights.at(x, 1.0, z) * linear((0.26, 0.28, 0.29))
    for a, b, thick in (
        ((0, 0), (0, 0.9), 0.085),
        ((0, 0.8), (0, 5.6), 0.05),
        ((0, 5.55), (1.3, 5.95), 0.04),
    ):
        outline = (
            hull((inward * a[0], a[1], thick), (inward * b[0], b[1], thick)) * vector(scale, -scale) + foot
        )
        canvas.fill(outline, color, hour.heat.car + 0.02)
    head = hull((inward * 1.2, 5.93, 0.08), (inward * 1.75, 6.0, 0.07)) * vector(scale, -scale) + foot
    glow = (9.0, 6.6, 3.6) if hour.lamps else color
    canvas.fill(head, glow, 0.72 if hour.lamps else hour.heat.car)


def paint_smoke(street: Street, rng: np.random.Generator, x: float, z: float, sunlit: float) -> None:
    """Paint a bank of smoke: opaque in the visible, nearly transparent in the thermal."""
    canvas, camera = street.canvas, street.camera
    scale = camera.scale(z)
    (foot,) = camera.project(vector(x), 0.0, z)
    found = _patch(
        canvas, foot[0] - 2.5 * scale, foot[1] - 3.3 * scale, foot[0] + 2.5 * scale, foot[1] + 0.45 * scale
    )
    if found is None:
        return
    window, x_in, y_in = found
    billow = fractal(rng, y_in.shape[0], x_in.shape[1], 0.9 * scale, 5)
    low = 0.55 * (1 - y_in)  # 0 at the ground, about 1 at the top
    far = np.hypot((x_in - 0.25 * low) / (0.62 + 0.25 * low), (y_in - 0.22) / 0.80)
    mask = smoothstep(1.10, 0.55, far - 0.30 * np.clip(billow, -0.8, 1)) * 0.97
    light = street.lights.at(x, 1.6, z - 1.0, max(sunlit, 0.45))
    shade = np.clip(0.78 + 0.16 * billow - 0.12 * y_in, 0.3, 1.1)
    target = canvas.target[window].copy()
    heat = canvas.heat[window]
    canvas.paint(
        window, mask, shade[..., np.newaxis] * linear((0.82, 0.82, 0.83)) * light, heat - 0.05 * (heat - 0.4)
    )
    canvas.target[window] = target
