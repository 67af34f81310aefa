"""The black frame of a thermal image that was warped before leaves no dark stripe in the fused image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.fusion.black_frame import fill_frame
from ivfuse.fusion.pipeline import Fuser

Texture = Callable[..., Any]
HEIGHT, WIDTH = 120, 160


@pytest.fixture
def whole(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint((0.3 + 0.6 * texture(HEIGHT, WIDTH)) * 255))


@pytest.fixture
def visible(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint(texture(HEIGHT, WIDTH, seed=1, channels=3) * 255))


def framed(whole: np.ndarray, right: int) -> np.ndarray:
    """The image with a black wedge at its right, from a width to three pixels less."""
    image = whole.copy()
    wedge = np.array([[WIDTH - right, 0], [WIDTH, 0], [WIDTH, HEIGHT], [WIDTH - right + 3, HEIGHT]])
    return np.asarray(cv2.fillPoly(image, [wedge], 0))


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (60, 80)], ids=["same size", "enlarged"])
def test_a_wedge_leaves_no_stripe_and_keeps_the_visible_behind_it(
    whole: np.ndarray, visible: np.ndarray, shape: tuple[int, int]
) -> None:
    thermal = cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA)
    thermal = thermal.copy()
    thermal[:, -shape[1] // 4 :] = 0
    fuser = Fuser("average", gray=True)
    pair = fuser.read(thermal, visible)
    fused = fuser.fuse_pair(pair)
    assert any("black frame" in note for note in pair.notes)
    luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY) / 255
    np.testing.assert_allclose(fused[:, -30:], luma[:, -30:], atol=0.005)
    beside = slice(WIDTH * 3 // 4 - 6, WIDTH * 3 // 4 + 6)  # where the frame began
    assert (fused - luma)[:, beside].min() > -0.3  # half of black would be up to 0.5 darker
    assert np.median((fused - luma)[:, beside]) > 0


def test_inside_of_the_frame_nothing_changes(whole: np.ndarray) -> None:
    thermal = np.float32(framed(whole, 12) / 255)
    found = fill_frame(thermal)
    assert found is not None
    filled, weight = found
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
        thermal = np.float32(framed(whole, 12) / 255) * np.float32(0.1)
    elif kind == "black":
        thermal[:] = 0
    elif kind == "small":
        thermal = np.float32(framed(whole, 12)[:40] / 255)
    assert fill_frame(thermal) is None
