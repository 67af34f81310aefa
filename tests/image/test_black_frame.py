"""The black frame of a thermal image that was warped before is found, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.image.black_frame import find_black_frame, frame_mask

Texture = Callable[..., Any]
HEIGHT, WIDTH = 120, 160


@pytest.fixture
def whole(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint((0.3 + 0.6 * texture(HEIGHT, WIDTH)) * 255))


def with_wedge(whole: np.ndarray, right: int) -> np.ndarray:
    """The image with a black wedge at its right, from a width to three pixels less."""
    image = whole.copy()
    wedge = np.array([[WIDTH - right, 0], [WIDTH, 0], [WIDTH, HEIGHT], [WIDTH - right + 3, HEIGHT]])
    return np.asarray(cv2.fillPoly(image, [wedge], 0))


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


def test_inside_of_the_frame_nothing_changes(whole: np.ndarray) -> None:
    thermal = np.float32(with_wedge(whole, 12) / 255)
    frame = find_black_frame(thermal)
    assert frame is not None
    filled, weight = frame.fill(thermal), frame.weight
    assert np.array_equal(filled[:, : WIDTH - 16], thermal[:, : WIDTH - 16])
    assert np.all(weight[:, : WIDTH - 16] == 1)
    assert filled.min() > 0.25
    assert weight[:, -1].max() < 0.5


@pytest.mark.parametrize("kind", ["whole", "jagged sky", "dark beside", "black", "small"])
def test_what_is_no_frame_stays(whole: np.ndarray, kind: str) -> None:
    thermal = np.float32(whole / 255)
    if kind == "jagged sky":
        for column in range(WIDTH):
            thermal[: 20 + column * 7 % 40, column] = 0
    elif kind == "dark beside":
        thermal = np.float32(with_wedge(whole, 12) / 255) * np.float32(0.1)
    elif kind == "black":
        thermal[:] = 0
    elif kind == "small":
        thermal = np.float32(with_wedge(whole, 12)[:40] / 255)
    assert find_black_frame(thermal) is None
