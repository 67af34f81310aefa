"""A result that was computed small gets the size, the detail and the edges of its source."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ivfuse.errors import ShapeError
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


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 90), (1, 50), (50, 1)])
def test_a_source_that_was_kept_comes_back_in_full_size(height: int, width: int, both: bool) -> None:
    vi, ir = sources(height, width)
    gains = fit_gains(shrunk(vi), shrunk(vi), shrunk(ir), both=both)
    out = apply_gains(gains, (vi, ir) if both else (vi,), np.empty_like(vi))
    np.testing.assert_allclose(out, vi, atol=1e-5)  # rounding of float32


@pytest.mark.parametrize("both", [True, False])
def test_a_mixture_has_the_detail_and_the_edge_of_the_visible_at_its_place(both: bool) -> None:
    vi, ir = sources(128, 192)
    expected = 0.2 + 0.5 * vi + 0.3 * ir
    gains = fit_gains(shrunk(expected), shrunk(vi), shrunk(ir), both=both)
    out = apply_gains(gains, (vi, ir) if both else (vi,), np.empty_like(vi))
    # The stripes vanish in the small images, where the gain of a flat area is therefore that of no change.
    smooth = [cv2.blur(image, (2, 2))[8:-8, 8:-8] for image in (out, expected)]
    np.testing.assert_allclose(*smooth, atol=0.02)
    enlarged = cv2.resize(shrunk(expected), (192, 128), interpolation=cv2.INTER_LINEAR)
    edge = np.s_[:, 38:46]
    assert np.abs(out - expected)[edge].mean() < 0.5 * np.abs(enlarged - expected)[edge].mean()


def test_levels_are_rounded_and_saturated() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(3 * vi - 1.1), shrunk(vi), shrunk(ir), both=False)
    levels = np.rint(255 * vi).astype(np.uint8)
    exact = apply_gains(gains.rescaled(0, 255), (levels,), np.empty(levels.shape, np.float32))
    rounded = apply_gains(gains.rescaled(0, 255), (levels,), np.empty_like(levels))
    assert exact.min() < 0
    assert exact.max() > 255
    np.testing.assert_array_equal(rounded, np.clip(np.rint(exact), 0, 255))


def test_gains_hold_in_limited_range_as_in_full() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(0.5 * vi + 0.2), shrunk(vi), shrunk(ir), both=False)
    exact = apply_gains(gains, (vi,), np.empty_like(vi))
    limited = apply_gains(gains.rescaled(16, 219), (16 + 219 * vi,), np.empty_like(vi))
    np.testing.assert_allclose(limited, 16 + 219 * exact, atol=1e-3)


def test_guides_of_another_size_are_refused() -> None:
    vi, ir = sources(32, 48)
    gains = fit_gains(shrunk(vi), shrunk(vi), shrunk(ir), both=False)
    with pytest.raises(ShapeError, match="expected 1"):
        apply_gains(gains, (vi[:-1],), np.empty_like(vi))
