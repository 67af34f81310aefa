"""Procedural street scenes: aligned thermal and visible images with a mask of the warm targets.

They are the project's own samples: free to use, reproducible by seed, of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.image.arrays import Gray, Rgb
from ivfuse.synthetic.scenery.buildings import paint_houses
from ivfuse.synthetic.scenery.canvas import Camera, Canvas, Color, resized, vector
from ivfuse.synthetic.scenery.cars import PAINTS, Car, paint_car
from ivfuse.synthetic.scenery.ground import paint_ground, paint_manhole, paint_shadow, paint_sky
from ivfuse.synthetic.scenery.people import Person, paint_dog, paint_person
from ivfuse.synthetic.scenery.plants import paint_hedge, paint_lamp, paint_smoke, paint_tree
from ivfuse.synthetic.scenery.sensors import add_glare, expose, sense_heat
from ivfuse.synthetic.scenery.setting import HOURS, Hour, Lamp, Lights, Street, Time

SMALLEST = 32  # pixels of a side
_CANVAS = 1_300_000  # pixels to render at; smaller images are shrunk from about this many
_OUT_OF_ORDER = 15.5  # distance of the street lamp that is dark, in meters

SCENE_CLASSES = (
    *("unlabeled", "road", "sidewalk", "building", "sky", "vegetation", "pole", "person", "car", "dog"),
)
COUNTED = ("person", "car", "dog")  # kinds that are labeled one by one


@dataclass(frozen=True)
class SceneObject:
    """Something that is labeled by itself.

    Attributes:
        kind: one of :data:`COUNTED`.
        left, top, right, bottom: around all pixels that show it; right and bottom are outside.
        pixels: how many show it.
    """

    kind: str
    left: int
    top: int
    right: int
    bottom: int
    pixels: int


@dataclass(frozen=True)
class Scene:
    """One synthetic pair.

    Attributes:
        ir: thermal, (H, W) float32 in [0, 1].
        vi: visible, (H, W, 3) float32 in [0, 1].
        targets: mask of the people, the dog and the running engines that the thermal shows, (H, W) bool.
        labels: class of each pixel, (H, W) uint8, indices of :data:`SCENE_CLASSES`. Objects behind smoke are
            labeled as if it were not there: the thermal shows them.
        objects: visible people, cars and dogs, with the bounding boxes of their visible parts.
    """

    ir: Gray
    vi: Rgb
    targets: NDArray[np.bool_]
    labels: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]


def street_scene(height: int = 480, width: int = 640, seed: int = 0, time: Time = "night") -> Scene:
    """Render a street with people, cars, houses, lamps and a bank of smoke.

    Some people are visible in the thermal only: in the dark, behind the glare of head lamps, behind smoke.
    Signs, bricks and road markings are visible in the visible image only.

    Args:
        height: in pixels, 32 or more.
        width: in pixels, 32 or more.
        seed: determines the street; equal seeds give equal pixels.
        time: ``night``, ``dusk`` or ``day``.

    Raises:
        ShapeError: if a side is shorter than 32 pixels.
        UsageError: if the seed is negative.
        UnknownNameError: if there is no such time.
    """
    if min(height, width) < SMALLEST:
        raise ShapeError(f"scene: found {width}x{height} pixels, expected {SMALLEST} or more on both sides")
    if seed < 0:
        raise UsageError(f"seed: found {seed}, expected 0 or more")
    if time not in HOURS:
        raise UnknownNameError("time of day", time, HOURS)
    finer = int(np.clip(round((_CANVAS / (height * width)) ** 0.5), 1, 8))
    camera = Camera(height * finer, width * finer)
    canvas = Canvas(camera.height, camera.width)
    hour = HOURS[time]
    plan = _plan(seed)
    _paint(Street(canvas, camera, hour, Lights(hour, _lamps(hour, plan))), plan, seed)
    light, heat, target = (
        x if finer == 1 else resized(x, height, width) for x in (canvas.light, canvas.heat, canvas.target)
    )
    final = Camera(height, width)
    for column, row, radius, color, power in _glares(final, hour, plan):
        add_glare(light, column, row, radius, color, power)
    rng = np.random.default_rng((seed, 3))
    owner = canvas.owner[finer // 2 :: finer, finer // 2 :: finer]
    kinds = np.array([SCENE_CLASSES.index(kind) for kind in canvas.things], np.uint8)
    return Scene(
        sense_heat(heat, rng),
        expose(light, hour.exposure, hour.noise, rng),
        target > 0.5,
        kinds[owner],
        tuple(_objects(owner, canvas.things)),
    )


def _objects(owner: NDArray[np.uint8], things: Sequence[str]) -> Iterator[SceneObject]:
    for number in np.flatnonzero(np.bincount(owner.ravel(), minlength=len(things))).tolist():
        if things[number] in COUNTED:
            rows, columns = np.nonzero(owner == number)
            yield SceneObject(
                things[number],
                int(columns.min()),
                int(rows.min()),
                int(columns.max()) + 1,
                int(rows.max()) + 1,
                len(rows),
            )


@dataclass(frozen=True)
class _Plan:
    """Positions of all objects in the street of a seed; the same at every time of day."""

    people: tuple[Person, ...]
    cars: tuple[Car, ...]
    trees: tuple[tuple[float, float], ...]
    hedges: tuple[tuple[float, float], ...]
    lamps: tuple[tuple[float, float], ...]
    smoke: tuple[float, float]
    dog: tuple[float, float]


def _plan(seed: int) -> _Plan:
    """Draw the positions, each around that of a fixed composition."""
    rng = np.random.default_rng((seed, 1))

    def about(value: float, freedom: float) -> float:
        return value + float(rng.uniform(-freedom, freedom))

    def person(x: float, z: float, walk: float = 0.0, heading: int = 1) -> Person:
        return Person(
            about(x, 0.25), about(z, 0.4), float(rng.uniform(1.6, 1.88)), walk, heading,
            seed=int(rng.integers(10_000)), coat=bool(rng.random() < 0.35), bag=bool(rng.random() < 0.4),
        )  # fmt: skip

    paints = [PAINTS[i] for i in rng.permutation(len(PAINTS))]
    oncoming = Car(-2.15, about(14.5, 1.0), True, True, paints[0])
    leaving = Car(2.1, about(17.0, 1.5), False, True, paints[1])
    parked = [Car(3.75, 25.0, False, False, paints[2]), Car(3.75, 31.5, False, False, paints[3]),
              Car(-3.75, 27.0, True, False, paints[4]), Car(-3.75, 33.5, True, False, paints[5])]  # fmt: skip
    people = [
        person(0.9, 9.3, 0.46, -1),
        person(-3.3, 17.5, 0.36, 1),
        person(5.9, 10.8),
        person(5.4, 17.5, 0.40, -1),
        person(6.2, 24.0),
        person(-5.6, 23.5, 0.38, 1),
        person(-6.7, 19.0),
        person(-5.6, 12.0),
        person(0.3, 33.0),
        person(-0.9, 34.0, 0.4, -1),
    ]
    smoke = (people[7].x, people[7].z - 0.8)
    return _Plan(
        tuple(people), (oncoming, leaving, *parked),
        ((-5.3, about(19.5, 0.8)), (-5.3, about(31, 1)), (5.3, about(21.5, 1)), (5.3, about(36, 1))),
        ((6.3, about(13.8, 0.3)), (-6.7, about(10.9, 0.2))),
        ((-5.0, _OUT_OF_ORDER), (5.0, 13.0), (-5.0, 29.0), (5.0, 27.0), (-5.0, 44.0), (5.0, 42.0)),
        smoke,
        (about(2.2, 0.2), about(9.4, 0.2)),
    )  # fmt: skip


def _lamps(hour: Hour, plan: _Plan) -> list[Lamp]:
    """Street lamps and head lamps that are switched on."""
    if not hour.lamps:
        return []
    lamps = [
        Lamp(x - np.sign(x) * 1.5, 5.8, z, (1.0, 0.72, 0.40), 14.0 * hour.lamps)
        for x, z in plan.lamps
        if z != _OUT_OF_ORDER
    ]
    for car in plan.cars:
        if car.running:
            ahead = car.z - 2.2 if car.towards else car.z + 6.5
            lamps.append(Lamp(car.x, 0.9, ahead, (1.0, 0.95, 0.85), 2.4 * hour.lamps))
            if not car.towards:
                lamps.append(Lamp(car.x, 0.7, car.z - 0.7, (1.0, 0.10, 0.06), 0.5 * hour.lamps))
    return lamps


def _paint(street: Street, plan: _Plan, seed: int) -> None:
    """Paint everything, from far to near."""
    paint_sky(street, np.random.default_rng((seed, 2)))
    paint_ground(street, np.random.default_rng((seed, 4)))
    paint_manhole(street, -1.5, 6.4)
    street.canvas.begin("building")
    paint_houses(street, seed)
    things = _things(street, plan, seed)
    for _, kind, paint in sorted(things, key=lambda thing: -thing[0]):
        street.canvas.begin(kind)
        paint()


def _things(street: Street, plan: _Plan, seed: int) -> list[tuple[float, str | None, Callable[[], None]]]:
    """What stands in the street, each with its distance, its kind and how to paint it."""
    day = street.hour.name == "day"
    dark = 0.75 if day else 0.45

    def sun(x: float) -> float:
        return 1.0 if day and x > 0.2 else 0.0

    def grow(kind: Callable[..., None], x: float, z: float) -> Callable[[], None]:
        rng = np.random.default_rng((seed, int(z * 100)))
        return partial(kind, street, rng, x, z, sun(x))

    def walk(person: Person) -> Callable[[], None]:
        def paint() -> None:
            paint_shadow(street, person.x + 0.25 * sun(person.x), person.z, (0.5, 0.22), dark)
            paint_person(street, person, sun(person.x))

        return paint

    def drive(car: Car) -> Callable[[], None]:
        def paint() -> None:
            paint_shadow(street, car.x + 0.15, car.z + 2.15, (1.15, 2.5), 0.9)
            paint_car(street, car, sun(car.x))

        return paint

    def trot() -> None:
        paint_shadow(street, plan.dog[0], plan.dog[1], (0.45, 0.15), dark)
        paint_dog(street, plan.dog, -1, sun(plan.dog[0]))

    things: list[tuple[float, str | None, Callable[[], None]]] = [
        (p.z, "person", walk(p)) for p in plan.people
    ]
    things += [(car.z, "car", drive(car)) for car in plan.cars]
    things += [(z, "vegetation", grow(paint_tree, x, z)) for x, z in plan.trees]
    things += [(z, "vegetation", grow(paint_hedge, x, z)) for x, z in plan.hedges]
    things += [(z, "pole", partial(paint_lamp, street, x, z)) for x, z in plan.lamps]
    things.append((plan.smoke[1], None, grow(paint_smoke, *plan.smoke)))
    things.append((plan.dog[1], "dog", trot))
    return things


def _glares(camera: Camera, hour: Hour, plan: _Plan) -> list[tuple[float, float, float, Color, float]]:
    """Column, row, radius, color and power of each bright light."""
    if not hour.lamps:
        return []
    out = []

    def add(x: float, y: float, z: float, size: float, color: Color, power: float) -> None:
        ((column, row),) = camera.project(vector(x), y, z)
        out.append((float(column), float(row), size * camera.focal, color, power * hour.lamps))

    for x, z in plan.lamps:
        if z != _OUT_OF_ORDER:
            add(x - np.sign(x) * 1.5, 5.95, z, 0.55 / z + 0.008, (1.0, 0.74, 0.42), 1.3)
    for car in plan.cars:
        for side in (-0.64, 0.64):
            if car.running and car.towards:
                add(car.x + side, 0.68, car.z, 0.055, (1.0, 0.95, 0.86), 4.0)
            elif car.running:
                add(car.x + side, 0.80, car.z, 0.020, (1.0, 0.10, 0.06), 0.9)
    return out
