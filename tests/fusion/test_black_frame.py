"""The black frame of a thermal image that was warped before leaves no dark stripe in the fused image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.fusion.pipeline import Fuser
from ivfuse.registration.transform import Registration
from ivfuse.thermal.read import ThermalOptions

Texture = Callable[..., Any]
HEIGHT, WIDTH = 120, 160


@pytest.fixture
def whole(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint((0.3 + 0.6 * texture(HEIGHT, WIDTH)) * 255))


@pytest.fixture
def visible(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint(texture(HEIGHT, WIDTH, seed=1, channels=3) * 255))


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


def test_a_frame_that_is_kept_is_fused_like_the_rest(whole: np.ndarray, visible: np.ndarray) -> None:
    thermal = whole.copy()
    thermal[:, -40:] = 0
    fuser = Fuser("average", gray=True, keep_frame=True)
    pair = fuser.read(thermal, visible)
    assert pair.coverage is None
    assert not pair.notes
    luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY) / 255
    np.testing.assert_allclose(fuser.fuse_pair(pair)[:, -30:], luma[:, -30:] / 2, atol=0.005)


def test_a_rig_leaves_the_frame_out_as_well(whole: np.ndarray, visible: np.ndarray) -> None:
    thermal = whole.copy()
    thermal[:, -40:] = 0
    shift = Registration(((1, 0, 10), (0, 1, 0), (0, 0, 1)), (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    for crop in (False, True):
        fuser = Fuser("average", gray=True, rig=shift, crop=crop)
        pair = fuser.read(thermal, visible)
        assert pair.coverage is not None
        assert any("black frame" in note for note in pair.notes)
        luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY)[:, -pair.visible.width :] / 255
        np.testing.assert_allclose(
            fuser.fuse_pair(pair)[:, -20:], luma[: pair.visible.height, -20:], atol=0.005
        )
    assert pair.visible.width < WIDTH  # cropped


@pytest.mark.parametrize("kind", ["16 bit", "16 bit with a scale", "8 bit with a window"])
def test_a_frame_of_counts_is_no_data_and_no_part_of_the_window(
    whole: np.ndarray, visible: np.ndarray, kind: str
) -> None:
    counts = whole if kind.startswith("8") else np.uint16(28000) + whole.astype(np.uint16)
    options = {"16 bit": {}, "16 bit with a scale": {"scale": "0.01K"}}.get(kind, {"window": (0, 250)})
    framed = counts.copy()
    framed[:, -40:] = 0
    fuser = Fuser("average", gray=True, thermal=ThermalOptions(**options))
    pair, inside = fuser.read(framed, visible), fuser.read(counts[:, :-42].copy(), visible[:, :-42].copy())
    np.testing.assert_array_equal(pair.thermal.pixels[:, :-42], inside.thermal.pixels)
    assert pair.thermal.window == inside.thermal.window
    luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY) / 255
    np.testing.assert_allclose(fuser.fuse_pair(pair)[:, -30:], luma[:, -30:], atol=0.005)
    if pair.thermal.celsius is not None:
        assert np.isnan(pair.thermal.celsius[:, -40:]).all()


@pytest.mark.parametrize("window", [None, (255, 0)], ids=["stored", "inverted"])
@pytest.mark.parametrize("level", [0, 255])
def test_a_frame_on_all_sides_leaves_no_border(
    whole: np.ndarray, visible: np.ndarray, level: int, window: tuple[int, int] | None
) -> None:
    framed = np.full_like(whole, level)
    framed[8:-8, 8:-8] = 60 + whole[8:-8, 8:-8] // 3
    fuser = Fuser(
        "average", gray=True, thermal=ThermalOptions() if window is None else ThermalOptions(window)
    )
    pair = fuser.read(framed, visible)
    assert pair.coverage is not None
    luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY) / 255
    np.testing.assert_allclose(fuser.fuse_pair(pair)[[0, -1]], luma[[0, -1]], atol=0.005)
    assert pair.thermal.pixels[pair.coverage > 0].min() > 0.15
    assert pair.thermal.pixels[pair.coverage > 0].max() < 0.85
