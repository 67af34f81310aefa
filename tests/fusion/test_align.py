"""Fusing with a rig: where the thermal counts, and what stays where it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ivfuse import Fuser, Registration
from ivfuse.errors import InputError, RegistrationError, UsageError
from ivfuse.registration.control_points import Correspondences
from ivfuse.thermal.read import ThermalOptions
from ivfuse.thermal.render import RenderOptions
from ivfuse.thermal.units import Scale, Span

RIG = Registration(((1, 0, 40), (0, 1, 30), (0, 0, 1)), (80, 60), (160, 120))
Texture = Callable[..., np.ndarray]


@pytest.fixture
def pair(texture: Texture) -> tuple[np.ndarray, np.ndarray]:
    return texture(60, 80), texture(120, 160, seed=1, channels=3)


@pytest.mark.parametrize("method", ["maximum", "laplacian", "guided-filter"])
def test_outside_of_the_thermal_the_visible_stays_as_it_is(
    pair: tuple[np.ndarray, np.ndarray], method: str
) -> None:
    fused = Fuser(method, rig=RIG).fuse(*pair)
    outside = np.ones((120, 160), bool)
    outside[29:91, 39:121] = False
    assert fused[outside] == pytest.approx(pair[1][outside], abs=1e-5)
    assert np.abs(fused - pair[1])[50:70, 60:100].max() > 0.05


def test_there_is_no_seam_where_the_thermal_ends() -> None:
    hot, dark = np.ones((60, 80), np.float32), np.full((120, 160), 0.2, np.float32)
    fused = Fuser("maximum", rig=RIG).fuse(hot, dark)
    assert fused[60, 80] == pytest.approx(1)
    assert fused[60, 35] == pytest.approx(0.2)
    assert (
        np.abs(np.diff(fused, axis=1)).max() < 0.4
    )  # a hard seam would be 0.8; the feather is 4 pixels wide here


def test_a_crop_keeps_what_is_covered(pair: tuple[np.ndarray, np.ndarray]) -> None:
    cropped = Fuser("average", rig=RIG, crop=True).fuse(*pair)
    plain = Fuser("average").fuse(pair[0], np.ascontiguousarray(pair[1][30:90, 40:120]))
    assert cropped == pytest.approx(plain, abs=1e-5)


def test_callers_keep_their_arrays(pair: tuple[np.ndarray, np.ndarray]) -> None:
    before = pair[0].copy(), pair[1].copy()
    for crop in (False, True):
        Fuser("average", rig=RIG, crop=crop).fuse(*pair)
    assert np.array_equal(pair[0], before[0])
    assert np.array_equal(pair[1], before[1])


def test_a_rig_may_be_a_file_and_is_scaled(tmp_path: Path, texture: Texture) -> None:
    RIG.save(tmp_path / "rig.json")
    loaded = Fuser("average", rig=tmp_path / "rig.json").read(texture(120, 160), texture(60, 80))
    assert loaded.coverage is not None
    assert loaded.coverage.shape == (60, 80)
    assert loaded.coverage[30, 40] == 1
    assert loaded.coverage[:14].max() == 0
    assert "covers 25% of the visible" in loaded.notes[-1]


def test_a_pair_may_be_read_as_it_is_stored_and_aligned_afterwards(texture: Texture) -> None:
    fuser, images = Fuser("average", rig=RIG), (texture(120, 160), texture(60, 80))
    stored, whole = fuser.read_stored(*images), fuser.read(*images)
    assert not stored.aligned
    assert stored.thermal.pixels.shape == (120, 160)
    aligned = fuser.align(stored)
    assert np.array_equal(aligned.thermal.pixels, whole.thermal.pixels)
    assert aligned.notes == whole.notes


def test_frames_of_another_shape_are_refused(texture: Texture) -> None:
    with pytest.raises(UsageError, match="same aspect"):
        Fuser("average", rig=RIG).fuse(texture(60, 90), texture(120, 160))


def test_points_take_the_place_of_a_rig(pair: tuple[np.ndarray, np.ndarray]) -> None:
    ir = np.array([[0, 0], [79, 0], [79, 59], [0, 59]], float)
    points = Correspondences(ir, ir + np.array([40, 30]))
    assert Fuser("average", rig=points).fuse(*pair) == pytest.approx(
        Fuser("average", rig=RIG).fuse(*pair), abs=1e-3
    )


def test_a_pair_that_cannot_be_registered_is_refused(pair: tuple[np.ndarray, np.ndarray]) -> None:
    flat = np.full((60, 80), 0.5, np.float32)
    with pytest.raises(RegistrationError, match="flat"):
        Fuser("average", rig="auto").fuse(flat, pair[1])


def test_a_crop_needs_to_know_where() -> None:
    with pytest.raises(UsageError, match="crop"):
        Fuser("average", crop=True)


def test_temperatures_lie_where_the_thermal_does_and_nowhere_else(tmp_path: Path, texture: Texture) -> None:
    counts = np.full((60, 80), 30_000, np.uint16)  # centikelvin: 26.85 degC
    counts[20:40, 30:50] = 31_500  # 41.85 degC
    options = ThermalOptions(scale=Scale(0.01, -273.15))
    fuser = Fuser(
        "average",
        rig=RIG,
        thermal=options,
        render=RenderOptions(highlight=Span(40, np.inf, True), colorbar=False),
    )
    loaded = fuser.read(counts, texture(120, 160, channels=3))
    celsius = loaded.thermal.celsius
    assert celsius is not None
    assert np.isnan(celsius[:29]).all()
    assert celsius[60, 80] == pytest.approx(41.85, abs=0.02)
    shown = fuser.fuse_pair(loaded)
    assert np.isfinite(shown).all()


def test_a_colormap_ends_with_the_thermal(texture: Texture) -> None:
    ir, vi = texture(60, 80), texture(120, 160, seed=1, channels=3)
    shown = Fuser("average", rig=RIG, render=RenderOptions(colormap="iron", colorbar=False)).fuse(ir, vi)
    spread = shown.max(axis=2) - shown.min(axis=2)
    assert spread[:28].max() < 1e-4  # gray
    assert spread[60, 60:100].max() > 0.1


def test_a_rig_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "rig.json").write_text("{}")
    with pytest.raises(InputError, match="no rig"):
        Fuser("average", rig=tmp_path / "rig.json")


def test_alpha_is_cropped_with_its_image(tmp_path: Path, texture: Texture) -> None:
    ir = np.rint(texture(60, 80) * 255).astype(np.uint8)
    vi = np.rint(texture(120, 160, channels=3) * 255).astype(np.uint8)
    alpha = np.arange(160, dtype=np.uint8)[np.newaxis].repeat(120, axis=0)
    cv2.imwrite(str(tmp_path / "ir.png"), ir)
    cv2.imwrite(str(tmp_path / "vi.png"), np.dstack([vi, alpha]))
    Fuser("average", rig=RIG, crop=True).fuse_files(
        tmp_path / "ir.png", tmp_path / "vi.png", tmp_path / "f.png"
    )
    out = cv2.imread(str(tmp_path / "f.png"), cv2.IMREAD_UNCHANGED)
    assert out.shape == (60, 80, 4)
    assert out[0, 0, 3] == 40
