"""The estimate of synthetic pairs, against recorded values: a change of any constant shows here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.registration.coarse import coarse_search
from ivfuse.registration.geometry import corner_distance, image_corners, scale_matrix, transform_points
from ivfuse.registration.prepare import prepare
from ivfuse.registration.register import register_pair

Shoot = Callable[..., Any]

NIGHT = [(40, 20), (600, 50), (560, 440), (70, 400)]

# Recorded with the constants of the documented measurements. Tolerances allow for other processors, on which
# the features differ by 1e-6 and the best displacement of a block may flip; a wrong constant exceeds them.
DAY_CORNERS = [[89.828, 60.007], [559.541, 72.278], [547.890, 429.754], [80.088, 440.368]]
NIGHT_CORNERS = [[40.276, 20.419], [599.123, 50.439], [560.572, 440.570], [68.944, 400.763]]
RECORDED = {
    "day": (DAY_CORNERS, 0.8371, 2.3801, 0.001697),
    "night": (NIGHT_CORNERS, 0.9217, 2.2842, 0.001786),
}


# Numbers to the digit depend on how OpenCV rounds; tests against the truth hold for any version.
recorded = pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="recorded with OpenCV 5")


@recorded
@pytest.mark.slow
@pytest.mark.parametrize("time", ["day", "night"])
def test_the_estimate_is_as_recorded(shoot: Shoot, shot: Any, time: str) -> None:
    one = shot if time == "day" else shoot(NIGHT, seed=3, time="night")
    found = register_pair(one.ir, one.vi)
    corners, inlier_ratio, peak_zscore, corner_stderr = RECORDED[time]
    assert found.original_matrix is not None
    there = transform_points(found.original_matrix, image_corners((320, 256)))
    assert there == pytest.approx(np.array(corners), abs=0.02)
    assert found.quality.inlier_ratio == pytest.approx(inlier_ratio, abs=0.01)
    assert found.quality.peak_zscore == pytest.approx(peak_zscore, abs=0.005)
    assert found.quality.corner_stderr == pytest.approx(corner_stderr, rel=0.03)


@recorded
def test_the_coarse_search_ranks_the_right_place_first_by_far(shot: Any) -> None:
    first, second, *_ = coarse_search(prepare(shot.ir, shot.vi))
    center = transform_points(first.matrix, np.array([[160.0, 128.0]]))
    assert center == pytest.approx(transform_points(shot.truth, np.array([[160.0, 128.0]])), abs=20)
    assert first.scale == pytest.approx(0.694, abs=0.001)
    # The score depends on all constants of the search.
    assert first.score == pytest.approx(81.84, rel=2e-3)
    assert second.score == pytest.approx(44.69, rel=2e-3)


def test_fields_of_which_only_half_is_common_are_found(shoot: Shoot) -> None:
    whole = shoot([(0, 0), (640, 0), (640, 480), (0, 480)], size=(640, 480))
    pair = prepare(whole.ir[:, 160:480].copy(), whole.vi[:, :320].copy())
    first, second, *_ = coarse_search(pair)
    center = transform_points(first.matrix, np.array([[160.0, 240.0]]))[0]
    assert center == pytest.approx([320, 240], abs=20)
    assert first.score > 1.2 * second.score
    assert first.score == pytest.approx(51.75, rel=5e-3)  # depends on how tiles partly outside are weighted


@pytest.mark.parametrize("scale", [0.33, 2.1])
def test_fields_of_a_third_to_twice_the_visibles_size_are_searched(shoot: Shoot, scale: float) -> None:
    left, top = 320 * (1 - scale), 240 * (1 - scale)
    one = shoot([(left, top), (640 - left, top), (640 - left, 480 - top), (left, 480 - top)], (320, 240))
    found = [match.scale for match in coarse_search(prepare(one.ir, one.vi))]
    assert min(abs(np.log(x / scale)) for x in found) < np.log(1.15)


@pytest.mark.parametrize("degrees", [-25])
def test_rotations_of_up_to_about_thirty_degrees_are_found(shoot: Shoot, degrees: float) -> None:
    angle, center = np.radians(degrees), np.array([320.0, 240.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quad = (image_corners((400, 320)) - [200, 160]) @ turn.T + center
    one = shoot([(float(x), float(y)) for x, y in quad])
    found = register_pair(one.ir, one.vi)
    assert found.quality.accepted
    assert found.original_matrix is not None
    there = transform_points(found.original_matrix, image_corners((320, 256)))
    assert np.linalg.norm(there - quad, axis=1).mean() < 3


def test_a_translation_starts_from_the_stretched_thermal(shoot: Shoot) -> None:
    one = shoot([(6, 4), (646, 4), (646, 484), (6, 484)], size=(320, 240))
    found = register_pair(one.ir, one.vi, "translation").original_matrix
    assert found is not None
    assert found[:2, :2] == pytest.approx(scale_matrix(2, 2)[:2, :2])
    assert found[:2, 2] == pytest.approx([6, 4], abs=0.6)


def test_known_fields_of_view_limit_the_coarse_search(shot: Any) -> None:
    pair = prepare(shot.ir, shot.vi)
    ratio = 0.74
    found = coarse_search(pair, field_ratio=ratio)
    assert found
    middle = np.array(pair.vi.shape[::-1]) / 2
    for match in found:
        assert ratio / 1.16 < match.scale < ratio * 1.16
        center = transform_points(match.matrix, np.array(pair.ir.shape[::-1])[np.newaxis] / 2)[0]
        assert np.linalg.norm(center - middle) < 0.16 * pair.vi.shape[1]
    known = register_pair(shot.ir, shot.vi, field_ratio=ratio)
    assert known.quality.accepted
    assert corner_distance(known.original_matrix, shot.truth, (320, 256)) < 2
