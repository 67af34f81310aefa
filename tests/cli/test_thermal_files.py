"""Thermal files on the command line: one file for both images, temperatures, windows, colormaps, info."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

Cli = Callable[..., Any]
MakePair = Callable[..., tuple[Path, Path]]
FUSE = ("--method", "average")


@pytest.fixture
def counts(flir: Any) -> np.ndarray:
    """20 to 50 degC over 60x80 pixels, warmest on the right."""
    degrees = np.tile(np.linspace(20, 50, 80), (60, 1))
    return np.rint(flir.counts_of(degrees)).astype(np.uint16)


@pytest.fixture
def camera(flir: Any, counts: np.ndarray, texture: Callable[..., np.ndarray]) -> Any:
    photo = np.rint(40 + 200 * texture(240, 320, channels=3)).astype(np.uint8)
    return flir.Flir(counts, payload="png", photo=photo, alignment=(2.0, 4, -2))


@pytest.fixture
def file(camera: Any, tmp_path: Path) -> Path:
    return Path(camera.write(tmp_path / "in" / "FLIR0001.jpg"))


@pytest.fixture
def deep_pair(tmp_path: Path) -> tuple[Path, Path]:
    """Centikelvin of 20 to 50 degC beside a gray visible."""
    kelvin = np.rint(100 * (273.15 + np.tile(np.linspace(20, 50, 80), (60, 1)))).astype(np.uint16)
    ir, vi = tmp_path / "t.png", tmp_path / "v.png"
    cv2.imwrite(str(ir), kelvin)
    cv2.imwrite(str(vi), np.full((120, 160), 90, np.uint8))
    return ir, vi


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_one_file_is_fused_with_its_temperatures_beside_it(
    ivfuse_cli: Cli, file: Path, tmp_path: Path
) -> None:
    said = ivfuse_cli("fuse", file, "-o", tmp_path / "f.png", *FUSE, "--temperature", tmp_path / "f.tiff")
    assert said.code == 0, said.err
    fused, degrees = read(tmp_path / "f.png"), read(tmp_path / "f.tiff")
    assert fused.shape == (120, 160, 3)
    assert (degrees.shape, degrees.dtype) == ((120, 160), np.float32)
    assert (degrees.min(), degrees.max()) == pytest.approx((20, 50), abs=0.3)
    assert "temperature in " in said.out
    assert "thermal: temperatures, window 20." in said.err


@pytest.mark.parametrize("recursive", [(), ("--recursive",)])
@pytest.mark.parametrize(
    "verb",
    [
        ("eval", "{fused}", "{files}", "--metrics", "EN"),
        ("degrade", "{files}", "-o", "{out}", "--with", "haze:3"),
        ("register", "{files}", "-o", "{out}.json"),
        ("benchmark", "--data", "{files}", "--methods", "average", "-o", "{out}"),
    ],
)
def test_only_the_fusion_takes_camera_files_as_pairs(
    ivfuse_cli: Cli, file: Path, tmp_path: Path, verb: tuple[str, ...], recursive: tuple[str, ...]
) -> None:
    """Other verbs would take the picture that the camera drew of the temperatures for the photo."""
    assert ivfuse_cli("fuse", file.parent, "-o", tmp_path / "fused", *FUSE, *recursive).code == 0
    places = {"fused": tmp_path / "fused", "files": file.parent, "out": tmp_path / "out"}
    said = ivfuse_cli(*(part.format(**places) for part in verb), *recursive)
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert f"{file.parent}: " in said.err
    assert "expected folders like ir/ and vi/" in said.err or "expected files of equal names" in said.err


def test_both_images_of_camera_files_can_be_written_on_one_grid_and_scored(
    ivfuse_cli: Cli, file: Path, tmp_path: Path
) -> None:
    fused, ir, vi = (tmp_path / name for name in ("fused", "ir", "vi"))
    assert ivfuse_cli("fuse", file.parent, "-o", fused, *FUSE, "--temperature", ir).code == 0
    assert ivfuse_cli("fuse", file.parent, "-o", vi, *FUSE, "--strength", "0").code == 0
    said = ivfuse_cli("eval", fused, ir, vi, "--metrics", "CC", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["mean"]["CC"] > 0.5


def test_a_thermal_file_without_a_photo_says_what_could_be_done(
    ivfuse_cli: Cli, camera: Any, tmp_path: Path
) -> None:
    alone = camera.with_(photo=None).write(tmp_path / "alone.jpg")
    said = ivfuse_cli("fuse", alone, "-o", tmp_path / "f.png")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "thermal image of 80x60 without a photo" in said.err
    assert "give a visible image as the second file" in said.err
    assert not (tmp_path / "f.png").exists()
    cv2.imwrite(str(tmp_path / "v.png"), np.full((120, 160, 3), 90, np.uint8))
    said = ivfuse_cli("fuse", alone, tmp_path / "v.png", "-o", tmp_path / "f.png", *FUSE, "--gray")
    assert said.code == 0, said.err
    fused = read(tmp_path / "f.png")
    assert fused[60, -1] > fused[60, 0] + 100  # from the raw values, not from the drawn image, which is even


def test_a_folder_of_camera_files_is_fused_file_by_file(ivfuse_cli: Cli, camera: Any, tmp_path: Path) -> None:
    for name in ("IR_0001", "IR_0002"):
        camera.write(tmp_path / "set" / f"{name}.jpg")
    (tmp_path / "set" / "notes.jpg").write_bytes(camera.drawn())
    said = ivfuse_cli("fuse", tmp_path / "set", "-o", tmp_path / "x", *FUSE, "--temperature", tmp_path / "t")
    assert said.code == 0, said.err
    assert "2 done, 0 skipped, 0 failed" in said.out
    assert "no partner" in said.err
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["IR_0001.tiff", "IR_0002.tiff"]
    one = ivfuse_cli(
        "fuse", tmp_path / "set", "-o", tmp_path / "y", *FUSE, "--temperature", tmp_path / "t.tiff"
    )
    assert (one.code, "one file of temperatures for 2 pairs" in one.err) == (2, True)


def test_conditions_of_the_user_change_the_temperatures(ivfuse_cli: Cli, file: Path, tmp_path: Path) -> None:
    arguments = (
        "--emissivity",
        0.5,
        "--reflected",
        0,
        "--distance",
        50,
        "--humidity",
        90,
        "--atmospheric",
        30,
    )
    said = ivfuse_cli("info", file, *arguments, "--json")
    told = json.loads(said.out)
    assert told["conditions"] == {
        "emissivity": 0.5, "distance": 50, "reflected": 0, "atmospheric": 30, "humidity": 90,
        "window_temperature": 20, "window_transmission": 1,
    }  # fmt: skip
    assert told["celsius"]["max"] > 60
    wrong = ivfuse_cli("info", file, "--humidity", 120)
    assert (wrong.code, "humidity: found 120 %" in wrong.err) == (2, True)


def test_info_tells_people_and_machines(ivfuse_cli: Cli, file: Path, tmp_path: Path) -> None:
    said = ivfuse_cli("info", file, "--photo", tmp_path / "p.png", "--temperature", tmp_path / "t.tif")
    assert said.code == 0, said.err
    for line in (
        "camera:          Invented T1",
        "photo:           320x240",
        "payload:         PNG, bytes swapped",
    ):
        assert line in said.out
    assert read(tmp_path / "p.png").shape == (240, 320, 3)
    assert read(tmp_path / "t.tif").shape == (60, 80)
    told = json.loads(ivfuse_cli("info", file, "--json").out)
    assert told["kind"] == "FLIR radiometric JPEG"
    assert told["celsius"]["min"] == pytest.approx(20, abs=0.01)
    assert told["alignment"] == {"real_to_ir": 2.0, "offset_x": 4, "offset_y": -2}


def test_info_of_a_plain_image(ivfuse_cli: Cli, deep_pair: tuple[Path, Path]) -> None:
    assert "a scale converts counts to degrees" in ivfuse_cli("info", deep_pair[0]).out
    told = json.loads(ivfuse_cli("info", deep_pair[0], "--scale", "0.01K", "--json").out)
    assert told["celsius"] == {"min": 20, "mean": pytest.approx(35, abs=0.01), "max": 50}
    absent = ivfuse_cli("info", deep_pair[0].with_name("absent.jpg"))
    assert (absent.code, absent.err.count("\n")) == (1, 1)


def test_counts_become_temperatures_by_the_scale(
    ivfuse_cli: Cli, deep_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = ("--scale", "0.01K", "--window", "20C..80C", "--method", "maximum")
    said = ivfuse_cli(
        "fuse", *deep_pair, "-o", tmp_path / "f.png", *arguments, "--temperature", tmp_path / "f.tif"
    )
    assert said.code == 0, said.err
    degrees = read(tmp_path / "f.tif")
    assert degrees.shape == (120, 160)
    # resampled linearly: no value beyond those of the file
    assert (degrees.min(), degrees.max()) == pytest.approx((20, 50), abs=1e-2)
    assert read(tmp_path / "f.png").max() in (127, 128)  # 50 degC is in the middle of the window


def test_temperatures_that_are_not_known_fail_before_anything_is_written(
    ivfuse_cli: Cli, deep_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = ivfuse_cli(
        "fuse", *deep_pair, "-o", tmp_path / "f.png", *FUSE, "--temperature", tmp_path / "f.tif"
    )
    assert said.code == 1
    assert "the temperatures are unknown, expected a radiometric file, or --scale" in said.err
    assert not (tmp_path / "f.png").exists()


def test_one_window_for_a_folder_makes_images_compare(ivfuse_cli: Cli, tmp_path: Path) -> None:
    for name, low in (("a", 7000), ("b", 8000)):
        for folder, image in (("ir", np.tile(np.linspace(low, low + 500, 80), (60, 1)).astype(np.uint16)),
                                ("vi", np.zeros((60, 80), np.uint8))):  # fmt: skip
            (tmp_path / "s" / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "s" / folder / f"{name}.png"), image)
    arguments = ("fuse", tmp_path / "s", "--method", "maximum")
    assert ivfuse_cli(*arguments, "-o", tmp_path / "each").code == 0
    said = ivfuse_cli(*arguments, "-o", tmp_path / "one", "--window", "shared")
    assert said.code == 0, said.err
    each = [read(tmp_path / "each" / f"{name}.png").mean() for name in "ab"]
    one = [read(tmp_path / "one" / f"{name}.png").mean() for name in "ab"]
    assert abs(each[1] - each[0]) < 3
    assert one[1] - one[0] > 120
    assert said.err.count("window 70") == 1  # one window for both


def test_colormaps_and_highlights_are_painted(ivfuse_cli: Cli, file: Path, tmp_path: Path) -> None:
    images = {}
    renderings = {
        "plain": (),
        "iron": ("--colormap", "Iron", "--no-colorbar"),
        "own": ("--colormap", "camera"),
        "gray": ("--colormap", "black-hot", "--no-colorbar"),
        "hot": ("--highlight", ">40C"),
    }
    for name, look in renderings.items():
        said = ivfuse_cli("fuse", file, "-o", tmp_path / f"{name}.png", *FUSE, *look)
        assert said.code == 0, said.err
        images[name] = read(tmp_path / f"{name}.png").astype(int)
    assert np.abs(images["iron"] - images["plain"]).mean() > 10
    assert images["gray"].ndim == 2
    assert images["gray"][:, 0].mean() > images["gray"][:, -1].mean()
    changed = np.abs(images["hot"] - images["plain"]).max(axis=-1).mean(axis=0)
    assert changed[: 160 // 2].max() == 0
    assert changed[-40:].min() > 5


@pytest.mark.parametrize(
    ("arguments", "said_so"),
    [
        (["--colormap", "irn"], "did you mean iron"),
        (["--highlight", "hot"], "expected a range like 10C..45C, or like >40C"),
        (["--window", "wide"], "expected percentile, plateau, shared, or a range"),
        (["--window", "plateau", "--ir-window", "1", "2"], "give one of the two"),
        (["--scale", "5"], "like 0.01K"),
        (["--emissivity", "1.5"], "emissivity: found 1.5, expected above 0 up to 1"),
        (["--temperature", "IN"], "one of the inputs"),
    ],
)
def test_wrong_options_are_one_clear_line(
    ivfuse_cli: Cli, file: Path, tmp_path: Path, arguments: list[str], said_so: str
) -> None:
    tiff = file.rename(file.with_suffix(".tiff"))  # content decides, not the name
    said = ivfuse_cli(
        "fuse", tiff, "-o", tmp_path / "f.png", *(tiff if word == "IN" else word for word in arguments)
    )
    assert said.code in (1, 2)
    assert said_so in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "f.png").exists()


def test_options_that_do_not_apply_are_said(
    ivfuse_cli: Cli, file: Path, deep_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    said = ivfuse_cli("fuse", file, "-o", tmp_path / "f.png", *FUSE, "--scale", "0.01K")
    assert "scale is not used, the file has its own calibration" in said.err
    said = ivfuse_cli("fuse", *deep_pair, "-o", tmp_path / "g.png", *FUSE, "--emissivity", 0.9)
    assert "emissivity not used, the file is not radiometric" in said.err


def test_the_summary_for_machines_names_the_raster(ivfuse_cli: Cli, file: Path, tmp_path: Path) -> None:
    arguments = ("--temperature", tmp_path / "t.tiff", "--json")
    (done,) = json.loads(ivfuse_cli("fuse", file, "-o", tmp_path / "f.png", *FUSE, *arguments).out)["done"]
    assert Path(done["temperature"]).name == "t.tiff"


def test_help_groups_the_options_of_thermal_files(ivfuse_cli: Cli) -> None:
    text = ivfuse_cli("fuse", "--help").out
    options, thermal = text.split("\nThermal:\n")
    assert "--overwrite" in options
    for option in ("--window", "--scale", "--temperature", "--colormap", "--highlight", "--emissivity"):
        assert option in thermal
        assert f"  {option} " not in options.split("\nOptions:\n")[1]


@pytest.fixture
def irg(texture: Callable[..., np.ndarray]) -> bytes:
    """A small IRG file with a photo."""
    head = bytearray(128)
    head[:4] = b"\xba\xab\x80\0"
    struct.pack_into("<IHH", head, 4, 48 * 64, 48, 64)
    struct.pack_into("<4I", head, 30, 9500, 2_981_500, 2_981_500, 5000)
    counts = np.rint(2900 + 200 * texture(48, 64)).astype("<u2")
    photo = np.rint(255 * texture(48, 64, 3, 3)).astype(np.uint8)
    return bytes(head) + bytes(48 * 64) + counts.tobytes() + bytes(cv2.imencode(".jpg", photo)[1])


def test_a_camera_file_that_is_no_image_is_a_pair_alone_and_in_a_folder(
    ivfuse_cli: Cli, irg: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    (folder / "a.irg").write_bytes(irg)
    (folder / "b.irg").write_bytes(irg)
    assert cv2.imwrite(str(folder / "a.jpg"), np.zeros((48, 64, 3), np.uint8))
    alone = ivfuse_cli(
        "fuse", folder / "a.irg", "-o", tmp_path / "a.png", "--temperature", tmp_path / "a.tif"
    )
    assert alone.code == 0, alone.err
    assert read(tmp_path / "a.png").shape == (48, 64, 3)
    assert 15 < read(tmp_path / "a.tif").min() < read(tmp_path / "a.tif").max() < 40
    both = ivfuse_cli("fuse", folder, "-o", tmp_path / "out", *FUSE)
    assert both.code == 0, both.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_info_of_a_camera_file_that_is_no_image(ivfuse_cli: Cli, irg: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.irg"
    path.write_bytes(irg)
    said = ivfuse_cli("info", path)
    assert said.code == 0
    assert "InfiRay IRG" in said.out
    assert "64x48" in said.out
    path.write_bytes(irg[:5000])
    broken = ivfuse_cli("info", path)
    assert broken.code == 1
    assert broken.err.count("\n") == 1
    assert "found 5000 bytes, expected 9344 for 64x48 pixels" in broken.err
