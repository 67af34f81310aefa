"""Photo and thermal image of one camera: the common grid by its geometry, and the residual parallax."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ivfuse.image.color import luma
from ivfuse.image.headers import BadFileError
from ivfuse.registration import camera
from ivfuse.registration.camera import (
    CameraGeometry,
    common_grid,
    crop_photo,
    estimate_parallax,
    trim_black_frame,
    warp_thermal,
)
from ivfuse.registration.geometry import Region
from ivfuse.synthetic.street import Scene, street_scene

Texture = Callable[..., np.ndarray]


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
    grid = common_grid(photo, (75, 100), CameraGeometry(ratio, x, y, zoom))
    seen = crop_photo(photo, grid)
    seen[seen < 0.5] = 0
    found = center(warp_thermal(thermal, grid, smooth=True))
    assert found == pytest.approx(center(seen), abs=0.3)
    assert seen.shape == (grid.height, grid.width)


def test_the_grid_is_the_photos_own_or_as_fine_as_the_thermal() -> None:
    photo = np.full((300, 400), 90, np.uint8)
    fine = common_grid(photo, (75, 100), CameraGeometry(2.0, 0, 0))
    assert (fine.height, fine.width) == (150, 200)
    assert np.array_equal(crop_photo(photo, fine), photo[75:225, 100:300].astype(np.float32) / 255)
    coarse = common_grid(photo, (600, 800), CameraGeometry(2.0, 0, 0))
    assert (coarse.height, coarse.width) == (600, 800)


def test_what_the_thermal_sees_beyond_the_photo_is_left_out() -> None:
    photo = np.full((300, 400), 90, np.uint8)
    grid = common_grid(photo, (75, 100), CameraGeometry(0.8, 50, 0))
    assert grid.region == Region(0, 0, 400, 300)


def test_a_black_frame_is_cut_off_but_a_dark_photo_is_kept() -> None:
    photo = np.zeros((100, 120, 3), np.uint8)
    photo[10:90, 15:100] = 80
    assert trim_black_frame(photo) == Region(15, 10, 100, 90)
    night = np.zeros((100, 120, 3), np.uint8)
    night[40:45, 60:65] = 200
    assert trim_black_frame(night) == Region(0, 0, 120, 100)
    assert trim_black_frame(np.zeros((4, 5), np.uint8)) == Region(0, 0, 5, 4)


@pytest.fixture(scope="module")
def street() -> Scene:
    return street_scene(480, 640, seed=3, time="day")


@pytest.mark.parametrize("shift", [(18, -12), (-24, 20), (0, 0)])
def test_the_shift_that_is_left_over_is_found(street: Scene, shift: tuple[int, int]) -> None:
    (x, y), edge = shift, 40
    thermal = street.ir[edge - y : 480 - edge - y, edge - x : 640 - edge - x]  # too far right and too low
    found = estimate_parallax(thermal, luma(street.vi)[edge:-edge, edge:-edge])
    assert found is not None
    assert (found.x, found.y) == pytest.approx((-x, -y), abs=4)  # two pixels of the smallest size


def test_no_shift_is_made_up(texture: Texture) -> None:
    assert estimate_parallax(texture(200, 260, seed=1), texture(200, 260, seed=9)) is None
    assert estimate_parallax(np.full((100, 100), 20.0, np.float32), texture(100, 100)) is None
    assert estimate_parallax(texture(16, 20), texture(16, 20)) is None


@pytest.mark.parametrize(("level", "cropped"), [(24, True), (25, False)])
def test_a_frame_is_darker_than_its_jpeg_ringing(level: int, cropped: bool) -> None:
    photo = np.full((100, 120), 80, np.uint8)
    photo[:, :10] = level
    photo[50, 0] = 0
    photo[:, 0] = np.minimum(photo[:, 0], 2)  # nothing brighter than 2 at the very edge
    assert (trim_black_frame(photo).left == 10) == cropped


@pytest.mark.parametrize(("brightest", "cropped"), [(2, True), (3, False)])
def test_a_photo_with_light_on_all_edges_has_no_frame(brightest: int, cropped: bool) -> None:
    photo = np.zeros((100, 120), np.uint8)
    photo[10:90, 15:100] = 80
    photo[0, 5] = photo[-1, 5] = photo[5, 0] = photo[5, -1] = brightest
    assert (trim_black_frame(photo) != Region(0, 0, 120, 100)) == cropped


@pytest.mark.parametrize(("columns", "cropped"), [(24, False), (26, True)])
def test_a_photo_keeps_a_quarter_of_its_area_at_least(columns: int, cropped: bool) -> None:
    photo = np.zeros((50, 100), np.uint8)
    photo[:, 40 : 40 + columns] = 80
    assert (trim_black_frame(photo) != Region(0, 0, 100, 50)) == cropped


@pytest.mark.parametrize(("beside", "refused"), [(94, False), (96, True)])
def test_five_percent_of_the_thermal_field_must_lie_on_the_photo(beside: int, refused: bool) -> None:
    photo = np.full((300, 400), 90, np.uint8)
    # The field has 100 photo pixels, of which some lie beyond the right border.
    geometry = CameraGeometry(4.0, offset_x=200 - 50 + beside)
    if refused:
        with pytest.raises(BadFileError, match="do not overlap"):
            common_grid(photo, (75, 100), geometry)
    else:
        assert common_grid(photo, (75, 100), geometry).width == 100 - beside


def test_an_unknown_geometry_means_equal_fields() -> None:
    photo = np.full((300, 400), 90, np.uint8)
    grid = common_grid(photo, (75, 100), None)
    assert grid.region == Region(0, 0, 400, 300)
    assert "states no geometry" in grid.notes[0]


@pytest.mark.parametrize(("shift", "found"), [(34, True), (50, False)])
def test_parallax_is_searched_up_to_seven_percent_of_the_width(
    street: Scene, shift: int, found: bool
) -> None:
    edge = 60
    thermal = street.ir[edge:-edge, edge - shift : 640 - edge - shift]
    parallax = estimate_parallax(thermal, luma(street.vi)[edge:-edge, edge:-edge])
    assert (parallax is not None and abs(parallax.x + shift) < 4) == found


@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="recorded with OpenCV 5")
@pytest.mark.parametrize(("shift", "score"), [((18, -12), 0.2443), ((-24, 20), 0.2510)])
def test_the_score_of_the_edges_is_as_recorded(street: Scene, shift: tuple[int, int], score: float) -> None:
    (x, y), edge = shift, 40
    thermal = street.ir[edge - y : 480 - edge - y, edge - x : 640 - edge - x]
    found = estimate_parallax(thermal, luma(street.vi)[edge:-edge, edge:-edge])
    assert found is not None
    assert found.score == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize(
    ("apart", "score", "elsewhere", "found"),
    [
        (0.009, 0.21, 0.19, True),
        (0.011, 0.21, 0.19, False),  # resolutions disagree by more than 1 % of the width
        (0.009, 0.19, 0.17, False),  # the edges match too little
        (0.009, 0.21, 0.2049, False),  # another shift scores nearly as high: by less than 5 %
    ],
)
def test_parallax_is_taken_only_if_it_is_clear(
    texture: Texture,
    monkeypatch: pytest.MonkeyPatch,
    apart: float,
    score: float,
    elsewhere: float,
    found: bool,
) -> None:
    def peak(width: int, thermal: np.ndarray, photo: np.ndarray) -> tuple[float, float, float, float]:
        return (5.0 + 300 * apart if width == 160 else 5.0), -3.0, score, elsewhere

    monkeypatch.setattr(camera, "_find_peak", peak)
    parallax = estimate_parallax(texture(200, 300), texture(200, 300))
    assert (parallax is not None) == found
    if parallax is not None:
        assert (parallax.x, parallax.y) == (5.0, -3.0)


@pytest.mark.parametrize(("distance", "found"), [(4, True), (5, False)])
def test_a_second_peak_within_four_pixels_belongs_to_the_first(
    texture: Texture, monkeypatch: pytest.MonkeyPatch, distance: int, found: bool
) -> None:
    def surface(thermal: np.ndarray, photo: np.ndarray, reach: int) -> np.ndarray:
        scores = np.full((2 * reach + 1, 2 * reach + 1), 0.1)
        scores[reach, reach], scores[reach, reach + distance] = 0.5, 0.49
        return scores

    monkeypatch.setattr(camera, "_edge_correlation", surface)
    assert (estimate_parallax(texture(200, 300), texture(200, 300)) is not None) == found
