"""Preparation of a pair: checks, downscaling, and the mask of a warped thermal's black frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.registration.geometry import scale_matrix, transform_points
from ivfuse.registration.prepare import find_unusable, frame_mask, prepare, rescale

Texture = Callable[..., np.ndarray]


def test_large_images_are_reduced_to_the_area_of_900_by_900_pixels(texture: Texture) -> None:
    pair = prepare(texture(200, 250), texture(1200, 1600))
    assert pair.ir.shape == (200, 250)
    assert pair.vi.shape == (779, 1039)  # 1600 x 1200 times 900 / sqrt(1600 * 1200)


def test_a_transform_of_reduced_images_becomes_one_of_the_originals(texture: Texture) -> None:
    pair = prepare(texture(200, 250), texture(1200, 1600))
    (thermal_width, _), (visible_width, visible_height) = pair.sizes
    stretch = scale_matrix(visible_width / thermal_width, visible_height / 200)
    corner = transform_points(pair.to_original(stretch), np.array([[250.0, 200.0]]))[0]
    assert corner == pytest.approx([1600, 1200])


@pytest.mark.parametrize(
    ("shape", "deviation", "fault"),
    [
        ((48, 60), 0.2, ""),
        ((47, 60), 0.2, "60x47, expected 48 pixels"),
        ((60, 60), 0.0011, ""),
        ((60, 60), 0.0009, "is flat"),
    ],
)
def test_images_that_are_too_small_or_flat_are_named(
    texture: Texture, shape: tuple[int, int], deviation: float, fault: str
) -> None:
    image = texture(*shape)
    image = 0.5 + (image - image.mean()) * np.float32(deviation / image.std())
    found = find_unusable(image, np.asarray(texture(100, 100), np.float32))
    assert (fault in found and "thermal" in found) if fault else not found


def test_rescaling_averages_when_it_shrinks_and_leaves_at_least_8_pixels() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)
    assert rescale(checks, 0.5) == pytest.approx(0.5)
    assert rescale(checks, 0.01).shape == (8, 8)
    assert rescale(checks, 1.0) is checks


def framed(texture: Texture, quad: Any, level: float = 0.0) -> np.ndarray:
    """A texture inside a quadrilateral of a black 200 x 200 image."""
    image = np.full((200, 200), level, np.float32)
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array(quad, np.int32)], 1)
    image[mask > 0] = 0.2 + 0.8 * texture(200, 200)[mask > 0]
    return image


def test_a_black_frame_is_masked_with_a_margin_of_two_pixels(texture: Texture) -> None:
    mask = frame_mask(framed(texture, [(30, 20), (199, 20), (199, 189), (30, 189)]))
    inside = np.zeros((200, 200), bool)
    inside[22:188, 32:] = True
    assert np.array_equal(mask > 0, inside)


@pytest.mark.parametrize(
    "quad",
    [
        [(0, 0), (199, 0), (199, 199), (0, 199)],  # no frame
        [(0, 5), (199, 100), (0, 195), (100, 100)],  # not convex: cold sky around a skyline
        [(70, 70), (150, 70), (150, 150), (70, 150)],  # a warm object before a cold background
    ],
)
def test_black_that_is_no_frame_is_not_masked(texture: Texture, quad: Any) -> None:
    assert frame_mask(framed(texture, quad)).min() == 1


@pytest.mark.parametrize(("notch", "masked"), [(10, True), (40, False)])
def test_a_frame_may_be_dented_by_one_percent_only(texture: Texture, notch: int, masked: bool) -> None:
    image = framed(texture, [(20, 20), (199, 20), (199, 179), (20, 179)])
    image[20 : 20 + notch, 90:110] = 0  # a dark object at the border of the field
    assert (frame_mask(image).min() == 0) == masked


@pytest.mark.parametrize(("width", "masked"), [(10, False), (30, True)])
def test_a_frame_covers_two_percent_of_the_border_at_least(
    texture: Texture, width: int, masked: bool
) -> None:
    image = (0.2 + 0.8 * texture(200, 200)).astype(np.float32)
    cv2.fillPoly(image, [np.array([(0, 0), (width, 0), (0, 2)], np.int32)], 0.0)  # a sliver at a corner
    assert (frame_mask(image).min() == 0) == masked


@pytest.mark.parametrize(("side", "masked"), [(105, False), (115, True)])
def test_a_field_inside_a_frame_covers_three_tenths_of_the_image_at_least(
    texture: Texture, side: int, masked: bool
) -> None:
    image = framed(texture, [(40, 0), (40 + side, 0), (40 + side, side), (40, side)])
    assert (frame_mask(image).min() == 0) == masked
