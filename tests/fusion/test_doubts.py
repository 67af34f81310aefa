"""Pairs that may be swapped, stretched or double frames are noted."""

from __future__ import annotations

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
        (color(48, 64), color(48, 64)),
        (gray(48, 64), gray(48, 64)),
        (np.dstack([gray(48, 64)] * 3), gray(48, 64)),
        (gray(24, 32), color(48, 64)),
        (gray(24, 32), color(49, 65)),
    ],
    ids=["usual", "two in color", "two gray", "gray of three channels", "smaller", "rounded"],
)
def test_usual_pairs_raise_no_doubt(tmp_path: Path, ir: np.ndarray, vi: np.ndarray) -> None:
    said = notes_of(tmp_path, ir, vi)
    assert "swapped" not in said
    assert "register" not in said


@pytest.mark.parametrize("size", [(64, 80), (48, 40), (64, 48)], ids=["5:4", "narrow", "turned"])
def test_a_thermal_of_another_shape_is_noted(tmp_path: Path, size: tuple[int, int]) -> None:
    said = notes_of(tmp_path, gray(*size), color(90, 160))
    assert f"{size[1]}x{size[0]} beside a visible image of 160x90" in said
    assert "use `register`" in said


def test_a_double_frame_is_noted(tmp_path: Path) -> None:
    said = notes_of(tmp_path, gray(96, 64), color(48, 64))
    assert "64x96 beside a visible image of 64x48 looks like a double frame" in said
    assert "register" in said
