"""The setting of the street: time of day, lights, thermal values of all materials, camera and canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ivfuse.synthetic.scenery.canvas import Camera, Canvas, Color, Floats, linear

Time = Literal["night", "dusk", "day"]

ROAD = 4.6  # meters from the middle of the road to the curb
WALL = 7.6  # meters from the middle of the road to the walls


@dataclass(frozen=True)
class Heat:
    """Thermal values of the materials at a time of day, 0..1."""

    sky: float
    haze: float
    road: float
    pavement: float
    wall: float
    glass: float
    leaves: float
    car: float
    skin: float
    clothes: float
    sun: float


@dataclass(frozen=True)
class Hour:
    """A time of day. Colors are display values of gamma 2.2; they become linear where they are used."""

    name: Time
    zenith: Color
    horizon: Color
    ambient: Color
    sun: Color
    exposure: float
    lamps: float
    lit_windows: float
    noise: float
    heat: Heat


HOURS: dict[str, Hour] = {
    "night": Hour(
        "night", (0.035, 0.05, 0.13), (0.20, 0.19, 0.27), (0.105, 0.12, 0.19), (0, 0, 0),
        1.0, 1.0, 0.42, 0.016,
        Heat(0.05, 0.22, 0.38, 0.33, 0.30, 0.17, 0.22, 0.22, 0.98, 0.77, 0.0),
    ),
    "dusk": Hour(
        "dusk", (0.20, 0.26, 0.46), (0.96, 0.62, 0.42), (0.42, 0.41, 0.50), (0, 0, 0),
        1.0, 0.55, 0.28, 0.008,
        Heat(0.08, 0.28, 0.45, 0.41, 0.42, 0.26, 0.30, 0.30, 0.95, 0.77, 0.0),
    ),
    "day": Hour(
        "day", (0.30, 0.52, 0.84), (0.80, 0.87, 0.94), (0.70, 0.73, 0.78), (1.10, 1.02, 0.88),
        1.0, 0.0, 0.0, 0.004,
        Heat(0.08, 0.33, 0.46, 0.43, 0.42, 0.30, 0.33, 0.40, 0.93, 0.80, 0.10),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Lamp:
    """A light source in the street.

    Attributes:
        x: meters, as y and z.
        y: above the road.
        z: distance.
        color: linear.
        power: irradiance at a distance of one meter.
    """

    x: float
    y: float
    z: float
    color: Color
    power: float


class Lights:
    """The illumination of the scene."""

    def __init__(self, hour: Hour, lamps: list[Lamp]) -> None:
        """Collect the sky, the sun and the lamps."""
        self.ambient = linear(hour.ambient)
        self.sun = linear(hour.sun)
        self.lamps = lamps

    def at(
        self, x: Floats | float, y: Floats | float, z: Floats | float, sunlit: Floats | float = 0.0
    ) -> Floats:
        """Irradiance at points, (..., 3) linear RGB.

        Args:
            x: meters, as y and z.
            y: above the road.
            z: distance.
            sunlit: share of the sun that reaches them, 0..1.
        """
        x, y, z = np.broadcast_arrays(np.float32(x), np.float32(y), np.float32(z))
        out = np.broadcast_to(self.ambient, (*x.shape, 3)).copy()
        out += np.asarray(sunlit, np.float32)[..., np.newaxis] * self.sun
        for lamp in self.lamps:
            squared = (x - lamp.x) ** 2 + (y - lamp.y) ** 2 + (z - lamp.z) ** 2
            strength = lamp.power / (squared + 1.5)
            if lamp.y > 3:  # street lamps are shaded: they shine downwards
                strength = strength * (0.03 + 0.97 * np.clip((lamp.y - y) / np.sqrt(squared + 0.1), 0, 1))
            out += strength[..., np.newaxis] * np.asarray(lamp.color, np.float32)
        return out


@dataclass(frozen=True)
class Street:
    """A street that is being painted.

    Attributes:
        canvas: to paint on.
        camera: through which it is seen.
        hour: time of day.
        lights: sky, sun and lamps.
    """

    canvas: Canvas
    camera: Camera
    hour: Hour
    lights: Lights
