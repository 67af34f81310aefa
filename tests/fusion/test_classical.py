"""What every classical method keeps: size, range, targets, texture, and its own word on reach and grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import ShapeError, UsageError
from ivfuse.fusion.method import CLASSICAL
from ivfuse.fusion.registry import create_method, list_methods
from ivfuse.image.arrays import Gray

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NAMES = sorted({*list_methods()} & CLASSICAL.keys())
BOUNDED = [name for name in NAMES if CLASSICAL[name][0].reach is not None]
SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (17, 33), (64, 48), (129, 70)]

each_method = pytest.mark.parametrize("name", NAMES)
each_bounded_method = pytest.mark.parametrize("name", BOUNDED)


def fuse(name: str, ir: Gray, vi: Gray) -> Gray:
    return CLASSICAL[name][1](ir, vi)


def scene(height: int, width: int, seed: int = 0) -> tuple[Gray, Gray]:
    """A thermal image of soft blobs and sensor noise, a visible one of blobs and texture, in [0, 1]."""
    rng = np.random.default_rng(seed)

    def blobs(scale: float) -> Gray:
        rough = rng.random((height, width), dtype=np.float32)
        soft = cv2.GaussianBlur(rough, (0, 0), scale)
        return np.asarray((soft - soft.min()) / max(float(np.ptp(soft)), 1e-6), np.float32)

    noise = rng.normal(0, 0.01, (2, height, width))
    ir = 0.8 * blobs(6) + 0.1 + noise[0]
    vi = 0.5 * blobs(12) + 0.3 * blobs(1.2) + 0.05 + noise[1]
    return np.clip(ir, 0, 1).astype(np.float32), np.clip(vi, 0, 1).astype(np.float32)


def test_the_seven_methods_are_registered() -> None:
    assert set(NAMES) == {
        "average",
        "guided-filter",
        "laplacian",
        "maximum",
        "two-scale",
        "visual-saliency",
        "wavelet",
    }
    for name in NAMES:
        info = CLASSICAL[name][0]
        assert info.kind == "classical"
        assert info.summary
        assert info.paper
        assert info.name == name


@each_method
@pytest.mark.parametrize("size", SIZES)
def test_any_size_is_kept_and_stays_in_range(name: str, size: tuple[int, int]) -> None:
    fused = fuse(name, *scene(*size))
    assert fused.shape == size
    assert fused.dtype == np.float32
    assert np.isfinite(fused).all()
    assert fused.min() >= 0
    assert fused.max() <= 1


@each_method
def test_black_and_white_noise_stays_in_range(name: str) -> None:
    rng = np.random.default_rng(1)
    ir, vi = rng.integers(0, 2, (2, 40, 50)).astype(np.float32)
    fused = fuse(name, ir, vi)
    assert np.isfinite(fused).all()
    assert fused.min() >= 0
    assert fused.max() <= 1


@each_method
def test_inputs_are_left_alone_and_may_be_read_only(name: str) -> None:
    ir, vi = scene(40, 30)
    kept = ir.copy(), vi.copy()
    ir.setflags(write=False)
    vi.setflags(write=False)
    fused = fuse(name, ir, vi)
    assert not np.shares_memory(fused, ir)
    assert not np.shares_memory(fused, vi)
    np.testing.assert_array_equal(ir, kept[0])
    np.testing.assert_array_equal(vi, kept[1])


@each_method
@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::-1, ::2], lambda x: x[3:, 5:]])
def test_views_give_what_copies_give(name: str, view: Callable[[Gray], Gray]) -> None:
    ir, vi = (view(x) for x in scene(40, 30))
    np.testing.assert_array_equal(fuse(name, ir, vi), fuse(name, ir.copy(), vi.copy()))


@each_method
def test_the_same_pair_gives_the_same_image(name: str) -> None:
    ir, vi = scene(60, 44)
    np.testing.assert_array_equal(fuse(name, ir, vi), fuse(name, ir, vi))


@each_method
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_two_equal_constants_give_that_constant(name: str, value: float) -> None:
    flat = np.full((33, 41), value, np.float32)
    # float32 rounding of filters whose weights sum to one
    np.testing.assert_allclose(fuse(name, flat, flat), flat, atol=1e-6)


@each_method
def test_two_constants_give_a_constant_between_them(name: str) -> None:
    low, high = np.full((33, 41), 0.2, np.float32), np.full((33, 41), 0.7, np.float32)
    fused = fuse(name, low, high)
    assert np.ptp(fused) < 1e-6  # no rim at the border
    assert fused.min() >= 0.2 - 1e-6
    assert fused.max() <= 0.7 + 1e-6


@each_method
def test_a_image_with_itself_gives_itself(name: str) -> None:
    ir, vi = scene(70, 51)
    for image in (ir, vi):
        # float32 rounding of splitting and adding up again
        np.testing.assert_allclose(fuse(name, image, image), image, atol=2e-6)


@each_method
def test_exchanging_the_images_changes_nothing(name: str) -> None:
    ir, vi = scene(70, 51)
    np.testing.assert_allclose(fuse(name, ir, vi), fuse(name, vi, ir), atol=2e-6)  # rounding only


@each_method
def test_mirroring_the_pair_mirrors_the_image(name: str) -> None:
    ir, vi = scene(65, 33)  # one more than a multiple of 16: the pyramid's grid is its own mirror image
    mirrored = fuse(name, ir[:, ::-1], vi[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(mirrored, fuse(name, ir, vi), atol=5e-6)  # other order of summation


@each_method
def test_a_warm_target_on_a_dark_ground_stays_warm(name: str) -> None:
    rows, columns = np.mgrid[:96, :96]
    distance = np.hypot(rows - 48, columns - 48)
    ir = np.where(distance < 8, 0.9, 0.1).astype(np.float32)
    vi = 0.3 + 0.02 * scene(96, 96)[1]
    fused = fuse(name, ir, vi)
    contrast = fused[distance < 6].mean() - fused[(distance > 11) & (distance < 20)].mean()
    least = 0.39 if name == "average" else 0.48  # half, and three fifths, of the 0.8 in the infrared
    assert contrast > least


@each_method
def test_visible_texture_under_a_flat_infrared_is_kept(name: str) -> None:
    vi = scene(96, 96)[1]
    fused = fuse(name, np.full_like(vi, 0.1), vi)
    slopes = [np.concatenate([d.ravel() for d in np.gradient(x)]) for x in (fused, vi)]
    assert np.corrcoef(slopes[0], slopes[1])[0, 1] > 0.95


@each_bounded_method
@pytest.mark.parametrize("which", [0, 1])
def test_a_change_acts_no_farther_than_the_reach(name: str, which: int) -> None:
    reach = CLASSICAL[name][0].reach
    assert reach is not None
    side = 2 * reach + 61
    pair = scene(side, side, seed=3)
    before = fuse(name, *pair)
    center = slice(side // 2 - 2, side // 2 + 3)
    pair[which][center, center] = [[0, 1, 0, 1, 0]] * 5
    difference = np.abs(fuse(name, *pair) - before)
    rows, columns = np.nonzero(difference > 1e-6)  # less is the rounding of running sums
    farthest = max(np.abs(rows - side // 2).max(), np.abs(columns - side // 2).max()) - 2
    assert farthest <= reach
    assert farthest >= reach / 3  # and the reach is not far overstated


@each_bounded_method
def test_a_tile_on_the_grid_gives_the_same_inside_its_overlap(name: str) -> None:
    info = CLASSICAL[name][0]
    assert info.reach is not None
    side = 2 * info.reach + 60
    ir, vi = scene(side + 5 * info.align, side + 3 * info.align, seed=5)
    whole = fuse(name, ir, vi)
    inner = slice(info.reach, -info.reach or None)
    for down, right in ((0, info.align), (info.align, 0), (5 * info.align, 3 * info.align)):
        tile = np.s_[down : down + side, right : right + side]
        fused = fuse(name, ir[tile], vi[tile])
        # rounding of running sums that start elsewhere
        np.testing.assert_allclose(fused[inner, inner], whole[tile][inner, inner], atol=1e-5)


def test_visual_saliency_has_no_reach_because_far_pixels_matter() -> None:
    assert CLASSICAL["visual-saliency"][0].reach is None
    ir, vi = scene(40, 200)
    before = fuse("visual-saliency", ir, vi)
    ir[:, 150:] = 1
    assert np.abs(fuse("visual-saliency", ir, vi) - before)[:, :40].max() > 1e-3


@each_method
def test_images_of_different_shape_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=r"\(4, 5\).*\(5, 4\)"):
        fuse(name, np.zeros((4, 5), np.float32), np.zeros((5, 4), np.float32))
    with pytest.raises(ShapeError, match=r"\(4, 5, 3\)"):
        fuse(name, np.zeros((4, 5, 3), np.float32), np.zeros((4, 5, 3), np.float32))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("laplacian", {"levels": 5}, r"levels: found 5, expected 1\.\.4"),
        ("wavelet", {"levels": 0}, r"levels: found 0, expected 1\.\.4"),
        ("guided-filter", {"base_radius": 46}, r"base_radius: found 46, expected 1\.\.45"),
        ("guided-filter", {"detail_radius": 0}, "detail_radius: found 0"),
        ("guided-filter", {"detail_eps": 0.0}, "detail_eps: found 0.0"),
        ("guided-filter", {"base_eps": float("nan")}, "base_eps: found nan"),
        ("visual-saliency", {"eps": 0.0}, "eps: found 0.0"),
    ],
)
def test_an_option_out_of_range_is_refused(name: str, options: dict[str, float], message: str) -> None:
    ir, vi = scene(8, 8)
    with pytest.raises(UsageError, match=message):
        CLASSICAL[name][1](ir, vi, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("laplacian", {"levels": 1}),
        ("wavelet", {"levels": 2}),
        ("guided-filter", {"base_radius": 5, "base_eps": 0.01, "detail_radius": 2, "detail_eps": 1e-4}),
        ("visual-saliency", {"eps": 0.01}),
    ],
)
def test_an_option_changes_the_image(name: str, options: dict[str, Any]) -> None:
    ir, vi = scene(48, 48)
    changed = create_method(name, method_options=options).fuse(ir, vi)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert np.abs(changed - fuse(name, ir, vi)).max() > 1e-3


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "contrast", "tolerance"),
    [
        ("average", 34.578, 0.005),  # the stored row was computed in 8 bit
        ("maximum", 43.581, 1e-4),
        ("laplacian", 42.127, 0.03),  # the row's pyramid has another depth and rule
        ("guided-filter", 51.438, 0.005),  # the row's borders differ
    ],
)
def test_contrast_on_road_scenes_is_that_of_the_baselines(
    name: str, contrast: float, tolerance: float
) -> None:
    folder = SHARED / "data" / "roadscene" / "val"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}")
    found = []
    for path in sorted((folder / "ir").iterdir()):
        ir = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32)
        bgr = np.asarray(cv2.imread(str(folder / "vi" / path.name)))
        vi = np.rint(bgr @ np.array([0.114, 0.587, 0.299])).astype(np.float32)
        found.append(np.std(np.rint(255 * fuse(name, ir / np.float32(255), vi / np.float32(255)))))
    assert np.mean(found) == pytest.approx(contrast, rel=tolerance)
