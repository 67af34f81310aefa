"""Pairs that may be swapped, stretched or double frames are noted."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from ivfuse.fusion.pipeline import Fuser


def notes_of(tmp_path: Path, ir: np.ndarray, vi: np.ndarray) -> str:
    for name, pixels in (("ir.png", ir), ("vi.png", vi)):
        assert cv2.imwrite(str(tmp_path / name), pixels)
    return "\n".join(Fuser("average").read(tmp_path / "ir.png", tmp_path / "vi.png").notes)


def gray(height: int, width: int) -> np.ndarray:
    return np.tile(np.arange(width, dtype=np.uint8), (height, 1))


def color(height: int, width: int) -> np.ndarray:
    return np.dstack([gray(height, width), np.flip(gray(height, width), 1), gray(height, width) // 2])


def test_a_visible_given_as_thermal_is_noted(tmp_path: Path) -> None:
    counts = 7000 + 20 * gray(48, 64).astype(np.uint16)
    assert "thermal: the image is in color and the visible one is 16-bit gray" in notes_of(
        tmp_path, color(48, 64), counts
    )


@pytest.mark.parametrize(
    ("ir", "vi"),
    [
        (gray(48, 64), color(48, 64)),
        (gray(48, 64), gray(48, 64)),
        (np.dstack([gray(48, 64)] * 3), gray(48, 64)),
        (gray(24, 32), color(48, 64)),
        (gray(24, 32), color(49, 65)),
    ],
    ids=["usual", "two gray", "gray of three channels", "smaller", "rounded"],
)
def test_usual_pairs_raise_no_doubt(tmp_path: Path, ir: np.ndarray, vi: np.ndarray) -> None:
    said = notes_of(tmp_path, ir, vi)
    assert "in color" not in said
    assert "register" not in said


def test_a_thermal_in_a_palette_is_noted(tmp_path: Path) -> None:
    palette = cv2.applyColorMap(gray(48, 64), cv2.COLORMAP_JET)
    assert "thermal: the image is in color, as in a palette" in notes_of(tmp_path, palette, color(48, 64))


@pytest.mark.parametrize("size", [(64, 80), (48, 40), (64, 48)], ids=["5:4", "narrow", "turned"])
def test_a_thermal_of_another_shape_is_noted(tmp_path: Path, size: tuple[int, int]) -> None:
    said = notes_of(tmp_path, gray(*size), color(90, 160))
    assert f"{size[1]}x{size[0]} beside a visible image of 160x90" in said
    assert "use `register`" in said


def test_a_double_frame_is_noted(tmp_path: Path) -> None:
    said = notes_of(tmp_path, gray(96, 64), color(48, 64))
    assert "64x96 beside a visible image of 64x48 looks like a double frame" in said
    assert "register" in said


SAMPLES = Path(__file__).resolve().parents[3] / "shared/data/thermal_formats"


def irg(celsius: np.ndarray, photo: np.ndarray) -> bytes:
    """A camera file with a photo, whose camera also draws a picture."""
    head = bytearray(128)
    head[:4] = b"\xba\xab\x80\0"
    struct.pack_into("<IHH", head, 4, celsius.size, *celsius.shape)
    counts = np.rint((celsius + 273.15) * 10).astype("<u2")
    return bytes(head) + bytes(celsius.size) + counts.tobytes() + bytes(cv2.imencode(".jpg", photo)[1])


def test_the_picture_that_a_camera_draws_is_no_visible_image(tmp_path: Path) -> None:
    values = np.random.default_rng(4).random((6, 8)).astype(np.float32)
    warm = cv2.resize(values, (64, 48), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    photo = color(48, 64)
    (tmp_path / "a.irg").write_bytes(irg(20 + 20 * warm, photo))
    drawing = cv2.applyColorMap(np.rint(255 * warm).astype(np.uint8), cv2.COLORMAP_INFERNO)
    assert cv2.imwrite(str(tmp_path / "a.jpg"), drawing)
    assert cv2.imwrite(str(tmp_path / "b.jpg"), drawing)
    assert cv2.imwrite(str(tmp_path / "a.png"), photo)

    def said(name: str) -> str:
        return "\n".join(Fuser("average").read(tmp_path / "a.irg", tmp_path / name).notes)

    assert "a.jpg looks like the image that the camera draws" in said("a.jpg")
    assert "draws" not in said("a.png")
    assert "draws" not in said("b.jpg")  # of another name, which nothing connects with the camera file


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample files are not on this machine")
@pytest.mark.parametrize("name", ["hti_p1", "vevor"])
def test_pictures_of_real_cameras_are_recognized(name: str) -> None:
    notes = Fuser("average").read(SAMPLES / f"{name}.irg", SAMPLES / f"{name}.jpg").notes
    assert any("give it alone" in note and f"{name}.irg" in note for note in notes)
