"""People and a dog: warm bodies of rounded parts, standing or walking."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ivfuse.synthetic.scenery.canvas import Color, Floats, ellipse, hull, linear, vector
from ivfuse.synthetic.scenery.setting import Hour, Street

Point = tuple[float, float]

_SKIN: tuple[Color, ...] = ((0.87, 0.68, 0.57), (0.71, 0.50, 0.38), (0.46, 0.31, 0.24), (0.93, 0.76, 0.66))
_HAIR: tuple[Color, ...] = ((0.12, 0.09, 0.08), (0.30, 0.20, 0.13), (0.62, 0.48, 0.28), (0.45, 0.44, 0.44))
_TOPS: tuple[Color, ...] = (
    (0.17, 0.20, 0.29), (0.48, 0.15, 0.15), (0.20, 0.30, 0.22), (0.26, 0.25, 0.25), (0.55, 0.47, 0.34),
    (0.22, 0.33, 0.46), (0.60, 0.55, 0.22),
)  # fmt: skip
_LEGS: tuple[Color, ...] = ((0.12, 0.13, 0.18), (0.20, 0.26, 0.38), (0.24, 0.22, 0.20), (0.38, 0.35, 0.30))


@dataclass(frozen=True)
class Person:
    """One person.

    Attributes:
        x: meters from the middle of the road.
        z: distance in meters.
        tall: meters.
        walk: stride in radians; 0 stands facing the camera.
        heading: 1 walks to the right, -1 to the left; for somebody who stands, which leg bears the weight.
        seed: of the clothes.
        coat: wears a long coat.
        bag: carries a bag.
    """

    x: float
    z: float
    tall: float = 1.75
    walk: float = 0.0
    heading: int = 1
    seed: int = 0
    coat: bool = False
    bag: bool = False


@dataclass(frozen=True)
class _Part:
    """A round part of a body in meters at a height of 1.75 m, x to the right of the middle and y up."""

    outline: Floats
    color: Color
    heat: float
    thick: float


def paint_person(street: Street, person: Person, sunlit: float) -> None:
    """Paint a person whose feet are on the ground."""
    parts = _walking(person, street.hour) if person.walk else _standing(person, street.hour)
    light = street.lights.at(person.x, 1.1, person.z, sunlit)
    _paint_parts(street, parts, (person.x, person.z), person.heading, person.tall / 1.75, light)


def _paint_parts(
    street: Street, parts: list[_Part], place: Point, heading: int, tall: float, light: Floats
) -> None:
    """Paint a body.

    Args:
        street: to paint in.
        parts: from far to near.
        place: x and z of the feet, in meters.
        heading: 1 to the right, -1 to the left.
        tall: factor of the size.
        light: irradiance, (3,).
    """
    scale = street.camera.scale(place[1]) * tall
    (foot,) = street.camera.project(vector(place[0]), 0.0, place[1])
    for part in parts:
        points = part.outline * vector(heading * scale, -scale) + foot
        color, radius = linear(part.color) * light, part.thick * scale
        street.canvas.fill_round(points, color, part.heat, radius=radius, target=True)


def _looks(person: Person, hour: Hour) -> tuple[Color, Color, Color, Color, float, float]:
    """Colors of skin, hair, top and legs, and the thermal values of top and legs."""
    rng = np.random.default_rng((person.seed, 77))
    top, legs = _TOPS[int(rng.integers(len(_TOPS)))], _LEGS[int(rng.integers(len(_LEGS)))]
    skin, hair = _SKIN[int(rng.integers(len(_SKIN)))], _HAIR[int(rng.integers(len(_HAIR)))]
    warm = hour.heat.clothes + float(rng.uniform(-0.06, 0.04))
    return skin, hair, top, legs, warm - (0.06 if person.coat else 0.0), warm - 0.03


def _darker(color: Color, factor: float) -> Color:
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def _limb(a: Point, b: Point, thick: tuple[float, float]) -> Floats:
    return hull((*a, thick[0]), (*b, thick[1]))


def _joint(start: Point, angle: float, length: float) -> Point:
    """The end of a limb that hangs from ``start``, turned forwards by ``angle``."""
    return (start[0] + length * float(np.sin(angle)), start[1] - length * float(np.cos(angle)))


def _head(x: float, hour: Hour, skin: Color, hair: Color, side: bool) -> list[_Part]:
    """Neck, hair and face."""
    warm = hour.heat.skin
    shift = 0.02 if side else 0.0
    parts = [
        _Part(_limb((x, 1.42), (x + shift, 1.56), (0.055, 0.05)), _darker(skin, 0.85), warm - 0.04, 0.05),
        _Part(ellipse(x + shift, 1.63, 0.093, 0.122), hair, warm - 0.16, 0.08),
        _Part(ellipse(x + shift * 2.2, 1.605, 0.074, 0.098), skin, warm, 0.05),
    ]
    fringe = hull((x + shift - 0.06, 1.67, 0.03), (x + shift + 0.055, 1.69, 0.028), (x + shift, 1.71, 0.035))
    return [*parts, _Part(fringe, hair, warm - 0.14, 0.05)]


def _leg(hip: Point, thigh: float, knee: float, color: Color, heat: float) -> list[_Part]:
    """Thigh, shin and shoe; the knee bends backwards."""
    bend = _joint(hip, thigh, 0.43)
    ankle = _joint(bend, thigh - knee, 0.43)
    toe = (
        ankle[0] + 0.15 * float(np.cos(thigh - knee)),
        ankle[1] - 0.03 + 0.12 * float(np.sin(thigh - knee)),
    )
    return [
        _Part(_limb(ankle, toe, (0.048, 0.035)), (0.09, 0.08, 0.08), heat - 0.22, 0.04),
        _Part(_limb(bend, ankle, (0.068, 0.046)), color, heat - 0.05, 0.05),
        _Part(_limb(hip, bend, (0.098, 0.068)), color, heat, 0.07),
    ]


def _arm(
    shoulder: Point, swing: float, bend: float, color: Color, heat: float, skin: Color, hand: float
) -> list[_Part]:
    """Upper arm, forearm and hand; the elbow bends forwards."""
    elbow = _joint(shoulder, swing, 0.29)
    wrist = _joint(elbow, swing + bend, 0.25)
    tip = _joint(wrist, swing + bend, 0.07)
    return [
        _Part(_limb(wrist, tip, (0.037, 0.032)), skin, hand, 0.03),
        _Part(_limb(elbow, wrist, (0.052, 0.042)), color, heat - 0.03, 0.04),
        _Part(_limb(shoulder, elbow, (0.068, 0.052)), color, heat, 0.05),
    ]


def _walking(person: Person, hour: Hour) -> list[_Part]:
    """Paint a walking person in profile, far limbs first."""
    skin, hair, top, legs, warm, warm_legs = _looks(person, hour)
    stride = person.walk
    lift = 0.86 * (1 - float(np.cos(stride)))  # the body sinks a little in a long stride
    hip, shoulder = (0.0, 0.93 - 0.6 * lift), (0.015, 1.40 - 0.6 * lift)
    hand = hour.heat.skin - 0.05
    far = _arm(shoulder, stride * 0.9, 0.35, _darker(top, 0.7), warm - 0.03, _darker(skin, 0.8), hand)
    far += _leg(hip, -stride, 0.42, _darker(legs, 0.7), warm_legs - 0.03)
    near = _leg(hip, stride, 0.10, legs, warm_legs)
    torso = hull((0.0, 1.0, 0.118), (0.012, 1.22, 0.122), (0.02, 1.36, 0.118), (0.01, 1.44, 0.075))
    body = [_Part(torso, top, warm + 0.03, 0.11)]
    if person.coat:
        body.insert(
            0, _Part(hull((0.01, 1.1, 0.14), (-0.1, 0.62, 0.09), (0.14, 0.62, 0.09)), top, warm - 0.05, 0.12)
        )
    if person.bag:
        body.insert(
            0, _Part(hull((-0.17, 1.34, 0.07), (-0.19, 1.08, 0.09)), (0.22, 0.20, 0.24), warm - 0.36, 0.08)
        )
    arm = _arm(shoulder, -stride * 0.9, 0.45, _darker(top, 1.12), warm, skin, hand)
    return [*far, *near, *body, *_head(0.03, hour, skin, hair, True), *arm]


def _standing(person: Person, hour: Hour) -> list[_Part]:
    """Paint a standing person from the front, with the weight on one leg."""
    skin, hair, top, legs, warm, warm_legs = _looks(person, hour)
    hand = hour.heat.skin - 0.05
    parts = []
    for side, out in ((-1, 0.05), (1, 0.10)):
        hip, knee, ankle = (
            (side * 0.085, 0.93),
            (side * (0.09 + out * 0.4), 0.50),
            (side * (0.07 + out), 0.08),
        )
        parts += [
            _Part(_limb((ankle[0], 0.06), (ankle[0] + side * 0.045, 0.035), (0.05, 0.036)),
                  (0.09, 0.08, 0.08), warm_legs - 0.22, 0.04),
            _Part(_limb(knee, ankle, (0.068, 0.048)), legs, warm_legs - 0.05, 0.05),
            _Part(_limb(hip, knee, (0.10, 0.07)), legs, warm_legs, 0.07),
        ]  # fmt: skip
    torso = hull(
        (-0.085, 0.98, 0.09), (0.085, 0.98, 0.09), (-0.15, 1.38, 0.075), (0.15, 1.38, 0.075), (0, 1.42, 0.09)
    )
    arms = []
    for side, bend in ((-1, 0.06), (1, 0.16)):
        parts_of_arm = _arm((0.195, 1.375), 0.10, bend - 0.12, _darker(top, 0.9), warm - 0.01, skin, hand)
        arms += [replace(part, outline=part.outline * vector(side, 1)) for part in parts_of_arm]
    if person.coat:
        skirt = hull((-0.10, 1.0, 0.09), (0.10, 1.0, 0.09), (-0.15, 0.60, 0.06), (0.15, 0.60, 0.06))
        parts.append(_Part(skirt, _darker(top, 0.95), warm - 0.06, 0.12))
    if person.bag:
        arms.append(
            _Part(hull((0.31, 0.78, 0.05), (0.29, 0.66, 0.09)), (0.30, 0.20, 0.12), warm - 0.38, 0.06)
        )
    return [*parts, *arms, _Part(torso, top, warm + 0.03, 0.12), *_head(0, hour, skin, hair, False)]


def paint_dog(street: Street, place: Point, heading: int, sunlit: float) -> None:
    """Paint a trotting dog in profile."""
    fur, warm = (0.42, 0.29, 0.17), street.hour.heat.clothes + 0.02
    parts = []
    for hip, angle, shade in ((-0.26, 0.35, 0.7), (0.22, -0.3, 0.7), (-0.26, -0.35, 1.0), (0.22, 0.35, 1.0)):
        knee = _joint((hip, 0.38), angle, 0.19)
        paw = _joint(knee, angle * 0.4 - 0.15, 0.18)
        parts.append(_Part(_limb((hip, 0.38), knee, (0.07, 0.04)), _darker(fur, shade), warm - 0.05, 0.04))
        parts.append(_Part(_limb(knee, paw, (0.038, 0.03)), _darker(fur, shade), warm - 0.12, 0.03))
    parts += [
        _Part(_limb((-0.3, 0.5), (-0.47, 0.66), (0.035, 0.02)), fur, warm - 0.15, 0.03),
        _Part(hull((-0.26, 0.46, 0.11), (0.0, 0.45, 0.115), (0.24, 0.47, 0.135)), fur, warm, 0.11),
        _Part(hull((0.28, 0.54, 0.09), (0.40, 0.68, 0.08)), fur, warm + 0.02, 0.07),
        _Part(hull((0.41, 0.71, 0.085), (0.56, 0.67, 0.045)), fur, warm + 0.12, 0.06),
        _Part(hull((0.35, 0.74, 0.04), (0.32, 0.62, 0.03)), _darker(fur, 0.6), warm + 0.08, 0.03),
    ]
    light = street.lights.at(place[0], 0.5, place[1], sunlit)
    _paint_parts(street, parts, place, heading, 1.0, light)
