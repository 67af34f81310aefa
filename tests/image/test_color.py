"""Luma, a new luma under old chroma, and sizes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ivfuse.errors import ShapeError
from ivfuse.image.arrays import to_float, to_levels
from ivfuse.image.color import luma, recolor, resize_to


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def chroma(rgb: np.ndarray) -> np.ndarray:
    """Cb and Cr, up to their constant factors."""
    y = luma(rgb)
    return np.stack([rgb[..., 2] - y, rgb[..., 0] - y], -1)


def test_luma_is_that_of_bt601() -> None:
    rgb = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0.5, 0.5, 0.5]]], np.float32)
    np.testing.assert_allclose(luma(rgb), [[0.299, 0.587, 0.114, 1, 0.5]], atol=1e-6)
    eight = (noise(20, 30, 3) * 255).astype(np.uint8)
    # OpenCV computes the same luma in integers: half a level of rounding.
    expected = cv2.cvtColor(eight, cv2.COLOR_RGB2YCrCb)[..., 0]
    np.testing.assert_allclose(luma(eight / np.float32(255)) * 255, expected, atol=0.52)


def test_luma_of_a_gray_image_is_itself() -> None:
    gray = noise(4, 5)
    assert luma(gray) is gray


def test_the_same_luma_gives_the_same_colors() -> None:
    rgb = noise(40, 50, 3)
    np.testing.assert_allclose(recolor(rgb, luma(rgb)), rgb, atol=1e-6)


def test_the_new_luma_is_exactly_the_wanted_one_and_nothing_leaves_the_range() -> None:
    rgb, fused = noise(200, 300, 3), noise(200, 300, seed=1)
    out = recolor(rgb, fused)
    assert out.min() >= 0
    assert out.max() <= 1
    np.testing.assert_allclose(luma(out), fused, atol=1e-6)


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_chroma_grows_and_shrinks_with_the_luma_where_there_is_room(factor: float) -> None:
    rgb = 0.4 + 0.1 * noise(20, 30, 3)
    y = luma(rgb)
    gain = (factor * y + 0.1) / (y + 0.1)
    expected = chroma(rgb) * gain[..., np.newaxis]
    np.testing.assert_allclose(chroma(recolor(rgb, factor * y)), expected, atol=1e-6)


def test_a_red_car_stays_red_at_twice_the_luma() -> None:
    car = np.full((4, 5, 3), (0.5, 0.12, 0.1), np.float32)
    shown = recolor(car, 2 * luma(car))
    assert shown[0, 0, 1] / shown[0, 0, 0] == pytest.approx(0.24, abs=0.12)  # as pink as 0.49 with one chroma


def test_the_noise_of_dark_areas_is_not_colored_more_than_twofold() -> None:
    dark = 0.01 * noise(20, 30, 3)
    shown = recolor(dark, np.full((20, 30), 0.5, np.float32))
    assert np.abs(chroma(shown)).max() <= 2 * np.abs(chroma(dark)).max() + 1e-6


def test_hue_is_kept_where_there_is_none() -> None:
    rgb, fused = noise(60, 60, 3), noise(60, 60, seed=1)
    old, new = chroma(rgb), chroma(recolor(rgb, fused))
    cross = old[..., 0] * new[..., 1] - old[..., 1] * new[..., 0]
    np.testing.assert_allclose(cross, 0, atol=1e-6)
    assert (np.sum(old * new, -1) >= -1e-6).all()
    assert (np.abs(new) <= 2 * np.abs(old) + 1e-6).all()


def test_black_and_white_luma_give_black_and_white() -> None:
    rgb = noise(4, 5, 3)
    assert np.array_equal(recolor(rgb, np.zeros((4, 5), np.float32)), np.zeros((4, 5, 3)))
    np.testing.assert_allclose(recolor(rgb, np.ones((4, 5), np.float32)), 1, atol=1e-6)


def test_the_result_can_be_written_into_the_visible_itself() -> None:
    rgb, fused = noise(700, 500, 3), noise(700, 500, seed=1)  # more than one strip
    expected = recolor(rgb, fused)
    out = recolor(rgb, fused, out=rgb)
    assert out is rgb
    assert np.array_equal(out, expected)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected"):
        recolor(noise(4, 5, 3), noise(4, 6))
    with pytest.raises(ShapeError, match="expected"):
        recolor(noise(4, 5), noise(4, 5))
    with pytest.raises(ShapeError, match="out"):
        recolor(noise(4, 5, 3), noise(4, 5), out=noise(4, 6, 3))
    with pytest.raises(ShapeError, match="expected"):
        luma(noise(4, 5, 4))


@pytest.mark.parametrize("old", [(1, 1), (7, 9), (64, 48), (1, 30)])
@pytest.mark.parametrize("new", [(1, 1), (13, 5), (64, 48), (100, 200)])
def test_any_size_becomes_any_size_within_the_range(old: tuple[int, int], new: tuple[int, int]) -> None:
    out = resize_to(np.round(noise(*old)), *new)  # black and white: cubic interpolation overshoots
    assert out.shape == new
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 1


def test_the_same_size_is_the_same_array() -> None:
    gray = noise(4, 5)
    assert resize_to(gray, 4, 5) is gray


def test_shrinking_takes_means_of_areas() -> None:
    gray = noise(8, 12)
    expected = gray.reshape(4, 2, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resize_to(gray, 4, 4), expected, atol=1e-6)
    assert gray.shape == (8, 12)


def test_growing_keeps_a_ramp_straight_and_in_place() -> None:
    gray = np.broadcast_to(np.linspace(0, 1, 32, dtype=np.float32), (8, 32)).copy()
    out = resize_to(gray, 16, 64)
    expected = (np.arange(64) + 0.5) / 2 - 0.5  # pixel centers, as areas coincide
    # OpenCV's cubic bends a ramp by 0.05 pixels; a grid shifted by half a pixel would be wrong by 0.25.
    np.testing.assert_allclose(out[8, 4:-4] * 31, expected[4:-4], atol=0.06)


def test_a_image_may_shrink_one_way_and_grow_the_other() -> None:
    gray = np.broadcast_to(noise(1, 30), (30, 30)).copy()
    out = resize_to(gray, 10, 60)
    np.testing.assert_allclose(out, np.broadcast_to(resize_to(gray[:1], 1, 60), out.shape), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_are_recolored_as_the_floats_that_they_mean(dtype: type) -> None:
    levels = (noise(70, 60, 3) * np.iinfo(dtype).max).astype(dtype)
    pixels, fused = to_float(levels), noise(70, 60, seed=1)
    assert np.array_equal(luma(levels), luma(pixels))
    assert np.array_equal(luma(levels[..., 0]), pixels[..., 0])
    expected = recolor(pixels, fused)
    assert np.array_equal(recolor(levels, fused), expected)
    out = recolor(levels, fused, np.empty_like(levels))
    assert out.dtype == dtype
    assert np.array_equal(out, to_levels(expected, 8 * levels.itemsize))
