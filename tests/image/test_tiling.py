"""Tiles: the same result as in one piece, no seam, bounded work."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ivfuse.errors import ShapeError, UsageError
from ivfuse.image.tiling import plan_tiles, run_tiled

SIZES = [(1, 1), (1, 777), (777, 1), (129, 129), (128, 300), (300, 301), (5, 2000), (257, 40)]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def box(reach: int):
    """A mean over a square of side 2 reach + 1; the border is replicated."""
    side = 2 * reach + 1

    def fuse(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        return cv2.blur((ir + 2 * vi) / 3, (side, side), borderType=cv2.BORDER_REPLICATE)

    return fuse


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("align", [1, 8, 32])
@pytest.mark.parametrize("reach", [0, 3, 16])
def test_a_method_of_bounded_reach_gives_what_it_gives_on_the_whole(
    size: tuple[int, int], align: int, reach: int
) -> None:
    ir, vi = noise(*size), noise(*size, seed=1)
    whole = box(reach)(ir, vi)
    tiled = run_tiled(box(reach), ir, vi, tile=128, margin=reach, align=align)
    # OpenCV's running sums round differently from tile to tile.
    np.testing.assert_allclose(tiled, whole, atol=1e-6)
    assert tiled.dtype == np.float32


def test_context_that_is_too_small_would_be_noticed() -> None:
    ir, vi = noise(300, 301), noise(300, 301, seed=1)
    tiled = run_tiled(box(16), ir, vi, tile=128, margin=8, fade=0)
    assert np.abs(tiled - box(16)(ir, vi)).max() > 1e-3


@pytest.mark.parametrize("fade", [0, 1, 7, 40])
def test_fades_of_any_width_add_up_to_one(fade: int) -> None:
    ir = vi = np.ones((300, 410), np.float32)
    tiled = run_tiled(lambda a, b: a * 1, ir, vi, tile=100, margin=5, fade=fade)
    np.testing.assert_allclose(tiled, 1, atol=1e-6)


@pytest.mark.parametrize("align", [1, 7, 16, 64])
@pytest.mark.parametrize("size", [(1000, 513), (130, 2000)])
def test_tiles_cover_the_image_begin_on_the_grid_and_are_no_larger_than_asked(
    align: int, size: tuple[int, int]
) -> None:
    tiles = plan_tiles(*size, tile=256, margin=20, align=align)
    covered = np.zeros(size, bool)
    for tile in tiles:
        assert tile.top % align == tile.left % align == 0
        assert 0 < tile.height <= 256
        assert 0 < tile.width <= 256
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = True
        assert tile.top + tile.height <= size[0]
        assert tile.left + tile.width <= size[1]
    assert covered.all()


def test_a_method_that_depends_on_a_grid_sees_the_same_grid_in_every_tile() -> None:
    def blocks(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        """Means of 8x8 blocks."""
        out = np.empty_like(ir)
        for y in range(0, ir.shape[0], 8):
            for x in range(0, ir.shape[1], 8):
                out[y : y + 8, x : x + 8] = vi[y : y + 8, x : x + 8].mean()
        return out

    ir, vi = noise(203, 310), noise(203, 310, seed=1)
    tiled = run_tiled(blocks, ir, vi, tile=96, margin=8, align=8)
    np.testing.assert_allclose(tiled, blocks(ir, vi), atol=1e-6)


def test_a_image_no_larger_than_a_tile_is_fused_in_one_piece() -> None:
    calls = []

    def fuse(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        calls.append(ir.shape)
        return vi

    vi = noise(128, 64)
    assert run_tiled(fuse, vi, vi, tile=128) is vi
    assert calls == [(128, 64)]


def test_tiles_grow_where_the_overlap_leaves_no_room() -> None:
    ir, vi = noise(400, 500), noise(400, 500, seed=1)
    tiled = run_tiled(box(30), ir, vi, tile=16, margin=30)
    np.testing.assert_allclose(tiled, box(30)(ir, vi), atol=1e-6)


def seam(image: np.ndarray) -> float:
    """The largest step between neighboring columns, taken over their means."""
    return float(np.abs(np.diff(image.mean(0))).max())


def test_a_method_that_sees_the_whole_tile_leaves_no_seam() -> None:
    def centerd(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        return vi - vi.mean()

    # A slope makes the means of tiles differ, by far more than neighboring columns do.
    vi = np.broadcast_to(np.linspace(0, 1, 600, dtype=np.float32), (64, 600)).copy()
    hard = seam(run_tiled(centerd, vi, vi, tile=200, margin=40, fade=0))
    soft = seam(run_tiled(centerd, vi, vi, tile=200, margin=40))
    assert hard > 0.1
    assert soft < hard / 20
    assert soft < 5 * seam(vi)


def test_the_work_grows_with_the_pixels() -> None:
    def cost(side: int) -> float:
        tiles = plan_tiles(side, side, tile=1024, margin=64, align=1)
        return sum(t.height * t.width for t in tiles) / side**2

    assert cost(8000) < 1.6
    assert cost(8000) < 1.15 * cost(4000)


def test_the_inputs_are_left_as_they_are() -> None:
    ir, vi = noise(300, 301), noise(300, 301, seed=1)
    before = ir.copy(), vi.copy()
    tiled = run_tiled(lambda a, b: b, ir, vi, tile=100, margin=5)  # gives a view of its input
    np.testing.assert_allclose(tiled, vi, atol=1e-6)
    assert np.array_equal(ir, before[0])
    assert np.array_equal(vi, before[1])


def test_wrong_use_is_refused() -> None:
    vi = noise(30, 40)
    with pytest.raises(ShapeError, match="expected the same"):
        run_tiled(box(1), noise(30, 41), vi)
    with pytest.raises(ShapeError, match="the method returned"):
        run_tiled(lambda a, b: a[1:], vi, vi, tile=20, margin=2)
    with pytest.raises(ShapeError, match="the method returned"):
        run_tiled(lambda a, b: a[1:], vi, vi)
    for name, bad in {"tile": 0, "align": 0, "margin": -1, "fade": -1}.items():
        with pytest.raises(UsageError, match=f"{name}: found {bad}"):
            run_tiled(box(1), vi, vi, **{name: bad})
