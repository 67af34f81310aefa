"""Frames of USB cameras: their thermal image, in image files and in headerless ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.read import ThermalOptions, read_camera_file, read_thermal

Texture = Callable[..., np.ndarray]


@pytest.fixture
def double_frame(texture: Texture) -> Callable[..., np.ndarray]:
    """A frame with an 8-bit image as YUYV above, rows of metadata, and 20 to 40 degC in 1/64 K below."""

    def make(height: int = 192, width: int = 256, metadata: int = 0, below: int = 0) -> np.ndarray:
        gray = texture(height, width)
        image = np.rint(gray * 255).astype(np.uint16) | 128 << 8
        counts = np.rint((293.15 + 20 * gray) * 64).astype(np.uint16)
        rows = np.zeros((metadata + below, width), np.uint16)
        rows[:, ::5] = 0x4142
        return np.vstack([image, rows[:metadata], counts, rows[metadata:]])

    return make


@pytest.fixture
def telemetry_frame(texture: Texture) -> Callable[..., np.ndarray]:
    """A frame of 14-bit counts with rows of telemetry above or below."""

    def make(height: int, width: int, *, above: int = 0, below: int = 0, offset: int = 7000) -> np.ndarray:
        counts = np.rint(offset + 1200 * texture(height, width)).astype(np.uint16)
        rows = np.zeros((above + below, width), np.uint16)
        rows[:, :20] = np.arange(20) * 2000
        return np.vstack([rows[:above], counts, rows[above:]])

    return make


def write(path: Path, frame: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), frame)
    return path


@pytest.mark.parametrize(
    ("size", "metadata", "camera"),
    [((192, 256), 0, "P2 Pro"), ((192, 256), 2, "Thermal Master P3"), ((120, 160), 2, "Thermal Master P1")],
)
@pytest.mark.parametrize("name", ["frame.png", "frame.tif", "frame.yuyv"])
def test_the_lower_half_of_a_double_frame_is_degrees(
    size: tuple[int, int], metadata: int, camera: str, name: str, double_frame: Any, tmp_path: Path
) -> None:
    frame = double_frame(*size, metadata)
    path = tmp_path / name
    if path.suffix == ".yuyv":
        path.write_bytes(frame.tobytes())
    else:
        write(path, frame)
    thermal = read_thermal(path)
    assert thermal.celsius is not None
    assert np.allclose(thermal.celsius, frame[-size[0] :] / 64 - 273.15, atol=1e-4)  # float32
    facts = describe_file(path, ThermalOptions())
    assert (facts["height"], facts["width"]) == size
    assert 19 < facts["celsius"]["min"] < facts["celsius"]["max"] < 45
    assert any(camera in note and "cut off" in note for note in facts["notes"])


def test_metadata_below_the_counts_belongs_to_another_camera(double_frame: Any, tmp_path: Path) -> None:
    frame = double_frame(below=2)
    (tmp_path / "frame.raw").write_bytes(frame.tobytes())
    thermal = read_thermal(tmp_path / "frame.raw")
    assert thermal.celsius is None  # its unit is not known
    assert "UTi260B" in " ".join(thermal.notes)
    assert thermal.pixels.shape == (192, 256)


@pytest.mark.parametrize(
    ("size", "above", "below", "camera"),
    [
        ((120, 160), 0, 2, "Lepton"),
        ((60, 80), 0, 3, "Lepton"),
        ((512, 640), 2, 0, "Boson"),
        ((512, 640), 0, 2, "Boson"),
        ((256, 320), 0, 2, "Boson"),
        ((192, 256), 0, 4, "T2S+"),
        ((288, 384), 0, 4, "T3S"),
    ],
)
@pytest.mark.parametrize("name", ["frame.png", "frame.y16"])
def test_telemetry_is_cut_off(
    size: tuple[int, int],
    above: int,
    below: int,
    camera: str,
    name: str,
    telemetry_frame: Any,
    tmp_path: Path,
) -> None:
    frame = telemetry_frame(*size, above=above, below=below)
    path = tmp_path / name
    if path.suffix == ".y16":
        path.write_bytes(frame.tobytes())
    else:
        write(path, frame)
    facts = describe_file(path, ThermalOptions())
    image = frame[above : above + size[0]]
    assert (facts["height"], facts["width"]) == size
    assert (facts["values"]["min"], facts["values"]["max"]) == (image.min(), image.max())
    assert any(camera in note for note in facts["notes"])


def test_only_what_looks_like_a_frame_is_cut(telemetry_frame: Any, texture: Texture, tmp_path: Path) -> None:
    """Images that have the size of a frame by chance stay whole."""
    for height, width in ((384, 256), (122, 160), (514, 640)):
        plain = np.rint(7000 + 1200 * texture(height, width)).astype(np.uint16)
        assert read_thermal(write(tmp_path / "plain.png", plain)).pixels.shape == (height, width)
        eight = np.rint(255 * texture(height, width)).astype(np.uint8)
        assert read_thermal(write(tmp_path / "eight.png", eight)).pixels.shape == (height, width)


def test_counts_of_a_radiometric_lepton_are_recognized_and_scaled_on_request(
    telemetry_frame: Any, tmp_path: Path
) -> None:
    path = tmp_path / "lepton_160x122.y16"
    path.write_bytes(telemetry_frame(120, 160, below=2, offset=29315).tobytes())
    thermal = read_thermal(path)
    assert thermal.celsius is None
    assert "scale 0.01K" in " ".join(thermal.notes)
    scaled = read_thermal(path, ThermalOptions(scale="0.01K"))
    assert scaled.celsius is not None
    assert 20 <= scaled.celsius.min() < scaled.celsius.max() <= 40
    raw = tmp_path / "raw_160x122.y16"
    raw.write_bytes(telemetry_frame(120, 160, below=2).tobytes())
    assert "0.01K" not in " ".join(read_thermal(raw).notes)


def test_the_name_gives_the_size_of_several_frames(telemetry_frame: Any, tmp_path: Path) -> None:
    frames = [telemetry_frame(120, 160, below=2, offset=offset) for offset in (3000, 5000)]
    path = tmp_path / "walk_160x122.raw"
    path.write_bytes(b"".join(frame.tobytes() for frame in frames) + b"123")
    facts = describe_file(path, ThermalOptions())
    assert facts["frames"] == 2
    assert facts["values"]["min"] == frames[0][:120].min()
    assert "3 bytes after the last whole frame" in facts["notes"]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("x.raw", 1000),
        ("x_160x120.raw", 38_399),
        ("x_0x10.raw", 100),
        ("x_9999x9999.raw", 100_000),
        ("x.y16", 0),
    ],
)
def test_headerless_files_of_unknown_size_are_refused(name: str, count: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(count))
    with pytest.raises(InputError, match=r"empty file|not an image"):
        read_thermal(tmp_path / name)


def test_frames_hold_no_photo(telemetry_frame: Any, tmp_path: Path) -> None:
    path = tmp_path / "frame.y16"
    path.write_bytes(telemetry_frame(120, 160, below=2).tobytes())
    with pytest.raises(InputError, match="without a photo"):
        read_camera_file(path)


def test_a_scale_for_known_degrees_is_said_to_have_no_use(double_frame: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "frame.png", double_frame())
    assert "scale is not used" in " ".join(read_thermal(path, ThermalOptions(scale="0.1K")).notes)
