"""Houses along the street: brick and plaster, windows (some lit), shops with signs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.synthetic.scenery.canvas import (
    Color,
    Floats,
    fractal,
    linear,
    resized,
    smoothstep,
    vector,
)
from ivfuse.synthetic.scenery.setting import WALL, Hour, Street

DENSITY = (6.0, 64.0)  # texture pixels per meter, for far and near houses
FLOOR = 3.3  # meters
GROUND_FLOOR = 4.0

_WALLS: tuple[tuple[Color, bool], ...] = (
    ((0.60, 0.30, 0.23), True),
    ((0.80, 0.72, 0.58), False),
    ((0.52, 0.33, 0.27), True),
    ((0.62, 0.65, 0.66), False),
    ((0.74, 0.56, 0.40), False),
    ((0.45, 0.29, 0.26), True),
    ((0.67, 0.69, 0.58), False),
    ((0.72, 0.48, 0.36), True),
)
_SIGNS = ("CAFE", "HOTEL", "BOOKS", "BAKERY", "MUSIC", "PHARMACY", "RAMEN", "CINEMA", "FLOWERS", "BIKES")


@dataclass
class Facade:
    """A wall that is being painted.

    Attributes:
        density: pixels of a meter.
        albedo: (h, w, 3) linear.
        glow: light of its own, (h, w, 3) linear.
        heat: (h, w).
    """

    density: float
    albedo: Floats
    glow: Floats
    heat: Floats

    def box(self, x: float, y: float, width: float, height: float) -> tuple[slice, slice]:
        """The pixels of a rectangle; x and y are meters from the left and the ground to its corner."""
        rows, columns = self.heat.shape
        top, left = rows - (y + height) * self.density, x * self.density
        return (
            slice(max(round(top), 0), min(round(top + height * self.density), rows)),
            slice(max(round(left), 0), min(round(left + width * self.density), columns)),
        )

    def plate(
        self, x: float, y: float, width: float, height: float, color: Color, heat: float, shadow: bool = True
    ) -> None:
        """A flat part of one color, with a thin shadow below it."""
        if shadow:
            self.albedo[self.box(x, y - 0.12, width, 0.12)] *= 0.6
        box = self.box(x, y, width, height)
        self.albedo[box] = linear(color)
        self.glow[box] = 0
        self.heat[box] = heat


def paint_houses(street: Street, seed: int) -> None:
    """Paint both rows of houses, from far to near, and the skyline; the same houses at every time of day."""
    rng = np.random.default_rng((seed, 20))
    _close_street(street, rng)
    houses: list[tuple[float, float, float, bool, int, str]] = []
    signs = list(rng.permutation(_SIGNS))
    walls = list(rng.permutation(len(_WALLS)))
    for left in (True, False):
        start = 8.0 if left else 6.5
        while start < 90:
            length = float(rng.uniform(8, 13))
            height = GROUND_FLOOR + FLOOR * int(rng.integers(2, 5)) + 0.9
            style = walls[len(houses) % len(walls)]
            houses.append((start, length, height, left, int(style), str(signs[len(houses) % len(signs)])))
            start += length
    if street.camera.width / 2 > street.camera.focal:  # a wide image also shows what is close by
        houses += [
            (1.0, 7.0, 12.5, True, int(walls[0]), str(signs[0])),
            (1.0, 5.5, 12.5, False, int(walls[1]), str(signs[1])),
        ]
    for start, length, height, left, style, sign in sorted(houses, reverse=True):
        its_own = np.random.default_rng((seed, 21, int(start * 100)))
        _paint_house(street, its_own, (start, length, height), left, style, sign)


def _close_street(street: Street, rng: np.random.Generator) -> None:
    """Faint houses far away, in the haze."""
    canvas, camera, hour = street.canvas, street.camera, street.hour
    day = hour.name == "day"
    for z, shade in ((160.0, 0.75), (110.0, 0.6)):
        x = -30.0
        while x < 30:
            width, height = float(rng.uniform(5, 10)), float(rng.uniform(7, 14))
            corners = camera.project(
                vector(x, x + width, x + width, x),
                vector(height, height, -1, -1),
                np.full(4, z, np.float32),
            )
            color = linear(hour.horizon) * (shade if day else 0.5 * shade)
            canvas.fill(corners, color, hour.heat.haze + 0.04 * (1 - shade) + float(rng.uniform(0, 0.03)))
            for wx in np.arange(x + 0.7, x + width - 1, 1.7):
                for wy in np.arange(2.0, height - 2, 2.6):
                    lit = rng.random() < 0.7 * hour.lit_windows
                    pane = (0.45, 0.30, 0.12) if lit else color * (0.8, 0.82, 0.85)
                    spot = camera.project(
                        vector(wx, wx + 0.9, wx + 0.9, wx), vector(wy + 1.4, wy + 1.4, wy, wy), z
                    )
                    canvas.fill(spot, pane, hour.heat.haze + (0.05 if lit else -0.01))
            x += width


def _paint_house(
    street: Street,
    rng: np.random.Generator,
    size: tuple[float, float, float],
    left: bool,
    style: int,
    sign: str,
) -> None:
    """Draw one facade upright, light it, and paint it in perspective."""
    hour, lights = street.hour, street.lights
    start, length, height = size
    x = -WALL if left else WALL
    density = float(np.clip(0.75 * street.camera.scale(max(start, 10.0)), *DENSITY))
    facade = draw_facade(length, height, density, hour, rng, style, sign)
    rows, columns = facade.heat.shape
    # Left walls show their near end on the left, right walls theirs on the right.
    along = (np.arange(columns, dtype=np.float32) + 0.5) / density
    z = start + (along if left else length - along)
    y = height - (np.arange(rows, dtype=np.float32) + 0.5) / density
    small_z = resized(z[np.newaxis], 1, max(columns // 8, 2))
    small_y = resized(y[:, np.newaxis], max(rows // 8, 2), 1)
    # Lamps light a wall at a grazing angle, approximated by the light at points in front of it.
    light = resized(lights.at(x * 0.93, small_y, small_z), rows, columns)
    sunlit = 0.0 if left else 0.95
    light += sunlit * lights.sun
    fog = (1 - np.exp(-z / 140))[np.newaxis, :]
    seen = np.empty((rows, columns, 4), np.float32)
    seen[..., :3] = facade.albedo * light + facade.glow
    seen[..., :3] += fog[..., np.newaxis] * (linear(hour.horizon) * 0.6 - seen[..., :3])
    warm = facade.heat + hour.heat.sun * (0.75 * sunlit - 0.2)
    seen[..., 3] = warm + fog * (hour.heat.haze - warm)
    ends = (start, start + length) if left else (start + length, start)
    corners = street.camera.project(
        vector(x, x, x, x),
        vector(height, height, 0, 0),
        vector(ends[0], ends[1], ends[1], ends[0]),
    )
    _paint_chimneys(street, rng, x, start, length, height)
    street.canvas.warp(seen, corners)


def _paint_chimneys(
    street: Street, rng: np.random.Generator, x: float, start: float, length: float, height: float
) -> None:
    """Chimneys above the eaves; some are in use."""
    hour = street.hour
    outward = 0.5 * np.sign(x)
    for part in rng.uniform(0.2, 0.8, 2):
        z = start + part * length
        warm = float(rng.uniform(0.3, 0.75))
        for low, high, half, heat in (
            (-0.5, 0.8, 0.28, hour.heat.wall - 0.05),
            (0.8, 1.0, 0.34, warm),
        ):
            corners = street.camera.project(
                vector(-half, half, half, -half) + np.float32(x + outward),
                height + vector(high, high, low, low),
                z,
            )
            light = linear((0.33, 0.22, 0.19)) * linear(hour.ambient) * 1.2
            street.canvas.fill(corners, light, heat)


def draw_facade(
    length: float, height: float, density: float, hour: Hour, rng: np.random.Generator, style: int, sign: str
) -> Facade:
    """Draw one facade upright: ``height * density`` rows, ``length * density`` columns."""
    rows, columns = round(height * density), round(length * density)
    color, brick = _WALLS[style]
    stain = fractal(rng, rows, columns, 3 * density, 4)
    shade = 1 + 0.10 * stain + 0.05 * rng.standard_normal((rows, columns)).astype(np.float32)
    if brick:
        shade *= _bricks(rows, columns, density, rng)
    albedo = linear(color) * np.clip(shade, 0.3, 1.6)[..., np.newaxis]
    heat = hour.heat.wall + 0.02 * stain + np.linspace(-0.03, 0.02, rows, dtype=np.float32)[:, np.newaxis]
    facade = Facade(
        density, albedo.astype(np.float32), np.zeros((rows, columns, 3), np.float32), heat.astype(np.float32)
    )
    trim = tuple(min(1.0, 0.35 + 0.6 * c) for c in color)
    stone: Color = (trim[0], trim[1], trim[2])
    facade.plate(0, height - 0.55, length, 0.35, stone, hour.heat.wall - 0.05)
    facade.plate(0, GROUND_FLOOR - 0.2, length, 0.22, stone, hour.heat.wall - 0.03)
    facade.plate(0, 0, length, 0.5, (0.36, 0.35, 0.34), hour.heat.wall + 0.03, shadow=False)
    _shop(facade, length, hour, rng, sign)
    count = int(length / 2.5)
    pitch = length / count
    for floor in range(int((height - GROUND_FLOOR - 0.8) / FLOOR)):
        for i in range(count):
            x = (i + 0.5) * pitch - 0.6
            _window(facade, x, GROUND_FLOOR + floor * FLOOR + 0.85, hour, rng, stone)
    return facade


def _bricks(rows: int, columns: int, density: float, rng: np.random.Generator) -> Floats:
    """Courses of bricks with mortar between, as a factor of the wall's color."""
    course, brick = density * 0.15, density * 0.42
    y, x = (np.arange(n, dtype=np.float32) for n in (rows, columns))
    y, x = y[:, np.newaxis], x[np.newaxis]
    row = np.floor(y / course)
    shifted = x / brick + 0.5 * (row % 2)
    column = np.floor(shifted)
    tones = rng.uniform(0.78, 1.18, (64, 64)).astype(np.float32)
    tone = tones[row.astype(int) % 64, column.astype(int) % 64]
    mortar = np.maximum((y / course % 1 > 0.82).astype(np.float32), (shifted % 1 > 0.93).astype(np.float32))
    seen = min(1.0, course / 4)  # distant bricks merge into one color
    return np.asarray(1 + seen * (tone + mortar * (1.35 - tone) - 1), np.float32)


def _window(facade: Facade, x: float, y: float, hour: Hour, rng: np.random.Generator, stone: Color) -> None:
    """A sash window: frame, panes, curtains, and a radiator's warmth below it."""
    heat = hour.heat
    width, height = 1.2, 1.75
    facade.plate(x - 0.12, y - 0.16, width + 0.24, 0.14, stone, heat.wall + 0.02)
    facade.plate(x - 0.1, y, width + 0.2, height + 0.12, stone, heat.wall + 0.05, shadow=False)
    facade.plate(x, y, width, height, (0.86, 0.85, 0.82), heat.wall + 0.11, shadow=False)
    lit = rng.random() < hour.lit_windows
    warm = 0.10 if lit else 0.0
    box = facade.box(x + 0.07, y + 0.07, width - 0.14, height - 0.14)
    rows, columns = facade.heat[box].shape
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, np.newaxis]
    across = np.linspace(-1, 1, columns, dtype=np.float32)[np.newaxis]
    mirrored = linear((0.10, 0.12, 0.15)) + (0.10 + 0.35 * up[..., np.newaxis]) * linear(hour.horizon) * 0.6
    facade.albedo[box] = 0.05
    facade.glow[box] = np.broadcast_to(mirrored * 0.7, (rows, columns, 3))
    if lit:
        tint = np.array(
            [(1.0, 0.66, 0.30), (1.0, 0.74, 0.42), (0.92, 0.86, 0.68)][int(rng.integers(3))], np.float32
        )
        bulb = 0.35 + 0.65 * np.exp(-((across / 0.8) ** 2 + ((up - 0.72) / 0.5) ** 2))
        curtain = smoothstep(0.55, 0.7, np.abs(across)) * (0.85 + 0.15 * np.sin(across * 40))
        glow = bulb * (1 - 0.45 * curtain) * float(rng.uniform(0.7, 1.5))
        facade.glow[box] += glow[..., np.newaxis] * tint
    elif rng.random() < 0.6:
        drawn = smoothstep(0.3, 0.45, np.abs(across)) * np.ones_like(up)
        facade.albedo[box] += (0.30 * drawn * (0.8 + 0.2 * np.sin(across * 40)))[..., np.newaxis]
    facade.heat[box] = heat.glass + warm + 0.05 * (1 - up)
    for bar in (
        facade.box(x + width / 2 - 0.03, y, 0.06, height),
        facade.box(x, y + height * 0.55, width, 0.06),
    ):
        facade.albedo[bar] = linear((0.84, 0.83, 0.80))
        facade.glow[bar] = 0
        facade.heat[bar] = heat.wall + 0.09
    if rng.random() < 0.5:
        below = facade.box(x - 0.1, y - 0.95, width + 0.2, 0.8)
        rows, columns = facade.heat[below].shape
        yy, xx = np.linspace(-1, 1, rows)[:, np.newaxis], np.linspace(-1, 1, columns)[np.newaxis]
        facade.heat[below] += (0.09 * np.clip(1 - xx**4, 0, 1) * np.clip(1 - yy**2, 0, 1)).astype(np.float32)


def _shop(facade: Facade, length: float, hour: Hour, rng: np.random.Generator, sign: str) -> None:
    """The ground floor: a shop window, a door, a board with a name, an awning."""
    heat = hour.heat
    open_ = rng.random() < (0.55 if hour.lit_windows else 1.0)
    accent: Color = [(0.16, 0.30, 0.26), (0.45, 0.14, 0.14), (0.15, 0.20, 0.36), (0.52, 0.36, 0.12)][
        int(rng.integers(4))
    ]  # type: ignore[assignment]
    facade.plate(0.4, 0.1, length - 0.8, 3.55, accent, heat.wall + 0.01)
    door = length - 2.1
    for x, y, width, height in ((0.75, 0.75, door - 1.1, 1.95), (door + 0.15, 0.2, 1.0, 2.5)):
        box = facade.box(x, y, width, height)
        rows, columns = facade.heat[box].shape
        up = np.linspace(1, 0, rows, dtype=np.float32)[:, np.newaxis]
        across = np.linspace(0, 1, columns, dtype=np.float32)[np.newaxis]
        goods = fractal(rng, rows, columns, 0.5 * facade.density, 3)
        facade.albedo[box] = 0.04
        if open_ and hour.lit_windows:
            glow = (0.22 + 0.55 * up + 0.30 * np.clip(goods, -1, 1) * (up < 0.55)) * (
                0.85 + 0.15 * np.sin(across * 9)
            )
            facade.glow[box] = glow[..., np.newaxis] * np.array([1.0, 0.64, 0.30], np.float32) * 0.8
        else:
            dark = linear((0.12, 0.14, 0.17)) + 0.10 * linear(hour.horizon) * (up[..., np.newaxis] + 0.3)
            shelf = 0.04 * np.clip(goods + 0.2, 0, 1) * (up < 0.6) * (4.0 if hour.name == "day" else 1.0)
            facade.glow[box] = dark * 0.6 * np.ones((rows, columns, 1), np.float32)
            facade.albedo[box] += shelf[..., np.newaxis]
        facade.heat[box] = heat.glass + (0.13 if open_ else 0.03) + 0.03 * (1 - up)
        for bar in np.arange(0, width, 1.3)[1:]:
            facade.plate(x + bar, y, 0.07, height, accent, heat.wall + 0.06, shadow=False)
    has_awning = rng.random() < 0.5
    _board(facade, length, hour, rng, sign, open_)
    if has_awning:
        _awning(facade, 0.6, door - 0.8, hour, rng)
    facade.heat[facade.box(door + 1.35, 2.95, 0.5, 0.45)] = 0.60  # a vent, warm from the kitchen
    facade.albedo[facade.box(door + 1.35, 2.95, 0.5, 0.45)] = 0.08


def _board(facade: Facade, length: float, hour: Hour, rng: np.random.Generator, sign: str, lit: bool) -> None:
    """The shop's name: paint and light, which have no heat of their own."""
    box = facade.box(0.5, 2.85, length - 2.4, 0.72)
    rows, columns = facade.heat[box].shape
    letters = np.zeros((rows, columns), np.uint8)
    (width, tall), _ = cv2.getTextSize(sign, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    scale = min(columns * 0.9 / width, rows * 0.62 / tall)
    place = (int((columns - width * scale) / 2), int((rows + tall * scale) / 2))
    cv2.putText(
        letters, sign, place, cv2.FONT_HERSHEY_DUPLEX, scale, 255, max(1, round(2.2 * scale)), cv2.LINE_AA
    )
    ink = (letters.astype(np.float32) / 255)[..., np.newaxis]
    ground = linear([(0.10, 0.10, 0.11), (0.90, 0.87, 0.78), (0.13, 0.20, 0.32)][int(rng.integers(3))])
    paint = linear((0.95, 0.90, 0.75)) if ground.sum() < 1 else linear((0.25, 0.08, 0.07))
    facade.albedo[box] = ground + ink * (paint - ground)
    if lit and hour.lit_windows and ground.sum() < 1:
        neon = [(1.0, 0.35, 0.25), (0.35, 0.85, 1.0), (1.0, 0.85, 0.5)][int(rng.integers(3))]
        facade.glow[box] = ink * np.array(neon, np.float32) * 1.4
    facade.heat[box] = hour.heat.wall - 0.02


def _awning(facade: Facade, x: float, width: float, hour: Hour, rng: np.random.Generator) -> None:
    """Stripes of cloth above the shop window, and their shadow."""
    facade.albedo[facade.box(x, 1.9, width, 0.35)] *= 0.5
    facade.glow[facade.box(x, 1.9, width, 0.35)] *= 0.7
    box = facade.box(x, 2.2, width, 0.62)
    rows, columns = facade.heat[box].shape
    color = linear([(0.62, 0.16, 0.15), (0.15, 0.36, 0.28), (0.20, 0.28, 0.50)][int(rng.integers(3))])
    stripe = (np.arange(columns) // max(1, round(0.3 * facade.density)) % 2).astype(np.float32)[
        np.newaxis, :, np.newaxis
    ]
    slope = np.linspace(1.1, 0.75, rows, dtype=np.float32)[:, np.newaxis, np.newaxis]
    facade.albedo[box] = (color + stripe * (linear((0.90, 0.88, 0.82)) - color)) * slope
    facade.glow[box] = 0
    facade.heat[box] = hour.heat.leaves + 0.02
