"""Cars: a side profile extruded to the car's width, with glass, lights, wheels and warm engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ivfuse.synthetic.scenery.canvas import Camera, Canvas, Color, Floats, ellipse, linear, vector
from ivfuse.synthetic.scenery.setting import Hour, Street

# Upper outline of a sedan, rear bumper to front bumper: meters along the car and above the road.
_OUTLINE = (
    (0.00, 0.32), (-0.02, 0.62), (0.05, 0.92), (0.55, 0.99), (0.85, 1.03), (1.40, 1.37), (1.95, 1.45),
    (2.45, 1.42), (3.20, 1.02), (3.75, 0.95), (4.20, 0.83), (4.33, 0.62), (4.30, 0.30),
)  # fmt: skip
_LENGTH = 4.3
_BELT = 1.01  # meters; above it is glass and roof
_REAR_GLASS, _FRONT_GLASS = (0.86, 1.42), (2.48, 3.18)  # meters along the car
_WHEELS, _RADIUS = (0.82, 3.48), 0.32

PAINTS: tuple[Color, ...] = (
    (0.58, 0.12, 0.12), (0.75, 0.76, 0.78), (0.16, 0.24, 0.42), (0.12, 0.12, 0.13), (0.88, 0.88, 0.86),
    (0.20, 0.36, 0.30), (0.48, 0.50, 0.52),
)  # fmt: skip


@dataclass(frozen=True)
class Car:
    """One car.

    Attributes:
        x: meters from the middle of the road.
        z: distance of its nearest end.
        towards: it shows us its front.
        running: its engine is warm and its lights are on.
        paint: color.
    """

    x: float
    z: float
    towards: bool
    running: bool
    paint: Color


@dataclass(frozen=True)
class _View:
    """The projection of a car's own coordinates onto the canvas."""

    camera: Camera
    car: Car

    def points(self, along: Floats, up: Floats, across: Floats | float) -> Floats:
        """Meters along the car from its rear, above the road and right of its middle (as seen) to pixels."""
        along = np.asarray(along, np.float32)
        z = self.car.z + (_LENGTH - along if self.car.towards else along)
        return self.camera.project(self.car.x + np.asarray(across, np.float32), np.asarray(up, np.float32), z)

    def face(self, across: float, up: float, half: float, tall: float) -> Floats:
        """A rectangle on the end that is nearest to the camera."""
        end = _LENGTH + 0.03 if self.car.towards else -0.03
        sides = vector(across - half, across + half, across + half, across - half)
        return self.points(np.full(4, end), vector(up + tall, up + tall, up - tall, up - tall), sides)


def paint_car(street: Street, car: Car, sunlit: float) -> None:
    """Paint a car: upper faces from far to near, the visible side, then the near end."""
    canvas, hour, view = street.canvas, street.hour, _View(street.camera, car)
    lit = street.lights.at(car.x, 1.0, car.z - 0.5, sunlit)
    along, up = _rounded(_OUTLINE)
    _underside(canvas, view, hour, car)
    strips = list(range(len(along) - 1))
    middle = [(along[i] + along[i + 1]) / 2 for i in strips]
    for i in sorted(strips, key=lambda i: middle[i] if car.towards else -middle[i]):
        _strip(canvas, view, hour, car, lit, along[i : i + 2], up[i : i + 2])
    if abs(car.x) > 0.9:
        _side(canvas, view, hour, car, lit, (along, up))
    (_front if car.towards else _rear)(canvas, view, hour, car, lit)


def _rounded(outline: tuple[tuple[float, float], ...]) -> tuple[Floats, Floats]:
    """Smooth an outline by two rounds of corner cutting (Chaikin 1974)."""
    points = np.array(outline, np.float32)
    for _ in range(2):
        a, b = points[:-1], points[1:]
        inner = np.stack((0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b), 1).reshape(-1, 2)
        points = np.concatenate((points[:1], inner, points[-1:]))
    return points[:, 0], points[:, 1]


def _half_width(up: Floats) -> Floats:
    """Half the car's width at a height; the roof is narrower."""
    return np.asarray(0.88 - 0.24 * np.clip((up - _BELT + 0.08) / 0.5, 0, 1) ** 1.2, np.float32)


def _tone(color: Color, light: Floats, shade: float, gloss: Floats | float = 0.0) -> Floats:
    return linear(color) * light * shade + gloss


def _underside(canvas: Canvas, view: _View, hour: Hour, car: Car) -> None:
    """The gap below the car, and the road warmed by a running engine."""
    box = view.points(
        vector(0.1, 0.1, 4.2, 4.2),
        vector(0.34, 0.34, 0.34, 0.34),
        vector(-0.8, 0.8, 0.8, -0.8),
    )
    canvas.fill(box, (0.003, 0.003, 0.003), hour.heat.road)
    gap = view.face(0, 0.11, 0.78, 0.11)
    canvas.fill(gap, (0.004, 0.004, 0.004), hour.heat.road + (0.22 if car.running else 0.02))


def _strip(canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats, along: Floats, up: Floats) -> None:
    """Paint one band across the car, if it faces the camera."""
    half = _half_width(up)
    points = view.points(along[[0, 0, 1, 1]], up[[0, 0, 1, 1]], vector(-half[0], half[0], half[1], -half[1]))
    edge_a, edge_b = points[1] - points[0], points[2] - points[1]
    turn = edge_a[0] * edge_b[1] - edge_a[1] * edge_b[0]
    if (turn > 0) == (not car.towards):
        return
    middle, rise = float(along.mean()), float(up.mean())
    steep = float(abs(up[1] - up[0]) / (np.hypot(along[1] - along[0], up[1] - up[0]) + 1e-6))
    sky = linear(hour.horizon) * (1 - steep)
    glass = rise > _BELT and (_between(middle, _REAR_GLASS) or _between(middle, _FRONT_GLASS))
    if glass:
        color = _tone((0.10, 0.12, 0.14), lit, 1.0, sky * 0.22 + 0.004)
        heat = hour.heat.glass + (0.08 if car.running else -0.02)
        canvas.fill(points, color, heat)
        return
    color = _tone(car.paint, lit, 0.55 + 0.45 * (1 - steep), sky * 0.10)
    heat = hour.heat.car + 0.03 * steep - 0.03 * (1 - steep)
    hood = middle > 3.1 and rise < 1.06
    if car.running and hood:
        heat = 0.60 + 0.14 * steep
    canvas.fill(points, color, heat, target=car.running and hood)


def _between(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]


def _side(
    canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats, outline: tuple[Floats, Floats]
) -> None:
    """Paint the side that faces the center of the image: body, windows, wheels."""
    towards_us = -1.0 if car.x > 0 else 1.0
    along, up = outline
    body = view.points(along, up, towards_us * _half_width(up))
    canvas.fill(body, _tone(car.paint, lit, 0.72), hour.heat.car + 0.02)
    sill = view.points(vector(0.1, 0.1, 4.25, 4.25), vector(0.5, 0.3, 0.3, 0.5), towards_us * 0.885)
    canvas.fill(sill, _tone(car.paint, lit, 0.35), hour.heat.car)
    for a, b, c, d in ((0.98, 1.46, 1.98, 1.98), (2.06, 2.06, 2.42, 2.98)):
        window = view.points(
            vector(a, b, c, d), vector(1.04, 1.34, 1.37 if a < 2 else 1.36, 1.04),
            towards_us * (_half_width(vector(1.04, 1.34, 1.36, 1.04)) + 0.005),
        )  # fmt: skip
        canvas.fill(
            window, _tone((0.10, 0.12, 0.14), lit, 1.0, linear(hour.horizon) * 0.08), hour.heat.glass + 0.02
        )
    for seam in (1.42, 2.02, 3.02):
        line = view.points(
            vector(seam - 0.012, seam + 0.012, seam + 0.012, seam - 0.012), vector(1.0, 1.0, 0.36, 0.36),
            towards_us * 0.887,
        )  # fmt: skip
        canvas.fill(line, _tone(car.paint, lit, 0.25), hour.heat.car + 0.02)
    for wheel in _WHEELS:
        _wheel(canvas, view, hour, car, lit, wheel, towards_us)


def _wheel(
    canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats, middle: float, towards_us: float
) -> None:
    """Arch, tire, rim and hub; brakes and tires of a moving car are warm."""
    rings = (
        (_RADIUS + 0.06, (0.02, 0.02, 0.02), hour.heat.car - 0.02),
        (_RADIUS, (0.10, 0.10, 0.10), 0.62 if car.running else hour.heat.car + 0.04),
        (0.20, (0.62, 0.63, 0.65), 0.74 if car.running else hour.heat.car - 0.02),
        (0.07, (0.30, 0.30, 0.31), 0.86 if car.running else hour.heat.car),
    )
    for radius, color, heat in rings:
        circle = ellipse(middle, _RADIUS, radius, radius)
        points = view.points(circle[:, 0], np.maximum(circle[:, 1], 0.0), towards_us * 0.89)
        canvas.fill(points, _tone(color, lit, 1.0), heat)


def _tires(canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats) -> None:
    for across in (-0.74, 0.74):
        heat = 0.62 if car.running else hour.heat.car + 0.03
        canvas.fill(view.face(across, 0.14, 0.11, 0.14), _tone((0.08, 0.08, 0.08), lit, 1.0), heat)


def _front(canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats) -> None:
    """Grille, head lamps, number plate."""
    _tires(canvas, view, hour, car, lit)
    warm = 0.92 if car.running else hour.heat.car + 0.03
    canvas.fill(
        view.face(0, 0.34, 0.84, 0.14),
        _tone(car.paint, lit, 0.62),
        hour.heat.car + (0.2 if car.running else 0),
    )
    canvas.fill(view.face(0, 0.58, 0.46, 0.10), _tone((0.06, 0.06, 0.07), lit, 1.0), warm, target=car.running)
    canvas.fill(
        view.face(0, 0.38, 0.36, 0.06), _tone((0.05, 0.05, 0.05), lit, 1.0), warm - 0.08, target=car.running
    )
    canvas.fill(view.face(0, 0.47, 0.25, 0.055), _tone((0.88, 0.86, 0.70), lit, 1.0), hour.heat.car + 0.06)
    bright = car.running and hour.lamps > 0
    for across in (-0.64, 0.64):
        points = _oval(view, across, 0.68, 0.17, 0.085)
        color = (14.0, 13.0, 11.0) if bright else _tone((0.82, 0.84, 0.86), lit, 0.9)
        canvas.fill(points, color, 0.66 if bright else hour.heat.car + 0.04)


def _rear(canvas: Canvas, view: _View, hour: Hour, car: Car, lit: Floats) -> None:
    """Tail lamps, number plate, exhaust."""
    _tires(canvas, view, hour, car, lit)
    canvas.fill(view.face(0, 0.36, 0.84, 0.15), _tone(car.paint, lit, 0.62), hour.heat.car + 0.03)
    canvas.fill(view.face(0, 0.70, 0.26, 0.06), _tone((0.88, 0.86, 0.70), lit, 1.0), hour.heat.car + 0.02)
    bright = car.running and hour.lamps > 0
    for across in (-0.68, 0.68):
        color = (3.4, 0.16, 0.10) if bright else _tone((0.55, 0.06, 0.05), lit, 1.0)
        canvas.fill(view.face(across, 0.80, 0.15, 0.07), color, hour.heat.car + (0.1 if bright else 0.02))
    if car.running:
        canvas.fill(_oval(view, 0.48, 0.30, 0.10, 0.08), _tone((0.2, 0.2, 0.2), lit, 1.0), 1.0, target=True)
        canvas.fill(view.face(0.48, 0.31, 0.22, 0.04), _tone((0.07, 0.07, 0.07), lit, 1.0), 0.74, target=True)


def _oval(view: _View, across: float, up: float, half: float, tall: float) -> Floats:
    """An ellipse on the near end."""
    end = _LENGTH + 0.04 if view.car.towards else -0.04
    shape = ellipse(across, up, half, tall)
    return view.points(np.full(len(shape), end), shape[:, 1], shape[:, 0])
