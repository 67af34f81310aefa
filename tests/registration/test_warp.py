"""Thermal frames on the visible's grid."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse import Registration
from ivfuse.errors import InputError
from ivfuse.registration import warp
from ivfuse.registration.geometry import image_corners, to_corners, transform_points
from ivfuse.registration.warp import Warper

SHIFT = Registration(((1, 0, 20), (0, 1, 10), (0, 0, 1)), (64, 48), (128, 96))
ASKEW = Registration(((2.2, 0.2, 60), (-0.1, 2.1, 80), (2e-4, 1e-4, 1)), (160, 120), (640, 480))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_shift_moves_pixels_and_keeps_their_type(dtype: Any) -> None:
    frame = np.random.default_rng(0).integers(0, 200, (48, 64)).astype(dtype)
    placed = Warper(SHIFT).apply(frame)
    assert placed.dtype == dtype
    assert placed.shape == (96, 128)
    assert np.array_equal(placed[10:58, 20:84], frame)


def test_beyond_the_thermal_its_border_goes_on() -> None:
    placed = Warper(SHIFT).apply(np.full((48, 64), 7, np.uint16))
    assert (placed == 7).all()


def test_it_agrees_with_a_plain_warp_where_the_thermal_is() -> None:
    frame = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160), dtype=np.float32), (0, 0), 3)
    plain = cv2.warpPerspective(frame, ASKEW.array, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(Warper(ASKEW).apply(frame) - plain).max() < 0.01  # maps have 1/32 pixel steps


def test_a_thermal_that_shrinks_is_averaged() -> None:
    rig = Registration(((0.25, 0, -0.375), (0, 0.25, -0.375), (0, 0, 1)), (256, 256), (64, 64))
    checks = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    assert Warper(rig).apply(checks) == pytest.approx(0.5, abs=0.01)


def test_the_thermal_counts_inside_not_outside_and_fades_between() -> None:
    warper = Warper(ASKEW)
    coverage = warper.coverage
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
    assert warper.covered_fraction == pytest.approx(inside.mean(), abs=0.01)


def test_a_border_of_the_visible_is_no_border_of_the_thermal() -> None:
    left = Registration(((1, 0, -20), (0, 1, -10), (0, 0, 1)), (64, 128), (96, 96))
    coverage = Warper(left).coverage
    assert coverage is not None
    assert coverage[:, :20].min() == 1
    assert coverage[:, 60:].max() == 0


def test_a_thermal_that_covers_everything_counts_everywhere() -> None:
    wide = Registration(((1, 0, -20), (0, 1, -10), (0, 0, 1)), (128, 128), (96, 96))
    assert Warper(wide).coverage is None
    assert Warper(wide).covered_fraction == pytest.approx(1)


def test_one_uncovered_column_of_a_thousand_has_no_thermal() -> None:
    rig = Registration(((1, 0, 1), (0, 1, -20), (0, 0, 1)), (1100, 128), (1000, 64))
    coverage = Warper(rig).coverage
    assert coverage is not None
    assert coverage[:, 0].max() < 0.05
    assert coverage[:, 100:].min() == 1


def test_a_crop_keeps_the_largest_covered_rectangle() -> None:
    warper = Warper(SHIFT, crop=True)
    assert warper.region == (20, 10, 84, 58)
    assert warper.coverage is None
    askew = Warper(ASKEW, crop=True)
    left, top, right, bottom = askew.region
    whole = Warper(ASKEW).apply(np.ones((120, 160), np.float32))
    coverage = Warper(ASKEW).coverage
    assert coverage is not None
    assert (coverage[top:bottom, left:right] > 0).all()
    assert (right - left) * (bottom - top) > 0.75 * askew.covered_fraction * 640 * 480
    assert askew.apply(np.ones((120, 160), np.float32)).shape == (bottom - top, right - left)
    assert askew.crop_visible(whole).shape == (bottom - top, right - left)


def test_nothing_to_crop_is_said() -> None:
    corner = Registration(((1, 0, 90), (0, 1, 91), (0, 0, 1)), (64, 48), (96, 96))
    with pytest.raises(InputError, match=r"crop: .*covers too little"):
        _ = Warper(corner, crop=True).region


@pytest.mark.parametrize("shift", [5000, -64, -5000])
def test_a_thermal_that_lies_outside_of_the_visible_is_refused(shift: int) -> None:
    with pytest.raises(InputError, match=r"^rig: .*outside of the visible"):
        Warper(Registration(((1, 0, shift), (0, 1, 0), (0, 0, 1)), (64, 48), (128, 96)))


@pytest.mark.parametrize(("side", "other"), [("thermal", "visible"), ("visible", "thermal")])
def test_a_side_that_is_too_long_for_a_warp_is_refused(side: str, other: str) -> None:
    sizes: dict[str, Any] = {side: (32_001, 2), other: (8, 2)}
    rig = Registration(((1, 0, 0), (0, 1, 0), (0, 0, 1)), **sizes)
    with pytest.raises(
        InputError, match=f"a {side} image with a side of 32001 pixels, expected at most 32000"
    ):
        Warper(rig).apply(np.zeros(rig.thermal[::-1], np.uint8))


def test_a_thermal_far_wider_than_the_visible_costs_no_more_than_the_visible() -> None:
    wide = Warper(Registration(((10, 0, -3000), (0, 10, -2000), (0, 0, 1)), (640, 480), (64, 48)))
    assert wide.coverage is None
    assert wide.covered_fraction == 1
    frame = np.tile(np.arange(640, dtype=np.float32), (480, 1))
    warped = wide.apply(frame)
    assert warped.shape == (48, 64)
    assert warped[0, [0, 63]] == pytest.approx([300, 306.3], abs=0.1)


@pytest.mark.parametrize("frame", [np.zeros((64, 48), np.uint8), np.zeros((48, 64), np.int32)])
def test_a_frame_of_another_size_or_type_is_refused(frame: Any) -> None:
    with pytest.raises(InputError, match="thermal frame: found"):
        Warper(SHIFT).apply(frame)


def test_the_map_is_computed_once_for_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    regions, compute = [], warp._source_coordinates
    monkeypatch.setattr(
        warp, "_source_coordinates", lambda matrix, region: regions.append(region) or compute(matrix, region)
    )
    warper = Warper(ASKEW)
    for _ in range(3):
        warper.apply(np.zeros((120, 160), np.uint16))
    assert len(regions) == 1


@pytest.mark.parametrize(("scale", "averaged"), [(0.91, False), (0.89, True)])
def test_frames_are_averaged_only_where_they_shrink_by_more_than_a_tenth(
    scale: float, averaged: bool
) -> None:
    side = round(200 * scale)
    rig = Registration(
        ((scale, 0, (scale - 1) / 2), (0, scale, (scale - 1) / 2), (0, 0, 1)), (200, 200), (side, side)
    )
    stripes = np.broadcast_to((np.arange(200) % 2).astype(np.float32), (200, 200)).copy()
    sharp = cv2.warpPerspective(stripes, rig.array, (side, side), borderMode=cv2.BORDER_REPLICATE)
    unfiltered = np.abs(Warper(rig).apply(stripes) - sharp).mean() < 0.015
    assert unfiltered != averaged


def test_the_transition_is_as_wide_as_documented() -> None:
    upright = Registration(((1, 0, 60), (0, 1, 50), (0, 0, 1)), (200, 100), (320, 200))
    coverage = Warper(upright).coverage
    assert coverage is not None
    middle = coverage[100, 60:260]  # a row through the field, whose shorter side has 100 pixels
    assert (middle < 1).sum() == 2 * 8  # 8 % of 100 pixels at each end
    assert middle[:8] == pytest.approx([_smoothstep((i + 0.5) / 8) for i in range(8)], abs=1e-5)
    small = Warper(Registration(((1, 0, 60), (0, 1, 50), (0, 0, 1)), (40, 40), (320, 200))).coverage
    assert small is not None
    assert (small[70, 60:100] < 1).sum() == 2 * 4  # never narrower than 4 pixels


def _smoothstep(x: float) -> float:
    return x * x * (3 - 2 * x)


def test_pixels_beyond_the_horizon_do_not_show_the_thermal() -> None:
    tilted = Registration(((1, 0, 20), (0, 1, 10), (4e-3, 0, 1)), (64, 48), (640, 96))
    frame = np.zeros((48, 64), np.uint8)
    frame[8:-8, 8:-8] = 255  # the border, which is replicated, is black
    warped = Warper(tilted).apply(frame)
    assert warped[:, 240:].max() == 0  # the horizon lies at column 250
