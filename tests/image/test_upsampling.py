"""A result that was computed small gets the size, the detail and the edges of its source."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ivfuse.errors import ShapeError
from ivfuse.image import upsampling
from ivfuse.image.upsampling import apply_gains, fit_gains

STEP = 4


def sources(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A visible with fine stripes and a step at column 42, inside a block of 4 pixels; a smooth thermal."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    vi = 0.3 + 0.4 * (columns >= 42) + 0.05 * ((columns + rows) % 2)
    ir = 0.5 + 0.3 * np.sin(columns / 30) * np.cos(rows / 20)
    return vi.astype(np.float32), ir.astype(np.float32)


def shrunk(image: np.ndarray) -> np.ndarray:
    size = (-(-image.shape[1] // STEP), -(-image.shape[0] // STEP))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 90), (1, 50), (50, 1)])
def test_a_source_that_was_kept_comes_back_in_full_size(height: int, width: int) -> None:
    vi, ir = sources(height, width)
    gains = fit_gains(shrunk(vi), shrunk(vi), shrunk(ir))
    out = apply_gains(gains, (vi, ir), np.empty_like(vi))
    np.testing.assert_allclose(out, vi, atol=1e-5)  # rounding of float32


def test_a_mixture_has_the_detail_and_the_edge_of_the_visible_at_its_place() -> None:
    vi, ir = sources(128, 192)
    expected = 0.2 + 0.5 * vi + 0.3 * ir
    gains = fit_gains(shrunk(expected), shrunk(vi), shrunk(ir))
    out = apply_gains(gains, (vi, ir), np.empty_like(vi))
    # The stripes vanish in the small images, where the gain of a flat area is therefore that of no change.
    smooth = [cv2.blur(image, (2, 2))[8:-8, 8:-8] for image in (out, expected)]
    np.testing.assert_allclose(*smooth, atol=0.02)
    enlarged = cv2.resize(shrunk(expected), (192, 128), interpolation=cv2.INTER_LINEAR)
    edge = np.s_[:, 38:46]
    assert np.abs(out - expected)[edge].mean() < 0.5 * np.abs(enlarged - expected)[edge].mean()


def test_what_a_linear_function_cannot_explain_does_not_cost_contrast() -> None:
    """Checks of two phases, of which the result takes the larger: half of its detail is of either source."""
    rows, columns = np.indices((128, 192)) // STEP
    vi = (0.5 + 0.1 * ((columns + rows) % 2)).astype(np.float32)
    ir = (0.5 + 0.1 * (columns % 2)).astype(np.float32)
    expected = np.maximum(vi, ir)
    gains = fit_gains(shrunk(expected), shrunk(vi), shrunk(ir))
    out = apply_gains(gains, (vi, ir), np.empty_like(vi))[16:-16, 16:-16]
    assert out.std() == pytest.approx(expected[16:-16, 16:-16].std(), rel=0.02)


def test_the_thermal_may_be_coarser_than_the_visible() -> None:
    vi, ir = sources(128, 192)
    gains = fit_gains(shrunk(0.5 * vi + 0.3 * ir), shrunk(vi), shrunk(ir))
    whole = apply_gains(gains, (vi, ir), np.empty_like(vi))
    coarse = cv2.resize(ir, (96, 64), interpolation=cv2.INTER_AREA)
    out = apply_gains(gains.with_last(coarse), (vi,), np.empty_like(vi))
    np.testing.assert_allclose(out, whole, atol=0.01)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_strips_of_rows_join_without_a_seam(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    vi, ir = sources(131, 190)
    gains = fit_gains(shrunk(0.5 * vi + 0.3 * ir), shrunk(vi), shrunk(ir)).for_levels(0, 255)
    guides = 255 * vi, ir
    whole = apply_gains(gains, guides, np.empty(vi.shape, kind)).astype(np.float32)
    monkeypatch.setattr(upsampling, "_WHOLE_PIXELS", 0)
    monkeypatch.setattr(upsampling, "_STRIP_PIXELS", 190 * 10)
    strips = apply_gains(gains, guides, np.empty(vi.shape, kind))
    np.testing.assert_allclose(strips, whole, atol=1 if kind == np.uint8 else 1e-3)


def test_levels_are_rounded_and_saturated() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(3 * vi - 1.1), shrunk(vi), shrunk(ir)).for_levels(0, 255)
    levels = np.rint(255 * vi).astype(np.uint8)
    exact = apply_gains(gains, (levels, ir), np.empty(levels.shape, np.float32))
    rounded = apply_gains(gains, (levels, ir), np.empty_like(levels))
    assert exact.min() < 0
    assert exact.max() > 255
    np.testing.assert_array_equal(rounded, np.clip(np.rint(exact), 0, 255))


def test_gains_hold_in_limited_range_as_in_full() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(0.5 * vi + 0.2 * ir), shrunk(vi), shrunk(ir))
    exact = apply_gains(gains, (vi, ir), np.empty_like(vi))
    limited = apply_gains(gains.for_levels(16, 219), (16 + 219 * vi, ir), np.empty_like(vi))
    np.testing.assert_allclose(limited, 16 + 219 * exact, atol=1e-3)


def test_guides_of_another_size_are_refused() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(vi), shrunk(vi), shrunk(ir))
    with pytest.raises(ShapeError, match="expected 2"):
        apply_gains(gains, (vi[:-1], ir), np.empty_like(vi))
