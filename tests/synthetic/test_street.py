"""Procedural scenes: repeatable, of any size, warm where it matters."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.image.color import luma
from ivfuse.synthetic.street import SCENE_CLASSES, Scene, street_scene

TIMES = ("night", "dusk", "day")


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {time: street_scene(240, 320, seed=0, time=time) for time in TIMES}


@pytest.mark.parametrize("time", TIMES)
def test_a_scene_is_a_pair_in_range_with_targets(scenes: dict[str, Scene], time: str) -> None:
    scene = scenes[time]
    assert (scene.ir.shape, scene.vi.shape, scene.targets.shape) == ((240, 320), (240, 320, 3), (240, 320))
    assert scene.ir.dtype == scene.vi.dtype == np.float32
    assert scene.targets.dtype == bool
    for image in (scene.ir, scene.vi):
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 0.05


@pytest.mark.parametrize("time", TIMES)
def test_targets_are_warm(scenes: dict[str, Scene], time: str) -> None:
    scene = scenes[time]
    assert 0.01 < scene.targets.mean() < 0.1
    assert scene.ir[scene.targets].mean() > scene.ir[~scene.targets].mean() + 0.25


def test_targets_are_not_bright_in_the_visible_by_night(scenes: dict[str, Scene]) -> None:
    scene = scenes["night"]
    bright = luma(scene.vi)
    # The hot parts of the oncoming car glare; all else that is warm stays dark.
    assert np.median(bright[scene.targets]) < np.median(scene.ir[scene.targets]) - 0.3


def test_the_day_is_brighter_than_dusk_and_dusk_than_the_night(scenes: dict[str, Scene]) -> None:
    means = [float(scenes[time].vi.mean()) for time in TIMES]
    assert means == sorted(means)


@pytest.mark.parametrize("time", TIMES)
def test_the_thermal_has_less_texture_than_the_visible(scenes: dict[str, Scene], time: str) -> None:
    def texture(gray: np.ndarray) -> float:
        """Mean step between neighbors, of what is not noise alone: rows of two averaged."""
        smooth = gray.reshape(120, 2, 160, 2).mean((1, 3))
        return float(np.abs(np.diff(smooth, axis=1)).mean() + np.abs(np.diff(smooth, axis=0)).mean())

    assert texture(scenes[time].ir) < texture(luma(scenes[time].vi))


def test_the_same_seed_gives_the_same_pixels_and_another_one_others() -> None:
    first, again, other = (street_scene(64, 80, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.vi, again.vi)
    assert np.array_equal(first.ir, again.ir)
    assert np.array_equal(first.targets, again.targets)
    assert np.abs(first.vi - other.vi).mean() > 0.01


def test_people_stand_at_the_same_places_at_every_hour(scenes: dict[str, Scene]) -> None:
    assert np.array_equal(scenes["night"].targets, scenes["dusk"].targets)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (32, 300), (300, 32), (97, 131)])
def test_any_size_can_be_rendered(size: tuple[int, int]) -> None:
    scene = street_scene(*size, seed=1)
    assert scene.ir.shape == scene.targets.shape == size
    assert scene.vi.shape == (*size, 3)
    assert np.isfinite(scene.ir).all()
    assert np.isfinite(scene.vi).all()


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected 32 or more"):
        street_scene(31, 640)
    with pytest.raises(UsageError, match="expected 0 or more"):
        street_scene(64, 64, seed=-1)
    with pytest.raises(UnknownNameError, match="did you mean night"):
        street_scene(64, 64, time="nigt")


@pytest.mark.parametrize("time", TIMES)
def test_every_pixel_of_a_scene_is_labeled(scenes: dict[str, Scene], time: str) -> None:
    scene = scenes[time]
    assert scene.labels.shape == scene.ir.shape
    # what stands where is the same at every hour, but for far roofs: heights are drawn after windows
    assert (scene.labels != scenes["day"].labels).mean() < 0.003
    shares = np.bincount(scene.labels.ravel(), minlength=len(SCENE_CLASSES)) / scene.labels.size
    found = dict(zip(SCENE_CLASSES, shares, strict=True))
    assert found["unlabeled"] == 0
    assert all(share > 0 for name, share in found.items() if name != "unlabeled")
    assert found["building"] > found["vegetation"] > found["dog"]
    assert scene.labels[0, scene.labels.shape[1] // 2] == SCENE_CLASSES.index("sky")
    assert scene.labels[-1, scene.labels.shape[1] // 2] == SCENE_CLASSES.index("road")


def test_warm_targets_are_people_dogs_and_cars(scenes: dict[str, Scene]) -> None:
    kinds = [SCENE_CLASSES.index(kind) for kind in ("person", "car", "dog")]
    scene = scenes["night"]
    # a pixel at the edge is more than half one thing in one of the two, and less in the other
    assert np.isin(scene.labels[scene.targets], kinds).mean() > 0.93


def test_objects_enclose_their_pixels(scenes: dict[str, Scene]) -> None:
    scene = scenes["day"]
    assert len(scene.objects) >= 12
    for kind in ("person", "car", "dog"):
        inside = np.zeros(scene.labels.shape, bool)
        mine = [each for each in scene.objects if each.kind == kind]
        for each in mine:
            inside[each.top : each.bottom, each.left : each.right] = True
            assert each.pixels <= (each.bottom - each.top) * (each.right - each.left)
        found = scene.labels == SCENE_CLASSES.index(kind)
        assert not (found & ~inside).any()
        assert sum(each.pixels for each in mine) == found.sum()
