"""Thermal frames on the visible's grid."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse import Registration
from ivfuse.errors import InputError
from ivfuse.registration.geometry import image_corners, to_corners, transform_points
from ivfuse.registration.warp import Placement

SHIFT = Registration(((1, 0, 20), (0, 1, 10), (0, 0, 1)), (64, 48), (128, 96))
ASKEW = Registration(((2.2, 0.2, 60), (-0.1, 2.1, 80), (2e-4, 1e-4, 1)), (160, 120), (640, 480))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_shift_moves_pixels_and_keeps_their_type(dtype: Any) -> None:
    frame = np.random.default_rng(0).integers(0, 200, (48, 64)).astype(dtype)
    placed = Placement(SHIFT).apply(frame)
    assert placed.dtype == dtype
    assert placed.shape == (96, 128)
    assert np.array_equal(placed[10:58, 20:84], frame)


def test_beyond_the_thermal_its_border_goes_on() -> None:
    placed = Placement(SHIFT).apply(np.full((48, 64), 7, np.uint16))
    assert (placed == 7).all()


def test_it_agrees_with_a_plain_warp_where_the_thermal_is() -> None:
    frame = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160), dtype=np.float32), (0, 0), 3)
    plain = cv2.warpPerspective(frame, ASKEW.array, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(Placement(ASKEW).apply(frame) - plain).max() < 0.01  # maps have 1/32 pixel steps


def test_a_thermal_that_shrinks_is_averaged() -> None:
    rig = Registration(((0.25, 0, -0.375), (0, 0.25, -0.375), (0, 0, 1)), (256, 256), (64, 64))
    checks = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    assert Placement(rig).apply(checks) == pytest.approx(0.5, abs=0.01)


def test_the_thermal_counts_inside_not_outside_and_fades_between() -> None:
    placement = Placement(ASKEW)
    coverage = placement.coverage
    assert coverage is not None
    inside = np.zeros((480, 640), np.uint8)
    cv2.fillConvexPoly(
        inside, np.rint(transform_points(to_corners(ASKEW.array), image_corners((160, 120)))).astype(int), 1
    )
    outside = cv2.dilate(inside, np.ones((3, 3), np.uint8)) == 0
    core = cv2.erode(inside, np.ones((81, 81), np.uint8)) == 1
    assert coverage[outside].max() == 0
    assert coverage[core].min() == 1
    assert np.abs(np.diff(coverage, axis=1)).max() < 0.2  # no hard seam
    assert placement.share == pytest.approx(inside.mean(), abs=0.01)


def test_a_border_of_the_visible_is_no_border_of_the_thermal() -> None:
    left = Registration(((1, 0, -20), (0, 1, -10), (0, 0, 1)), (64, 128), (96, 96))
    coverage = Placement(left).coverage
    assert coverage is not None
    assert coverage[:, :20].min() == 1
    assert coverage[:, 60:].max() == 0


def test_a_thermal_that_covers_everything_counts_everywhere() -> None:
    wide = Registration(((1, 0, -20), (0, 1, -10), (0, 0, 1)), (128, 128), (96, 96))
    assert Placement(wide).coverage is None
    assert Placement(wide).share == pytest.approx(1)


def test_a_crop_keeps_the_largest_covered_rectangle() -> None:
    placement = Placement(SHIFT, crop=True)
    assert placement.box == (20, 10, 84, 58)
    assert placement.coverage is None
    askew = Placement(ASKEW, crop=True)
    left, top, right, bottom = askew.box
    whole = Placement(ASKEW).apply(np.ones((120, 160), np.float32))
    coverage = Placement(ASKEW).coverage
    assert coverage is not None
    assert (coverage[top:bottom, left:right] > 0).all()
    assert (right - left) * (bottom - top) > 0.75 * askew.share * 640 * 480
    assert askew.apply(np.ones((120, 160), np.float32)).shape == (bottom - top, right - left)
    assert askew.cut(whole).shape == (bottom - top, right - left)


def test_nothing_to_crop_is_said() -> None:
    corner = Registration(((1, 0, 90), (0, 1, 91), (0, 0, 1)), (64, 48), (96, 96))
    with pytest.raises(InputError, match="covers too little"):
        _ = Placement(corner, crop=True).box


@pytest.mark.parametrize("frame", [np.zeros((64, 48), np.uint8), np.zeros((48, 64), np.int32)])
def test_a_frame_of_another_size_or_type_is_refused(frame: Any) -> None:
    with pytest.raises(InputError, match="thermal frame: found"):
        Placement(SHIFT).apply(frame)


def test_frames_after_the_first_are_quick() -> None:
    placement = Placement(ASKEW)
    frame = np.zeros((120, 160), np.uint16)
    placement.apply(frame)
    started = time.process_time()
    for _ in range(10):
        placement.apply(frame)
    assert (time.process_time() - started) / 10 < 0.03  # seconds; a map made anew takes as long by itself
