"""Preparation of a pair: checks, downscaling, and the mask of a warped thermal's black frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ivfuse.registration.geometry import scale_matrix, transform_points
from ivfuse.registration.prepare import find_unusable, prepare, rescale

Texture = Callable[..., np.ndarray]


def test_large_images_are_reduced_to_the_area_of_900_by_900_pixels(texture: Texture) -> None:
    pair = prepare(texture(200, 250), texture(1200, 1600))
    assert pair.ir.shape == (200, 250)
    assert pair.vi.shape == (779, 1039)  # 1600 x 1200 times 900 / sqrt(1600 * 1200)


def test_a_transform_of_reduced_images_becomes_one_of_the_originals(texture: Texture) -> None:
    pair = prepare(texture(200, 250), texture(1200, 1600))
    (thermal_width, _), (visible_width, visible_height) = pair.sizes
    stretch = scale_matrix(visible_width / thermal_width, visible_height / 200)
    corner = transform_points(pair.to_original(stretch), np.array([[250.0, 200.0]]))[0]
    assert corner == pytest.approx([1600, 1200])


@pytest.mark.parametrize(
    ("shape", "deviation", "fault"),
    [
        ((48, 60), 0.2, ""),
        ((47, 60), 0.2, "60x47, expected 48 pixels"),
        ((60, 60), 0.0011, ""),
        ((60, 60), 0.0009, "is flat"),
    ],
)
def test_images_that_are_too_small_or_flat_are_named(
    texture: Texture, shape: tuple[int, int], deviation: float, fault: str
) -> None:
    image = texture(*shape)
    image = 0.5 + (image - image.mean()) * np.float32(deviation / image.std())
    found = find_unusable(image, np.asarray(texture(100, 100), np.float32))
    assert (fault in found and "thermal" in found) if fault else not found


def test_rescaling_averages_when_it_shrinks_and_leaves_at_least_8_pixels() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)
    assert rescale(checks, 0.5) == pytest.approx(0.5)
    assert rescale(checks, 0.01).shape == (8, 8)
    assert rescale(checks, 1.0) is checks
