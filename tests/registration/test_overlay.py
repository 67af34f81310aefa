"""The picture for checking a registration by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ivfuse.registration.overlay import STYLES, overlay
from ivfuse.registration.transform import Registration

RIG = Registration(((1, 0, 40), (0, 1, 30), (0, 0, 1)), (100, 80), (240, 180))


def square() -> np.ndarray:
    """A warm square at columns and rows 30 to 60 of a cold thermal."""
    thermal = np.zeros((80, 100), np.float32)
    thermal[30:60, 30:60] = 1
    return thermal


@pytest.mark.parametrize("style", STYLES)
def test_the_thermals_border_is_drawn_where_the_registration_maps_it(style: Any) -> None:
    image = overlay(square(), np.full((180, 240), 0.5, np.float32), RIG, style)
    blue = image[..., 2] - image[..., 0] > 0.4
    rows, columns = np.nonzero(blue)
    assert (rows.min(), rows.max()) == pytest.approx((30, 110), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((40, 140), abs=1)


def test_thermal_edges_are_orange_over_the_visible() -> None:
    image = overlay(square(), np.full((180, 240), 0.5, np.float32), RIG)
    orange = image[..., 0] - image[..., 2] > 0.5
    rows, columns = np.nonzero(orange)
    assert (rows.min(), rows.max()) == pytest.approx((60, 90), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((70, 100), abs=3)
    assert not orange[68:82, 78:92].any()  # the inside of the square has no edge


def test_a_checkerboard_shows_both_in_tiles() -> None:
    thermal = np.tile(np.linspace(0, 1, 240, dtype=np.float32), (180, 1))
    whole = Registration(((1, 0, 0), (0, 1, 0), (0, 0, 1)), (240, 180), (240, 180))
    image = overlay(thermal, np.full((180, 240), 0.5, np.float32), whole, "checkerboard")
    tinted = image[..., 0] - image[..., 2] > 0.01
    assert tinted[30, 98] != tinted[30, 102]  # tiles of 240 / 12 pixels
    assert tinted[30, 98] == tinted[50, 102]
    assert tinted[5:175, 60:235].mean() == pytest.approx(0.5, abs=0.05)


def test_large_overlays_are_reduced_to_1600_pixels() -> None:
    rig = Registration(((8, 0, 0), (0, 8, 0), (0, 0, 1)), (250, 100), (2000, 800))
    rng = np.random.default_rng(0)
    image = overlay(rng.random((100, 250), dtype=np.float32), rng.random((800, 2000), dtype=np.float32), rig)
    assert image.shape == (640, 1600, 3)
    assert image.min() >= 0
    assert image.max() <= 1


def test_the_visible_is_stretched_and_brightened_a_little() -> None:
    ramp = np.tile(np.linspace(0.2, 0.6, 240, dtype=np.float32), (180, 1))
    image = overlay(square(), ramp, RIG)
    assert image[160, 120] == pytest.approx([0.5**0.8] * 3, abs=0.01)  # the middle of its range


def test_edges_within_three_pixels_of_the_thermals_border_are_not_drawn() -> None:
    thermal = np.zeros((80, 100), np.float32)
    thermal[:, :2] = 1
    thermal[40:60, 40:60] = 1
    image = overlay(thermal, np.full((180, 240), 0.5, np.float32), RIG)
    orange = image[..., 0] - image[..., 2] > 0.5
    assert orange[60:100, 75:105].any()
    assert not orange[40:100, 41:43].any()


def test_the_strongest_edges_are_opaque_and_weak_ones_are_not() -> None:
    thermal = np.tile(np.linspace(0, 0.5, 100, dtype=np.float32), (80, 1))
    thermal[30:60, 30:60] += 0.5
    image = overlay(thermal, np.full((180, 240), 0.5, np.float32), RIG)
    red = image[..., 0]
    assert red[62:88, 69:72].max() > 0.9
    assert red[40, 100] < 0.3  # the ramp
