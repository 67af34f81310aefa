"""Drone pairs: the lenses that the files state are the start of the registration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ivfuse.fusion.field_ratio import field_ratio
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.read import read_visible
from ivfuse.registration import estimate
from ivfuse.registration.geometry import to_centers
from ivfuse.synthetic.street import street_scene
from ivfuse.thermal.read import read_thermal


def write_visible(path: Path, pixels: np.ndarray, *, focal: int | None = 24, zoom: float = 1.0) -> Path:
    exif = Image.Exif()
    exif[272] = "M3T"
    if focal is not None:
        exif.get_ifd(34665).update({41989: focal, 41988: zoom})
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


@pytest.fixture(scope="module")
def pair(dji: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """A street seen by two lenses of 40 and 24 mm, and the place of the thermal on the visible."""
    scene = street_scene(480, 640, 3, "day")
    diagonal = 24 / 40 * np.hypot(480, 640) / np.hypot(256, 320)
    matrix = np.array([[diagonal, 0, 0], [0, diagonal, 0], [0, 0, 1.0]])
    matrix[:2, 2] = np.array([332, 231]) - diagonal * np.array([160, 128])
    seen = cv2.warpPerspective(scene.ir, to_centers(np.linalg.inv(matrix)), (320, 256))
    folder = tmp_path_factory.mktemp("flight")
    counts = np.rint(18_000 + 900 * seen).astype(np.uint16)
    ir = dji.Dji(counts).write(folder / "DJI_20230405060708_0001_T.JPG")
    vi = write_visible(folder / "DJI_20230405060709_0001_V.JPG", np.rint(scene.vi * 255).astype(np.uint8))
    return ir, vi, matrix


def test_the_ratio_is_that_of_the_focal_lengths(pair: tuple[Path, Path, Any], tmp_path: Path) -> None:
    ir, vi, _ = pair
    thermal = read_thermal(ir)
    assert field_ratio(thermal, read_visible(vi)) == pytest.approx(0.6)
    pixels = np.zeros((48, 64, 3), np.uint8)
    for focal, zoom in ((None, 1.0), (24, 2.0), (200, 1.0)):
        other = write_visible(tmp_path / "v.jpg", pixels, focal=focal, zoom=zoom)
        assert field_ratio(thermal, read_visible(other)) is None
    write_visible(tmp_path / "v.jpg", pixels, zoom=0.0)  # which says that there is no zoom
    assert field_ratio(thermal, read_visible(tmp_path / "v.jpg")) == pytest.approx(0.6)
    assert field_ratio(read_thermal(vi), read_visible(vi)) is None  # not a thermal file of a known camera


def test_a_flight_is_registered_by_its_lenses_and_keeps_its_place(
    ivfuse_cli: Callable[..., Any],
    pair: tuple[Path, Path, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ir, vi, truth = pair
    searched = []
    search = estimate.coarse_search

    def spy(*arguments: Any) -> Any:
        searched.append(arguments[-1])
        return search(*arguments)

    monkeypatch.setattr(estimate, "coarse_search", spy)
    out = tmp_path / "fused"
    said = ivfuse_cli(
        "fuse", ir.parent, "-o", f"{out}/", "--register", "auto", "--method", "average", "--format", "jpg"
    )
    assert said.code == 0, said.err
    assert searched == [pytest.approx(0.6)]
    assert "paired by number" in said.err
    (written,) = out.glob("*.jpg")
    with Image.open(written) as image:
        assert image.size == (640, 480)
        place = image.getexif().get_ifd(34853)
        assert (place[1], float(place[2][0])) == ("S", 36)
        assert image.getexif().get_ifd(34665)[41989] == 24  # the visible's lens, whose field the result has
    aligned = Fuser("average", rig="auto").read(ir, vi)
    assert aligned.coverage is not None
    inside = cv2.warpPerspective(np.ones((256, 320), np.float32), to_centers(truth), (640, 480)) > 0.5
    covered = aligned.coverage > 0
    assert (inside & covered).sum() > 0.98 * (inside | covered).sum()  # within some 2 pixels


def test_stretching_over_another_field_is_noted(pair: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    ir, vi, _ = pair
    notes = "\n".join(Fuser("average").read(ir, vi).notes)
    assert "it sees 60% of the width of the visible image, over which it is stretched" in notes
    same = write_visible(tmp_path / "v.jpg", np.asarray(Image.open(vi)), focal=40)
    assert "by the focal lengths" not in "\n".join(Fuser("average").read(ir, same).notes)


def test_a_wrong_lens_costs_time_and_not_the_registration(
    dji: Any, pair: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    ir, vi, _ = pair
    right = Fuser("average", rig="auto").read(ir, vi).coverage
    wrong = write_visible(tmp_path / "v.jpg", np.asarray(Image.open(vi)), focal=60)
    found = Fuser("average", rig="auto").read(ir, wrong).coverage
    assert right is not None
    assert found is not None
    assert np.abs(right - found).mean() < 0.02
