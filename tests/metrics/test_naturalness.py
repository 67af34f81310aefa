"""Naturalness: tones by daylight, colors, clipping, halos and local contrast."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import ShapeError
from ivfuse.metrics import naturalness
from ivfuse.metrics.metric import Undefined

HEIGHT, WIDTH = 120, 200


def day() -> np.ndarray:
    """A bright sky over a darker ground with some texture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.where(y < 50, 225, 90) + (7 * x + 3 * y) % 11.0


def night_vision() -> np.ndarray:
    """What the thermal camera sees of it: a cold sky, a warm ground."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.where(y < 50, 30, 140) + (5 * x + 2 * y) % 9.0


def color(red: float, green: float, blue: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), (red, green, blue), np.float64)


def test_the_visible_itself_has_its_own_tones() -> None:
    assert naturalness.tone_correlation(day(), day()) == pytest.approx(1)
    assert naturalness.tone_distance(day(), day()) == 0


def test_a_brighter_image_has_the_same_tones_further_away() -> None:
    assert naturalness.tone_correlation(day() + 12, day()) == pytest.approx(1, abs=1e-6)
    assert naturalness.tone_distance(day() + 12, day()) == pytest.approx(12, abs=1e-3)


def test_a_sky_that_turns_gray_is_detected() -> None:
    gray_sky = day()
    gray_sky[:50] -= 150
    assert naturalness.tone_correlation(gray_sky, day()) < 0.5
    assert naturalness.tone_distance(gray_sky, day()) > 50
    kept = 0.8 * day() + 0.2 * night_vision()
    assert naturalness.tone_correlation(kept, day()) > 0.95


def test_the_more_of_the_thermal_the_less_natural() -> None:
    shares = np.linspace(0, 1, 6)
    images = [(1 - share) * day() + share * night_vision() for share in shares]
    distances = [naturalness.tone_distance(image, day()) for image in images]
    assert distances == sorted(distances)
    correlations = [naturalness.tone_correlation(image, day()) for image in images]
    assert correlations == sorted(correlations, reverse=True)


def test_fine_detail_does_not_change_the_tones() -> None:
    detailed = day() + 40 * (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 - 0.5)
    assert naturalness.tone_correlation(detailed, day()) > 0.999
    assert naturalness.tone_distance(detailed, day()) < 1


def test_by_night_tones_have_no_value() -> None:
    dark = day() * 0.3
    assert not naturalness.is_daylight(dark)
    for measure in (naturalness.tone_correlation, naturalness.tone_distance):
        with pytest.raises(Undefined, match="not by daylight"):
            measure(day(), dark)


def test_an_image_of_one_tone_has_a_distance_but_no_correlation() -> None:
    one_tone = np.full((HEIGHT, WIDTH), 100.0)
    with pytest.raises(Undefined, match="one tone"):
        naturalness.tone_correlation(one_tone, day())
    assert naturalness.tone_distance(one_tone, day()) > 0


def test_clipped_pixels_are_counted() -> None:
    fused = np.full((10, 10), 128, np.uint8)
    fused[0, :3], fused[5, 5] = 255, 0
    assert naturalness.clipped(fused) == 0.04
    rgb = np.stack([fused, np.full_like(fused, 128), np.full_like(fused, 255)], axis=2)
    assert naturalness.clipped(rgb) == 1


def test_an_image_between_its_sources_has_no_overshoot() -> None:
    ir, vi = night_vision(), day()
    for fused in (ir, vi, (ir + vi) / 2, np.maximum(ir, vi)):
        assert naturalness.overshoot(fused, ir, vi) == 0


def test_halos_are_overshoot() -> None:
    ir = np.full((HEIGHT, WIDTH), 60.0)
    ir[40:80, 80:120] = 200
    vi = np.full((HEIGHT, WIDTH), 70.0)
    haloed = np.maximum(ir, vi)
    haloed[30:90, 70:130] -= 35  # a dark rim of 10 pixels
    haloed[40:80, 80:120] += 35
    # of the rim (2000 pixels) all are 25 below 60; the square is back at its level
    assert naturalness.overshoot(haloed, ir, vi) == 2000 / (HEIGHT * WIDTH)
    assert naturalness.overshoot(np.maximum(ir, vi), ir, vi) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
@pytest.mark.parametrize(("level", "share"), [(89, 1.0), (90, 0.0), (120, 0.0), (121, 1.0)])
def test_ten_levels_outside_are_allowed(kind: type, level: int, share: float) -> None:
    ir, vi, fused = (np.full((20, 20), each, kind) for each in (100, 110, level))
    assert naturalness.overshoot(fused, ir, vi) == share


def test_levels_do_not_wrap_at_their_ends() -> None:
    ir, vi = np.full((20, 20), 3, np.uint8), np.full((20, 20), 252, np.uint8)
    assert naturalness.overshoot(np.full((20, 20), 255, np.uint8), ir, vi) == 0
    assert naturalness.overshoot(np.zeros((20, 20), np.uint8), ir, vi) == 0


def test_the_range_is_that_of_five_pixels_around() -> None:
    ir = np.full((31, 31), 100.0)
    ir[15, 15] = 200
    fused = np.full((31, 31), 200.0)
    assert naturalness.overshoot(fused, ir, ir) == 1 - 11 * 11 / 31**2


def test_local_contrast_is_relative_to_the_source_that_has_more() -> None:
    texture = 100 + 40.0 * (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2)
    plain = np.full((HEIGHT, WIDTH), 90.0)
    assert naturalness.local_contrast(texture, texture, plain) == pytest.approx(1)
    assert naturalness.local_contrast((texture + plain) / 2, texture, plain) == pytest.approx(0.5)
    assert naturalness.local_contrast(2 * texture, plain, texture) == pytest.approx(2)
    assert naturalness.local_contrast(plain, plain, texture) == pytest.approx(0, abs=1e-6)


def test_flat_sources_have_no_local_contrast() -> None:
    plain = np.full((HEIGHT, WIDTH), 90.0)
    with pytest.raises(Undefined, match="flat"):
        naturalness.local_contrast(day(), plain, plain)


def test_unchanged_colors_have_no_change() -> None:
    for measure in (naturalness.hue_change, naturalness.saturation_change):
        assert measure(color(180, 40, 30), color(180, 40, 30)) == pytest.approx(0, abs=1e-5)


def test_another_hue_is_told_in_degrees() -> None:
    # of sRGB red and green in CIELAB: 40.0 and 136.0 degrees
    assert naturalness.hue_change(color(0, 255, 0), color(255, 0, 0)) == pytest.approx(96.0, abs=0.2)
    near_magenta = naturalness.hue_change(color(255, 0, 40), color(255, 0, 0))
    assert 0 < near_magenta < 40


def test_a_red_car_that_turns_pink_or_gray_changes_saturation_more_than_one_that_turns_brighter() -> None:
    red = color(150, 20, 20)
    brighter = naturalness.saturation_change(color(225, 30, 30), red)
    pink = naturalness.saturation_change(color(225, 95, 95), red)
    gray = naturalness.saturation_change(color(90, 90, 90), red)
    assert brighter < 0.05 < pink < gray
    with pytest.raises(Undefined, match="no color where"):
        naturalness.hue_change(color(90, 90, 90), red)


def test_only_what_has_a_color_in_the_visible_counts() -> None:
    vi, fused = color(100, 100, 100), color(140, 90, 20)
    with pytest.raises(Undefined, match="the visible has no color"):
        naturalness.saturation_change(fused, vi)
    vi[:10], fused[:10] = (0, 0, 255), (0, 0, 255)
    assert naturalness.hue_change(fused, vi) == pytest.approx(0, abs=1e-5)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected one gray shape"):
        naturalness.overshoot(day(), day()[:-1], day())
    with pytest.raises(ShapeError, match="RGB"):
        naturalness.hue_change(day(), day())
