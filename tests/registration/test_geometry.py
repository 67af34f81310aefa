"""Planar transforms: application, clipping, plausibility, least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivfuse.registration.geometry import (
    MIN_POINTS,
    MODELS,
    clip_polygon,
    find_implausibility,
    fit_transform,
    image_corners,
    invert,
    overlap_fraction,
    polygon_area,
    scale_at,
    scale_matrix,
    to_centers,
    to_corners,
    transform_points,
)

PERSPECTIVE = np.array([[1.5, 0.1, 40], [-0.05, 1.45, 30], [3e-4, 1e-4, 1]])
SIZE = (640, 480)


def test_points_are_divided_by_their_depth() -> None:
    (found,) = transform_points(PERSPECTIVE, np.array([[100.0, 200.0]]))
    depth = 3e-4 * 100 + 1e-4 * 200 + 1
    assert found == pytest.approx([(150 + 20 + 40) / depth, (-5 + 290 + 30) / depth])


def test_an_inverse_undoes_a_transform() -> None:
    points = np.random.default_rng(0).uniform(0, 500, (20, 2))
    there = transform_points(PERSPECTIVE, points)
    assert transform_points(invert(PERSPECTIVE), there) == pytest.approx(points)


def test_resizing_moves_pixel_centers_by_half_a_pixel() -> None:
    doubled = to_centers(scale_matrix(2, 2))
    assert transform_points(doubled, np.zeros((1, 2)))[0] == pytest.approx([0.5, 0.5])
    assert to_corners(doubled) == pytest.approx(scale_matrix(2, 2))


def test_the_local_scale_is_the_root_of_the_area_that_a_small_square_is_mapped_to() -> None:
    point, step = np.array([120.0, 80.0]), 1e-3
    square = point + step * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    mapped = transform_points(PERSPECTIVE, square) - transform_points(PERSPECTIVE, point[None])
    x, y = mapped.T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    assert scale_at(PERSPECTIVE, point) == pytest.approx(np.sqrt(area) / step, rel=1e-4)


@pytest.mark.parametrize(
    ("polygon", "area"),
    [
        ([(10, 20), (110, 20), (110, 70), (10, 70)], 5000),  # inside
        ([(-50, -50), (50, -50), (50, 50), (-50, 50)], 2500),  # over a corner
        ([(-999, -999), (1999, -999), (1999, 1999), (-999, 1999)], 640 * 480),  # around
        ([(640, 0), (700, 0), (700, 480), (640, 480)], 0),  # touching
        ([(700, 0), (800, 0), (800, 480), (700, 480)], 0),  # beside
        (
            [(320, -100), (740, 240), (320, 580), (-100, 240)],
            840 * 680 / 2 * (1 - 2 * (100 / 340) ** 2 / 2 - 2 * (100 / 420) ** 2 / 2),
        ),
    ],
)
def test_a_polygon_is_clipped_to_the_image(polygon: Any, area: float) -> None:
    clipped = clip_polygon(np.array(polygon, float), SIZE)
    assert polygon_area(clipped) == pytest.approx(area, rel=1e-6, abs=1e-6)
    if len(clipped):
        assert clipped.min() > -1e-9
        assert (clipped <= np.array(SIZE) + 1e-9).all()


def test_the_overlap_is_relative_to_the_smaller_field() -> None:
    small = image_corners((100, 100)) + np.array([590, 0])
    assert overlap_fraction(small, SIZE) == pytest.approx(0.5)
    large = image_corners((6400, 4800)) + np.array([-320, 0])
    assert overlap_fraction(large, SIZE) == pytest.approx(1)


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_recovers_a_transform_of_its_family(model: Any) -> None:
    truth = {
        "translation": np.array([[2, 0, 7], [0, 2, -3], [0, 0, 1.0]]),
        "similarity": np.array([[1.9, -0.3, 7], [0.3, 1.9, -3], [0, 0, 1.0]]),
        "affine": np.array([[1.9, -0.2, 7], [0.4, 1.7, -3], [0, 0, 1.0]]),
        "homography": PERSPECTIVE,
    }[model]
    points = np.array([[0, 0], [300, 10], [280, 220], [15, 230], [140, 90]], float)
    for count in (MIN_POINTS[model], 5):
        found = fit_transform(
            points[:count], transform_points(truth, points[:count]), model, scale_matrix(2, 2)
        )
        assert found == pytest.approx(truth, rel=1e-6, abs=1e-6)


def test_points_on_a_line_determine_no_affine_transform() -> None:
    line = np.array([[0, 0], [10, 10], [20, 20], [30, 30]], float)
    assert not np.isfinite(fit_transform(line, line, "affine")).all()
    assert not np.isfinite(fit_transform(line, line, "homography")).all()


@pytest.mark.parametrize(
    ("matrix", "fault"),
    [
        (scale_matrix(2, 2), ""),
        (np.full((3, 3), np.nan), "not finite"),
        (np.array([[1, 0, 0], [0, 1, 0], [-0.79 / 320, 0, 1]]), "scales"),  # depth 0.21 at the right
        (np.array([[1, 0, 0], [0, 1, 0], [-0.81 / 320, 0, 1]]), "horizon"),
        (np.array([[-2, 0, 640], [0, 2, 0], [0, 0, 1.0]]), "mirrors"),
        (scale_matrix(99, 99), ""),
        (scale_matrix(101, 101), "scales the sides"),
        (scale_matrix(0.011, 0.011), ""),
        (scale_matrix(0.009, 0.009), "scales the sides"),
        (scale_matrix(3.9, 1), ""),
        (scale_matrix(4.1, 1), "scales the sides"),
        (np.array([[1, 0, 640 - 320 * 0.03], [0, 1, 0], [0, 0, 1.0]]), ""),  # 3 % of the thermal
        (np.array([[1, 0, 640 - 320 * 0.01], [0, 1, 0], [0, 0, 1.0]]), "outside of the visible"),
    ],
)
def test_implausible_transforms_are_named_and_plausible_ones_pass(matrix: Any, fault: str) -> None:
    found = find_implausibility(matrix, (320, 240), SIZE)
    assert (fault in found) if fault else not found
