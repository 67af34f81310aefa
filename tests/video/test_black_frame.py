"""The black frame of a thermal video that was warped before is found once and left out of all images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ivfuse.fusion.align import Aligner
from ivfuse.fusion.pipeline import Fuser
from ivfuse.registration.transform import Registration
from ivfuse.video.black_frame import BlackFrameRemover
from ivfuse.video.frame import Frame
from ivfuse.video.frame_fuser import FrameFuser

HEIGHT, WIDTH, EDGE = 96, 128, 24
Texture = Callable[..., np.ndarray]


@pytest.fixture
def scene(texture: Texture) -> np.ndarray:
    return 40 + 200 * texture(HEIGHT, WIDTH + 20)


def warped(scene: np.ndarray, index: int, dtype: Any = np.uint8, noise: int = 0) -> Frame:
    """An image of a camera that moves, with a black frame at its right and traces of compression in it."""
    values = np.rint(scene[:, index : index + WIDTH]).astype(dtype)
    traces = np.random.default_rng(index).integers(0, noise + 1, (HEIGHT, EDGE))
    values[:, -EDGE:] = (16 if noise else 0) + traces
    return Frame((values,), index / 25, index, limited=noise > 0)


@pytest.mark.parametrize("kind", ["8 bit", "compressed", "16 bit", "float"])
def test_the_frame_is_the_same_from_the_first_image_on(scene: np.ndarray, kind: str) -> None:
    dtype = {"16 bit": np.uint16, "float": np.float32}.get(kind, np.uint8)
    remover = BlackFrameRemover()
    weights = []
    for index in range(8):
        ir = warped(scene, index, dtype, noise=3 if kind == "compressed" else 0)
        before = ir.planes[0].copy()
        out, weight = remover.apply(ir)
        assert out.planes[0].dtype == dtype
        assert np.array_equal(out.planes[0][:, : -EDGE - 3], before[:, : -EDGE - 3])
        assert out.planes[0].min() >= 35
        assert np.array_equal(ir.planes[0], before)
        weights.append(weight)
    assert weights[0] is not None
    assert weights[0][:, -1].max() < 0.5
    assert all(np.array_equal(weights[0], each) for each in weights)


def test_a_cold_sky_is_no_frame_once_it_has_moved(scene: np.ndarray) -> None:
    remover = BlackFrameRemover()
    for index in range(4):
        values = np.rint(scene[:, :WIDTH]).astype(np.uint8)
        values[: max(0, 20 - 12 * index)] = 0  # the camera tilts down
        _, weight = remover.apply(Frame((values,), index / 25, index))
        assert (weight is None) == (index >= 3)


def test_a_closed_shutter_decides_nothing(scene: np.ndarray) -> None:
    remover = BlackFrameRemover()
    remover.apply(Frame((np.zeros((HEIGHT, WIDTH), np.uint8),), 0, 0))
    assert remover.apply(warped(scene, 1))[1] is not None


def test_a_white_frame_is_found_in_the_first_image_and_stays(scene: np.ndarray) -> None:
    remover, weights = BlackFrameRemover(), []
    for index in range(8):
        values = np.full((HEIGHT, WIDTH), 235, np.uint8)
        values[8:-8, 8:-8] = np.rint(16 + 0.6 * scene[8:-8, index + 8 : index + WIDTH - 8])
        if index:
            values[8:20] = 235  # a sky at the frame
        weights.append(remover.apply(Frame((values,), index / 25, index, limited=True))[1])
    assert weights[0] is not None
    assert weights[0][8:-8, 0].max() < 0.5
    assert all(np.array_equal(weights[0], each) for each in weights)


@pytest.mark.parametrize("rig", [False, True])
def test_the_fused_video_keeps_the_visible_behind_the_frame(
    scene: np.ndarray, texture: Texture, rig: bool
) -> None:
    shift = Registration(((1, 0, 4), (0, 1, 0), (0, 0, 1)), (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    fuser = FrameFuser(Fuser("average"), aligner=Aligner(shift) if rig else None, smoother=None)
    luma = np.rint(255 * texture(HEIGHT, WIDTH, seed=1)).astype(np.uint8)
    for index in range(3):
        out = fuser.fuse(warped(scene, index, np.uint16), Frame((luma,), index / 25, index))
        assert np.abs(out.planes[0][:, -12:].astype(int) - luma[:, -12:]).max() <= 1
        assert np.abs(out.planes[0][:, 20:-40].astype(int) - luma[:, 20:-40]).mean() > 10
