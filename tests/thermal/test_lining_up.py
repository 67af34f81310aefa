"""Thermal image and photo of one file on one grid: by the camera's parameters, then by the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.fusion.pipeline import read_pair
from ivfuse.image.color import luma
from ivfuse.image.read import Visible
from ivfuse.registration.camera import Box, cut, onto, overlap, without_frame
from ivfuse.registration.parallax import find_shift
from ivfuse.synthetic.street import Scene, street_scene
from ivfuse.thermal.formats.base import PhotoGeometry
from ivfuse.thermal.read import Thermal, ThermalOptions

Texture = Callable[..., np.ndarray]


def read_both(path: Path, options: ThermalOptions) -> tuple[Thermal, Visible]:
    """Both images of one file on one grid."""
    pair = read_pair(path, None, options)
    assert pair.aligned
    return pair.thermal, pair.visible


def dots(height: int, width: int, *at: tuple[int, int]) -> np.ndarray:
    """Black with white dots of 5x5 pixels at rows and columns."""
    image = np.zeros((height, width), np.float32)
    for row, column in at:
        image[row - 2 : row + 3, column - 2 : column + 3] = 1
    return image


def center(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (
        float((rows * image).sum() / image.sum()),
        float((columns * image).sum() / image.sum()),
    )


@pytest.mark.parametrize("zoom", [1.0, 1.6])
@pytest.mark.parametrize(("ratio", "x", "y"), [(2.0, 0, 0), (2.5, 12, -20), (3.2, -40, 30)])
def test_a_thing_lies_at_one_place_in_both(ratio: float, x: int, y: int, zoom: float) -> None:
    # The photo is 400x300; the thermal image sees 400 * zoom / ratio of it with 100 pixels.
    step = 400 * zoom / ratio / 100
    row, column = 150 + y + 10, 200 + x - 14  # of a thing in the photo
    photo = np.rint(dots(300, 400, (row, column)) * 255).astype(np.uint8)
    thermal = np.zeros((75, 100), np.float32)
    at_row, at_column = (row + 0.5 - 150 - y) / step + 37, (column + 0.5 - 200 - x) / step + 49.5
    rows, columns = np.mgrid[:75, :100]
    thermal += np.exp(-((rows - at_row) ** 2 + (columns - at_column) ** 2) / 4).astype(np.float32)
    photo[:, 0] = photo[:, -1] = photo[0] = photo[-1] = 40  # no black frame
    grid = overlap(photo, (75, 100), PhotoGeometry(ratio, x, y), zoom)
    seen = cut(photo, grid)
    seen[seen < 0.5] = 0
    found = center(onto(thermal, grid, smooth=True))
    assert found == pytest.approx(center(seen), abs=0.3)
    assert seen.shape == (grid.height, grid.width)


def test_the_grid_is_the_photos_own_or_as_fine_as_the_thermal() -> None:
    photo = np.full((300, 400), 90, np.uint8)
    fine = overlap(photo, (75, 100), PhotoGeometry(2.0, 0, 0))
    assert (fine.height, fine.width) == (150, 200)
    assert np.array_equal(cut(photo, fine), photo[75:225, 100:300].astype(np.float32) / 255)
    coarse = overlap(photo, (600, 800), PhotoGeometry(2.0, 0, 0))
    assert (coarse.height, coarse.width) == (600, 800)


def test_what_the_thermal_sees_beyond_the_photo_is_left_out() -> None:
    photo = np.full((300, 400), 90, np.uint8)
    grid = overlap(photo, (75, 100), PhotoGeometry(0.8, 50, 0))
    assert grid.box == Box(0, 0, 400, 300)


def test_a_black_frame_is_cut_off_but_a_dark_photo_is_kept() -> None:
    photo = np.zeros((100, 120, 3), np.uint8)
    photo[10:90, 15:100] = 80
    assert without_frame(photo) == Box(15, 10, 100, 90)
    night = np.zeros((100, 120, 3), np.uint8)
    night[40:45, 60:65] = 200
    assert without_frame(night) == Box(0, 0, 120, 100)
    assert without_frame(np.zeros((4, 5), np.uint8)) == Box(0, 0, 5, 4)


@pytest.fixture(scope="module")
def street() -> Scene:
    return street_scene(480, 640, seed=3, time="day")


@pytest.mark.parametrize("shift", [(18, -12), (-24, 20), (0, 0)])
def test_the_shift_that_is_left_over_is_found(street: Scene, shift: tuple[int, int]) -> None:
    (x, y), edge = shift, 40
    thermal = street.ir[edge - y : 480 - edge - y, edge - x : 640 - edge - x]  # too far right and too low
    found = find_shift(thermal, luma(street.vi)[edge:-edge, edge:-edge])
    assert found is not None
    assert (found.x, found.y) == pytest.approx((-x, -y), abs=4)  # two pixels of the smallest size


def test_no_shift_is_made_up(texture: Texture) -> None:
    assert find_shift(texture(200, 260, seed=1), texture(200, 260, seed=9)) is None
    assert find_shift(np.full((100, 100), 20.0, np.float32), texture(100, 100)) is None
    assert find_shift(texture(16, 20), texture(16, 20)) is None


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
