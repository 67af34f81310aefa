"""Radiometric files give their temperatures wherever a thermal image is read, not the camera's drawing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.pairing import FileTriple
from ivfuse.metrics.folder import read_infrared, score_files
from ivfuse.thermal.inspect import describe_file, write_parts
from ivfuse.thermal.read import DEFAULT, ThermalOptions, read_thermal
from ivfuse.thermal.render import parse_render_options
from ivfuse.video.frame import Frame
from ivfuse.video.image_sequence import ImageSequenceSource


@pytest.fixture
def path(camera_file: Any, tmp_path: Path) -> Path:
    """The scene's file."""
    found: Path = camera_file.write(tmp_path / "f.jpg")
    return found


def test_a_gray_image_shows_the_temperatures(path: Path, celsius: np.ndarray) -> None:
    shown = read_thermal(path)
    assert (
        np.corrcoef(shown.pixels.ravel(), celsius.clip(*np.percentile(celsius, (1, 99))).ravel())[0, 1]
        > 0.999
    )
    fixed = read_thermal(path, ThermalOptions((10.0, 50.0)))
    assert np.abs(fixed.pixels - (celsius - 10) / 40).max() < 0.002
    assert "window 10 to 50" in fixed.notes[0]


def test_color_stays_only_where_a_plain_file_has_some(path: Path, tmp_path: Path) -> None:
    tinted = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "plain.png"), tinted)
    assert read_infrared(tmp_path / "plain.png").shape == (6, 7, 3)
    assert read_infrared(tmp_path / "plain.png", (0, 200)).shape == (6, 7)
    assert read_infrared(path).shape == (48, 64)
    with pytest.raises(InputError, match="no such file"):
        read_infrared(tmp_path / "none.jpg")


def test_scores_are_of_the_temperatures(path: Path, tmp_path: Path) -> None:
    gray = np.rint(read_thermal(path).pixels * 255).astype(np.uint8)
    copy, other = tmp_path / "copy.png", tmp_path / "other.png"
    cv2.imwrite(str(copy), gray)
    cv2.imwrite(str(other), np.random.default_rng(0).integers(0, 256, gray.shape, dtype=np.uint8))
    scores = [
        each.scores.values["CC"]
        for each in score_files([FileTriple("a", ir, other, copy) for ir in (path, copy)], ["CC"])
        if each.scores
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)  # the copy is rounded to 8 bit, the scored one too


def test_a_row_of_them_is_a_video_in_degrees(path: Path, celsius: np.ndarray) -> None:
    source = ImageSequenceSource("row", ((0, path), (1, path)), "ir", Fraction(10))
    frames = [item for item in source.items() if isinstance(item, Frame)]
    assert len(frames) == 2
    assert frames[0].planes[0].dtype == np.float32
    assert np.abs(frames[0].planes[0] - celsius).max() < 0.02


@pytest.fixture
def dead(camera_file: Any, tmp_path: Path) -> Path:
    """The scene's file with a photo, in which two pixels of the sensor count nothing."""
    counts = camera_file.counts.copy()
    counts[10, 20], counts[40, 5] = 0, 0
    photo = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    found: Path = camera_file.with_(counts=counts, photo=photo).write(tmp_path / "dead.jpg")
    return found


def test_pixels_without_a_temperature_are_nan_and_left_out_of_the_window_and_counted(
    dead: Path, path: Path
) -> None:
    whole, found = read_thermal(path), read_thermal(dead)
    assert found.celsius is not None
    assert np.argwhere(np.isnan(found.celsius)).tolist() == [[10, 20], [40, 5]]
    assert np.abs(found.pixels - whole.pixels).max() < 0.05  # the window, and the neighbors' values there
    assert "2 pixels have no temperature under the conditions" in found.notes
    assert any(note.startswith("no data in 2 pixels") for note in found.notes)


def test_statistics_and_rasters_know_no_absolute_zero(dead: Path, tmp_path: Path) -> None:
    facts = describe_file(dead, DEFAULT)
    assert facts["celsius"]["min"] > 9
    assert "2 pixels have no temperature under the conditions" in facts["notes"]
    write_parts(dead, DEFAULT, tmp_path / "t.tiff", None)
    raster = cv2.imread(str(tmp_path / "t.tiff"), cv2.IMREAD_UNCHANGED)
    assert np.argwhere(np.isnan(raster)).tolist() == [[10, 20], [40, 5]]
    again = read_thermal(tmp_path / "t.tiff", ThermalOptions(scale="1C"))
    assert again.celsius is not None
    assert np.array_equal(again.celsius, raster, equal_nan=True)


def test_a_camera_file_keeps_its_photo_where_there_is_no_temperature(dead: Path) -> None:
    fuser = Fuser("average", thermal=ThermalOptions(parallax=False), render=parse_render_options(None, "<5C"))
    pair = fuser.read(dead)
    assert pair.coverage is not None
    assert pair.thermal.celsius is not None
    assert 0 < np.isnan(pair.thermal.celsius).sum() < 40
    assert np.nanmin(pair.thermal.celsius) > 9
    assert (np.isnan(pair.thermal.celsius) == (pair.coverage == 0)).all()
    assert any("nothing was highlighted" in note for note in pair.notes)


def test_video_frames_have_the_neighbors_value_where_there_is_no_temperature(dead: Path) -> None:
    source = ImageSequenceSource("row", ((0, dead),), "ir", Fraction(10))
    (frame,) = [item for item in source.items() if isinstance(item, Frame)]
    assert frame.planes[0].min() > 9
