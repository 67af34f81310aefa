"""Sky, road and sidewalks."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.synthetic.scenery.canvas import Camera, Floats, fractal, linear, resized, smoothstep
from ivfuse.synthetic.scenery.setting import ROAD, Street

SHADOW_EDGE = -0.6  # by day the left houses shade the street up to here, in meters from the middle


def paint_sky(street: Street, rng: np.random.Generator) -> None:
    """Paint the sky: a gradient, clouds, and at night stars and a moon."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    height, width = canvas.heat.shape
    rows = min(int(camera.horizon * height) + 2, height)
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, np.newaxis]
    blend = (up**0.75)[..., np.newaxis]
    light = linear(hour.horizon) * (1 - blend) + linear(hour.zenith) * blend
    light = np.broadcast_to(light, (rows, width, 3)).copy()
    noise = fractal(rng, rows, width, camera.focal * 0.5, 6)
    stretched = resized(noise, rows * 2, width)[:rows]
    clouds = smoothstep(-0.15, 0.5, stretched) * smoothstep(0.0, 0.25, up)
    cover = {"night": (0.16, 0.17, 0.23), "dusk": (0.80, 0.52, 0.50), "day": (0.97, 0.97, 0.98)}[hour.name]
    light += (clouds * (0.5 if hour.name == "night" else 0.8))[..., np.newaxis] * (linear(cover) - light)
    if hour.name == "night":
        _stars(light, clouds, camera, rng)
    canvas.light[:rows] = light
    canvas.owner[:rows] = canvas.begin("sky")
    canvas.heat[:rows] = hour.heat.sky + 0.16 * (1 - up) ** 2 + 0.09 * clouds


def _stars(light: Floats, clouds: Floats, camera: Camera, rng: np.random.Generator) -> None:
    """Paint stars where there is no cloud, and a moon with a halo."""
    rows, width = clouds.shape
    size = max(camera.focal / 800, 0.5)
    for x, y, bright in rng.random((90, 3)):
        row, column = int(y * rows * 0.9), int(x * width)
        side = round(size * (1 + bright))
        seen = (1 - clouds[row, column]) * (0.15 + 0.5 * bright**3)
        light[row : row + side, column : column + side] += seen * np.array([0.9, 0.95, 1.0], np.float32)
    x, y = width / 2 + camera.focal * 0.17, rows * 0.2
    radius = camera.focal * 0.021
    yy, xx = np.mgrid[0:rows, 0:width].astype(np.float32)
    far = np.hypot(xx - x, yy - y) / radius
    disc = smoothstep(1.08, 0.92, far)[..., np.newaxis]
    light += (0.05 / (1 + (far / 2.5) ** 2))[..., np.newaxis] * np.array([0.8, 0.9, 1.0], np.float32)
    light += disc * (np.array([0.85, 0.86, 0.78], np.float32) - light)


def paint_ground(street: Street, rng: np.random.Generator) -> None:
    """Asphalt with lane marks and a crossing, curbs, slabs."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    height, width = canvas.heat.shape
    first = min(max(int(camera.horizon * height) + 1, 0), height - 1)
    rows = np.arange(first, height, dtype=np.float32)[:, np.newaxis] + 0.5
    z = camera.focal * camera.eye / np.maximum(rows - camera.horizon * height, 0.3)
    z = np.minimum(z, 400.0)
    x = (np.arange(width, dtype=np.float32)[np.newaxis] + 0.5 - width / 2) * z / camera.focal
    pixel = z / camera.focal  # meters per pixel
    side = np.abs(x)
    road = smoothstep(-0.5, 0.5, (ROAD - side) / pixel)
    grain = _sample(fractal(rng, 512, 512, 64, 6), x * 60, z * 60) * np.clip(0.03 / pixel, 0, 1)
    patches = _sample(fractal(rng, 512, 512, 128, 3), x * 14, z * 7)
    albedo = _surfaces(x, z, pixel, road, grain, patches)
    sunlit = _sunlit(x, z, 0.12)
    small = (max(road.shape[0] // 4, 1), max(width // 4, 1))
    coarse, coarse_z = (resized(np.broadcast_to(v, road.shape), *small) for v in (x, z))
    light = resized(street.lights.at(coarse, 0.0, coarse_z), road.shape[0], width)
    light += sunlit[..., np.newaxis] * street.lights.sun
    if hour.lamps:
        light *= (1 + 0.25 * np.clip(patches, -1, 1))[..., np.newaxis]  # damp spots reflect more
    canvas.owner[first:] = np.where(road > 0.5, canvas.begin("road"), canvas.begin("sidewalk"))
    far = 1 - np.exp(-z / 130)
    canvas.light[first:] = albedo * light + far[..., np.newaxis] * (
        linear(hour.horizon) * 0.6 - albedo * light
    )
    heat = hour.heat.pavement + (hour.heat.road - hour.heat.pavement) * road
    heat = heat + 0.015 * patches + 0.012 * grain + hour.heat.sun * (_sunlit(x, z, 0.9) - 0.4)
    wheels = np.exp(-(((np.abs(side - 2.0) - 0.75) / 0.35) ** 2)) * road  # tracks warmed by tires
    canvas.heat[first:] = heat + 0.02 * wheels + far * (hour.heat.haze - heat)


def _surfaces(x: Floats, z: Floats, pixel: Floats, road: Floats, grain: Floats, patches: Floats) -> Floats:
    """Albedo of road and pavement with their marks, (h, w, 3) linear."""
    side = np.abs(x)

    def band(distance: Floats, half: float) -> Floats:
        """1 within ``half`` meters of a line, antialiased over a pixel and fading where thinner than one."""
        soft = np.maximum(pixel, 1e-4)
        return np.clip((half - distance) / soft + 0.5, 0, 1) * np.clip(2 * half / soft, 0, 1)

    shade = 1 + 0.35 * grain + 0.10 * patches
    asphalt = linear((0.36, 0.36, 0.38)) * shade[..., np.newaxis]
    slab = linear((0.56, 0.54, 0.52)) * shade[..., np.newaxis]
    joints = np.maximum(
        band(np.abs((side - ROAD) % 0.75 - 0.375), 0.018), band(np.abs(z % 0.75 - 0.375), 0.018)
    )
    slab = slab * (1 - 0.45 * joints)[..., np.newaxis]
    out = slab + road[..., np.newaxis] * (asphalt - slab)
    curb = band(np.abs(side - ROAD - 0.1), 0.13)
    out += curb[..., np.newaxis] * (linear((0.68, 0.67, 0.64)) - out)
    dashes = band(side, 0.08) * band(np.abs((z - 1.5) % 6 - 3), 1.5)
    gutter = band(np.abs(side - ROAD + 0.35), 0.05)
    stripes = band(np.abs(x % 1.0 - 0.5), 0.26) * band(np.abs(z - 9.2), 1.5) * (side < ROAD - 0.5)
    marks = np.maximum(np.maximum(dashes * (np.abs(z - 9.2) > 2.2), 0.7 * gutter), stripes)
    worn = marks * np.clip(0.85 + 0.35 * patches + 0.3 * grain, 0.25, 1)
    out += worn[..., np.newaxis] * (linear((0.86, 0.86, 0.83)) - out)
    return np.asarray(out, np.float32)


def _sunlit(x: Floats, z: Floats, soft: float) -> Floats:
    """Mask of the ground that the sun reaches by day: outside of the shadow of the left houses."""
    step = (z - 0.8 * x) / 11.0 % 1
    eaves = 1.5 * (smoothstep(0.0, 0.03, step) - smoothstep(0.42, 0.45, step))
    return smoothstep(-soft, soft, x - SHADOW_EDGE + 0.7 - eaves)


def _sample(tile: Floats, x: Floats, y: Floats) -> Floats:
    """Sample a noise tile at any position; the tile is repeated by mirroring."""
    height, width = tile.shape
    mirrored = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    xx, yy = np.broadcast_arrays(x % (2 * width), y % (2 * height))
    return np.asarray(
        cv2.remap(
            mirrored,
            xx.astype(np.float32),
            yy.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
    )


def paint_shadow(street: Street, x: float, z: float, size: tuple[float, float], depth: float) -> None:
    """Paint the soft contact shadow under an object.

    Args:
        street: to paint in.
        x: middle, in meters.
        z: middle, in meters.
        size: half width and half length, in meters.
        depth: how much light it takes, 0..1.
    """
    for grow, part in ((1.25, 0.4), (1.0, 0.4), (0.75, 0.4)):
        t = np.linspace(0, 2 * np.pi, 36, endpoint=False, dtype=np.float32)
        points = street.camera.project(x + grow * size[0] * np.cos(t), 0.0, z + grow * size[1] * np.sin(t))
        found = street.canvas.polygon(points)
        if found is not None:
            box, mask = found
            street.canvas.light[box] *= 1 - (mask * part * depth)[..., np.newaxis]


def paint_manhole(street: Street, x: float, z: float) -> None:
    """Paint a manhole cover, warm from the drain below; its pattern shows in the visible only."""
    light = street.lights.at(x, 0.0, z)
    street.canvas.begin("road")
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False, dtype=np.float32)
    for radius, shade, heat in (
        (0.42, 0.30, 0.08),
        (0.38, 0.22, 0.16),
        (0.30, 0.27, 0.19),
        (0.24, 0.20, 0.22),
    ):
        color = linear((shade, shade, shade)) * light
        points = street.camera.project(x + radius * np.cos(t), 0.0, z + radius * np.sin(t))
        street.canvas.fill(points, color, street.hour.heat.road + heat)
