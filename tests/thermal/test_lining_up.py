"""Thermal image and photo of one file on one grid: by the camera's parameters, then by the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.fusion.read import read_pair
from ivfuse.image.read import Visible
from ivfuse.synthetic.street import Scene, street_scene
from ivfuse.thermal.read import Thermal, ThermalOptions


def read_both(path: Path, options: ThermalOptions) -> tuple[Thermal, Visible]:
    """Both images of one file on one grid."""
    pair = read_pair(path, None, options)
    assert pair.aligned
    return pair.thermal, pair.visible


@pytest.fixture(scope="module")
def street() -> Scene:
    return street_scene(480, 640, seed=3, time="day")


@pytest.fixture(scope="module")
def camera(flir: Any, street: Scene) -> Any:
    """A camera whose thermal sees the middle half of the photo, but 10 and 6 pixels beside where it says."""
    part = street.ir[120 + 6 : 360 + 6, 160 + 10 : 480 + 10]
    counts = np.rint(flir.counts_of(5 + 30 * cv2.resize(part, (160, 120), interpolation=cv2.INTER_AREA)))
    photo = np.rint(street.vi * 255).astype(np.uint8)
    return flir.Flir(counts.astype(np.uint16), payload="png", photo=photo, alignment=(2.0, 0, 0))


def test_one_file_gives_both_on_one_grid_with_temperatures(camera: Any, tmp_path: Path) -> None:
    path = camera.write(tmp_path / "f.jpg")
    thermal, visible = read_both(path, ThermalOptions(parallax=False))
    assert visible.pixels.shape == (240, 320, 3)
    assert thermal.pixels.shape == (240, 320)
    assert thermal.celsius is not None
    assert thermal.celsius.shape == (240, 320)
    assert "resampled from 160x120 onto the photo's 320x240" in thermal.notes


def test_temperatures_lie_where_they_belong_after_the_shift(
    camera: Any, street: Scene, tmp_path: Path
) -> None:
    thermal, visible = read_both(camera.write(tmp_path / "f.jpg"), ThermalOptions())
    (note,) = [note for note in thermal.notes if note.startswith("shifted by ")]
    moved = [int(word.strip(",")) for word in note.split()[2:4]]
    assert moved == pytest.approx([10, 6], abs=3)
    # the photo is cut from the street pixel by pixel, so that it says where the grid lies
    height, width = visible.pixels.shape[:2]
    left, top = 160 + moved[0], 120 + moved[1]
    assert np.abs(street.vi[top : top + height, left : left + width] - visible.pixels).mean() < 0.06
    assert thermal.celsius is not None
    truth = 5 + 30 * street.ir[top : top + height, left : left + width]
    aside = 5 + 30 * street.ir[top : top + height, left - 10 : left - 10 + width]
    assert np.abs(thermal.celsius - truth).mean() < 0.7 * np.abs(thermal.celsius - aside).mean()


def test_a_turned_file_is_turned_upright(camera: Any, tmp_path: Path) -> None:
    options = ThermalOptions(parallax=False)
    upright, photo = read_both(camera.write(tmp_path / "f.jpg"), options)
    turned, turned_photo = read_both(camera.with_(orientation=6).write(tmp_path / "t.jpg"), options)
    assert np.array_equal(turned.pixels, np.rot90(upright.pixels, -1))
    assert np.array_equal(turned_photo.pixels, np.rot90(photo.pixels, -1))
