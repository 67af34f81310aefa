"""What holds for every method of the registry, through the Fuser."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import list_methods, method_info

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (33, 17), (64, 48)]
METHODS = list_methods()
BOUNDED = [name for name in METHODS if method_info(name).reach is not None]
LEARNED = [name for name in METHODS if method_info(name).kind == "learned"]


@cache
def fuser(name: str, gray: bool = False, tile: int | None = None) -> Fuser:
    return Fuser(name, gray=gray, tile=tile)


@pytest.mark.parametrize("name", METHODS)
def test_any_size_gives_a_image_of_that_size(name: str, texture: Callable[..., np.ndarray]) -> None:
    for height, width in SIZES:
        ir = texture(height, width, seed=1)
        color = fuser(name).fuse(ir, texture(height, width, seed=2, channels=3))
        gray = fuser(name).fuse(ir, texture(height, width, seed=2))
        assert color.shape == (height, width, 3)
        assert gray.shape == (height, width)
        for fused in (color, gray):
            assert fused.dtype == np.float32
            assert fused.min() >= 0
            assert fused.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_the_same_pair_gives_the_same_image(name: str, texture: Callable[..., np.ndarray]) -> None:
    ir, vi = texture(48, 40, seed=1), texture(48, 40, seed=2, channels=3)
    assert np.array_equal(fuser(name).fuse(ir, vi), fuser(name).fuse(ir, vi))


@pytest.mark.parametrize("name", METHODS)
def test_inputs_are_left_as_they_are(name: str, texture: Callable[..., np.ndarray]) -> None:
    ir, vi = texture(20, 24, seed=1), texture(20, 24, seed=2, channels=3)
    kept = ir.copy(), vi.copy()
    fuser(name).fuse(ir, vi)
    assert np.array_equal(ir, kept[0])
    assert np.array_equal(vi, kept[1])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_pair_gives_a_nearly_constant_image_of_its_level(name: str, level: float) -> None:
    flat = np.full((40, 56), level, dtype=np.float32)
    fused = fuser(name).fuse(flat, flat)
    # a network may shift a level a little; a classical method only rounds
    tolerance = 1e-4 if method_info(name).kind == "classical" else 0.1
    assert np.abs(fused - level).max() <= tolerance


@pytest.mark.parametrize("name", METHODS)
def test_a_warm_target_in_the_dark_is_kept(name: str) -> None:
    ir = np.full((96, 96), 0.2, dtype=np.float32)
    ir[40:56, 40:56] = 0.9
    fused = fuser(name).fuse(ir, np.full((96, 96), 0.1, dtype=np.float32))
    assert fused[44:52, 44:52].mean() > fused[:24, :24].mean() + 0.1


@pytest.mark.parametrize("name", BOUNDED)
def test_tiles_give_the_same_image_as_the_whole(name: str, texture: Callable[..., np.ndarray]) -> None:
    info = method_info(name)
    assert info.reach is not None
    side = max(128, -(-(2 * info.reach + 64) // info.align) * info.align)
    ir, vi = texture(side + 70, side + 33, seed=1), texture(side + 70, side + 33, seed=2)
    whole, tiled = fuser(name, tile=10_000).fuse(ir, vi), fuser(name, tile=side).fuse(ir, vi)
    assert np.abs(whole - tiled).max() < 1 / 255


@pytest.mark.parametrize("name", LEARNED)
def test_tiles_of_a_trained_method_show_no_seam(name: str, texture: Callable[..., np.ndarray]) -> None:
    ir, vi = texture(300, 700, seed=1), texture(300, 700, seed=2)
    ir[:, :350] *= 0.4  # tiles differ in their means
    whole, tiled = (Fuser(name, runtime="onnxruntime", tile=tile).fuse(ir, vi) for tile in (1024, 384))
    if method_info(name).reach is not None:
        assert np.abs(whole - tiled).max() < 1 / 255
    else:  # tiles differ in their levels, but go over into each other slowly
        level = cv2.GaussianBlur(tiled - whole, (0, 0), 8)
        assert np.abs(np.diff(level, axis=1)).max() < 1 / 255
