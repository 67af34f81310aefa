"""The classical methods and their filters against plain, slow versions of the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ivfuse.fusion.classical.baseline import average, maximum
from ivfuse.fusion.classical.filters import global_contrast, guided_smooth, window_mean
from ivfuse.fusion.classical.filters import guided_filter as guided
from ivfuse.fusion.classical.guided import guided_filter
from ivfuse.fusion.classical.pyramid import laplacian
from ivfuse.fusion.classical.saliency import two_scale, visual_saliency
from ivfuse.fusion.classical.transforms import collapse, laplacian_pyramid, wavelet_merge, wavelet_split
from ivfuse.fusion.classical.wavelet import wavelet

Array = NDArray[np.float64]
SIZES = [(1, 1), (1, 9), (2, 3), (7, 4), (17, 33), (64, 48), (31, 1)]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def pair(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two images with flat, rough and smooth parts, in steps of 8 bits."""
    ir, vi = noise(height, width, 1), noise(height, width, 2)
    ir[: height // 2] = ir[: height // 2] * 0.1 + np.linspace(0, 0.8, width)
    vi[:, : width // 2] = 0.4
    return tuple(np.rint(x * 255).astype(np.float32) / 255 for x in (ir, vi))  # type: ignore[return-value]


def windows(x: NDArray[np.floating], radius: int, mode: str) -> Array:
    """All windows around each pixel, (H, W, side, side)."""
    padded = np.pad(x.astype(np.float64), radius, mode=mode)  # type: ignore[call-overload]
    return sliding_window_view(padded, (2 * radius + 1, 2 * radius + 1))


def slow_guided(p: NDArray[np.floating], guide: NDArray[np.floating], radius: int, eps: float) -> Array:
    """Eqs. 5, 6 and 8 of He, Sun & Tang: a line per window, then the mean of the lines at a pixel."""
    height, width = p.shape
    a, b, q = (np.zeros((height, width)) for _ in range(3))
    p, guide = p.astype(np.float64), guide.astype(np.float64)

    def around(i: int, j: int) -> tuple[slice, slice]:
        return np.s_[max(i - radius, 0) : i + radius + 1, max(j - radius, 0) : j + radius + 1]

    for i, j in np.ndindex(height, width):
        here, there = guide[around(i, j)], p[around(i, j)]
        a[i, j] = ((here - here.mean()) * (there - there.mean())).mean() / (here.var() + eps)
        b[i, j] = there.mean() - a[i, j] * here.mean()
    for i, j in np.ndindex(height, width):
        q[i, j] = a[around(i, j)].mean() * guide[i, j] + b[around(i, j)].mean()
    return q


def test_average_and_maximum_on_values_computed_by_hand() -> None:
    ir = np.array([[0.2, 1.0, 0.0]], np.float32)
    vi = np.array([[0.6, 0.5, 0.0]], np.float32)
    np.testing.assert_allclose(average(ir, vi), [[0.4, 0.75, 0.0]], atol=1e-7)
    np.testing.assert_array_equal(maximum(ir, vi), np.array([[0.6, 1.0, 0.0]], np.float32))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [1, 4])
def test_a_pyramid_collapses_to_its_image(size: tuple[int, int], levels: int) -> None:
    image = noise(*size)
    pyramid = laplacian_pyramid(image, levels)
    assert [x.shape for x in pyramid] == [
        tuple(-(-length // 2**level) for length in size) for level in range(levels + 1)
    ]
    np.testing.assert_allclose(collapse(pyramid), image, atol=1e-6)  # float32 sums


@pytest.mark.parametrize("size", [(32, 24), (33, 25), (18, 7), (2, 3)])
def test_a_pyramid_has_the_bands_of_its_kernel(size: tuple[int, int]) -> None:
    image = noise(*size).astype(np.float64)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    base = (windows(image, 2, "reflect") * kernel).sum((2, 3))[::2, ::2]
    spread = np.zeros(size)
    spread[::2, ::2] = base
    up = (windows(spread, 2, "reflect") * kernel * 4).sum((2, 3))
    band, coarse = laplacian_pyramid(image.astype(np.float32), 1)
    np.testing.assert_allclose(coarse, base, atol=1e-6)
    np.testing.assert_allclose(band, image - up, atol=1e-6)


def test_laplacian_takes_every_band_from_the_only_image_that_has_one() -> None:
    vi = 0.25 + 0.5 * noise(48, 48)
    flat = np.full_like(vi, 0.5)
    *bands, base = laplacian_pyramid(vi, 4)
    expected = collapse([*bands, (base + np.float32(0.5)) * np.float32(0.5)])
    np.testing.assert_allclose(laplacian(flat, vi), expected, atol=1e-6)


def test_laplacian_follows_the_majority_in_a_window() -> None:
    # One strong dot of the infrared in the middle of a strongly textured visible loses the vote around it.
    vi = 0.5 + 0.2 * (-1.0) ** np.add.outer(np.arange(32), np.arange(32)).astype(np.float32)
    ir = np.full_like(vi, 0.5)
    ir[16, 16] = 0.51
    fused = laplacian(ir, vi, levels=1)
    band = laplacian_pyramid(vi, 1)[0]
    np.testing.assert_allclose(laplacian_pyramid(fused, 1)[0][12:20, 12:20], band[12:20, 12:20], atol=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_wavelets_merge_to_their_image(size: tuple[int, int]) -> None:
    image = noise(*size)
    approximation, details = image, []
    for level in range(4):
        approximation, bands = wavelet_split(approximation, level)
        details.append(bands)
    for level in reversed(range(4)):
        approximation = wavelet_merge(approximation, details[level], level)
    np.testing.assert_allclose(approximation, image, atol=2e-6)  # float32 sums over four levels


@pytest.mark.parametrize("level", [0, 1, 2])
def test_wavelets_have_the_5_3_filters_at_the_spacing_of_their_level(level: int) -> None:
    step = 2**level
    low, high = np.zeros(4 * step + 1), np.zeros(4 * step + 1)
    low[::step] = np.array([-1, 2, 6, 2, -1]) / 8
    high[::step] = np.array([0, -1, 2, -1, 0]) / 2
    image = noise(40, 36)
    around = windows(image, 2 * step, "reflect")
    approximation, details = wavelet_split(image, level)
    for found, rows, columns in (
        (approximation, low, low),
        (details[0], low, high),
        (details[1], high, low),
        (details[2], high, high),
    ):
        expected = np.einsum("hwij,i,j->hw", around, rows, columns)
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_wavelet_takes_all_details_from_the_only_image_that_has_some() -> None:
    vi = 0.25 + 0.5 * noise(48, 40)
    approximation, details = vi, []
    for level in range(4):
        approximation, bands = wavelet_split(approximation, level)
        details.append(bands)
    approximation = (approximation + np.float32(0.5)) * np.float32(0.5)
    for level in reversed(range(4)):
        approximation = wavelet_merge(approximation, details[level], level)
    np.testing.assert_allclose(wavelet(np.full_like(vi, 0.5), vi), approximation, atol=2e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (40, 30)])
def test_a_window_mean_is_the_mean_of_the_mirrored_image(size: tuple[int, int]) -> None:
    image = noise(*size)
    expected = windows(image, 5, "symmetric").mean((2, 3))
    np.testing.assert_allclose(window_mean(image, 5), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (20, 17), (150, 6)])
@pytest.mark.parametrize(("radius", "eps"), [(2, 1e-6), (3, 0.3), (45, 0.3)])
def test_the_guided_filter_is_that_of_its_equations(size: tuple[int, int], radius: int, eps: float) -> None:
    guide, plane = noise(*size, seed=3), (noise(*size, seed=4) > 0.5).astype(np.float32)
    # 150 rows are more than one strip of the small-eps version
    np.testing.assert_allclose(
        guided(plane, guide, radius, eps), slow_guided(plane, guide, radius, eps), atol=2e-6
    )


def test_guided_smoothing_is_the_guided_filter_with_itself() -> None:
    image = noise(30, 40)
    np.testing.assert_allclose(guided_smooth(image, 4, 0.04), slow_guided(image, image, 4, 0.04), atol=2e-6)


def test_guided_fusion_is_that_of_its_equations() -> None:
    ir, vi = pair(28, 36)

    def saliency(x: NDArray[np.float32]) -> Array:
        around = windows(x, 1, "edge")
        edges = np.abs((around * [[0, 1, 0], [1, -4, 1], [0, 1, 0]]).sum((2, 3)))
        bell = np.exp(-(np.arange(-5, 6) ** 2) / 50)
        bell /= bell.sum()
        return np.asarray((windows(edges, 5, "edge") * np.outer(bell, bell)).sum((2, 3)))

    base = [windows(x, 15, "symmetric").mean((2, 3)) for x in (ir, vi)]
    detail = [ir - base[0], vi - base[1]]
    first = (saliency(ir) > saliency(vi)).astype(np.float64)
    expected = 0
    for layer, radius, eps in ((base, 45, 0.3), (detail, 7, 1e-6)):
        a = slow_guided(first, ir, radius, eps).clip(0, 1)
        b = slow_guided(1 - first, vi, radius, eps).clip(0, 1)
        expected = expected + (a * layer[0] + b * layer[1]) / (a + b)
    np.testing.assert_allclose(guided_filter(ir, vi), np.clip(expected, 0, 1), atol=1e-5)


def test_two_scale_is_that_of_its_equations() -> None:
    ir, vi = pair(40, 30)
    base = [windows(x, 17, "symmetric").mean((2, 3)) for x in (ir, vi)]
    salient = [
        np.abs(b - np.median(windows(x, 1, "edge").reshape(40, 30, 9), axis=2))
        for b, x in zip(base, (ir, vi), strict=True)
    ]
    share = salient[0] / (salient[0] + salient[1])
    expected = (base[0] + base[1]) / 2 + share * (ir - base[0]) + (1 - share) * (vi - base[1])
    # the small number that keeps the share defined moves it by at most 1e-5 / the saliency
    np.testing.assert_allclose(two_scale(ir, vi), np.clip(expected, 0, 1), atol=2e-3)
    assert np.abs(two_scale(ir, vi) - np.clip(expected, 0, 1)).mean() < 2e-5


def test_global_contrast_is_the_scaled_mean_distance_to_all_pixels() -> None:
    image = np.rint(noise(12, 15) ** 2 * 255) / 255
    distance = np.abs(image[:, :, None, None] - image).mean((2, 3))
    expected = (distance - distance.min()) / np.ptp(distance)
    np.testing.assert_allclose(global_contrast(image.astype(np.float32)), expected, atol=1e-5)


def test_global_contrast_of_one_gray_value_is_zero_and_of_two_is_one_for_the_rarer() -> None:
    flat = np.full((3, 4), 0.4, np.float32)
    assert global_contrast(flat).max() < 1e-6
    found = global_contrast(np.array([[0.2, 0.2, 0.2, 0.8]], np.float32))
    np.testing.assert_allclose(found, [[0, 0, 0, 1]], atol=1e-6)


def test_global_contrast_of_faint_noise_stays_small() -> None:
    assert global_contrast(0.5 + 0.01 * noise(30, 30)).max() < 0.1


def test_global_contrast_has_no_steps_between_gray_values_of_8_bits() -> None:
    ramp = np.linspace(0, 1, 5000, dtype=np.float32)[None]
    assert np.abs(np.diff(global_contrast(ramp))).max() < 1e-3  # a step of 8 bits would be 8e-3


def test_visual_saliency_is_that_of_its_formula() -> None:
    ir, vi = (noise(26, 22, seed) ** 2 for seed in (5, 6))
    bell = np.exp(-(np.arange(-6, 7) ** 2) / 8)
    bell /= bell.sum()
    details: Array = np.zeros((26, 22))
    a, b = ir.astype(np.float64), vi.astype(np.float64)
    for radius in (2, 4, 8, 16):
        smooth_a, smooth_b = slow_guided(a, a, radius, 0.04), slow_guided(b, b, radius, 0.04)
        lead = np.abs(a - smooth_a) - np.abs(b - smooth_b)
        first = np.clip(0.5 + lead / 2e-5, 0, 1)  # nearer than 1e-5 is a tie
        share = (windows(first, 6, "edge") * np.outer(bell, bell)).sum((2, 3))
        details += share * (a - smooth_a) + (1 - share) * (b - smooth_b)
        a, b = smooth_a, smooth_b
    contrast = [global_contrast(x.astype(np.float32)) for x in (a, b)]
    weight = 0.5 + (contrast[0] - contrast[1]) / 2
    expected = np.clip(weight * a + (1 - weight) * b + details, 0, 1)
    # rounding may move a base across a border between histogram bins
    np.testing.assert_allclose(visual_saliency(ir, vi), expected, atol=2e-3)
    assert np.abs(visual_saliency(ir, vi) - expected).mean() < 1e-4


def test_visual_saliency_keeps_a_wide_warm_target_that_the_mean_of_bases_halves() -> None:
    rows, columns = np.mgrid[:160, :160]
    warm = np.hypot(rows - 80, columns - 80) < 30
    ir = np.where(warm, 0.9, 0.1).astype(np.float32)
    vi = 0.3 + 0.1 * noise(160, 160)
    kept = {f.__name__: f(ir, vi)[warm].mean() for f in (visual_saliency, laplacian)}
    assert kept["visual_saliency"] > 0.8
    assert kept["laplacian"] < 0.78
