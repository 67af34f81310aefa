"""Temperatures by DJI's Thermal SDK, for which a small library with its interface stands in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError
from ivfuse.thermal.formats import dji_sdk
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.radiometry import Overrides
from ivfuse.thermal.read import DEFAULT, ThermalOptions, read_thermal


@pytest.fixture
def use(dji_library: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Use a library built with some macros."""

    def choose(*macros: str) -> None:
        monkeypatch.setenv(dji_sdk.VARIABLE, str(dji_library(*macros)))

    return choose


@pytest.fixture
def path(dji: Any, tmp_path: Path) -> Path:
    """A file of DJI."""
    found: Path = dji.scene().write(tmp_path / "DJI_0001_T.JPG")
    return found


def test_temperatures_come_from_the_library(use: Callable[..., None], path: Path) -> None:
    use()
    thermal = read_thermal(path)
    # the formula of the library with its own conditions: 20 + 5 x 1 + 0.05 + 0.07 + 2.3 + 25
    expected = 52.42 + np.arange(64 * 96).reshape(64, 96)
    assert np.allclose(thermal.temperatures(), expected, atol=2e-3)
    assert "C" in thermal.notes[0]


def test_conditions_are_passed_on(use: Callable[..., None], path: Path) -> None:
    use()
    given = Overrides(emissivity=0.5, distance=20, reflected=10, humidity=0.4, atmospheric=-5)
    thermal = read_thermal(path, ThermalOptions(overrides=given))
    assert thermal.temperatures()[0, 0] == pytest.approx(20 + 2.5 + 0.2 + 0.04 + 1 - 5, abs=1e-3)
    assert not any("not used" in note for note in thermal.notes)
    facts = describe_file(path, ThermalOptions(overrides=given))
    assert facts["conditions"] == {
        "emissivity": 0.5, "distance": 20, "reflected": 10, "humidity": 40, "atmospheric": -5,
    }  # fmt: skip
    assert facts["celsius"]["min"] == pytest.approx(18.74, abs=1e-3)


def test_an_older_version_gives_tenths_and_knows_no_air(use: Callable[..., None], path: Path) -> None:
    use("OLD")
    celsius = read_thermal(path).temperatures()
    assert celsius[0, :2] == pytest.approx([27.4, 28.4], abs=1e-4)
    with pytest.raises(InputError, match="this version knows no temperature of the air"):
        read_thermal(path, ThermalOptions(overrides=Overrides(atmospheric=3)))


@pytest.mark.parametrize(
    ("macro", "said"),
    [
        ("FAIL", r"dirp_create_from_rjpeg returned -7 \(the file cannot be parsed\)"),
        ("CRASH", "its process crashed"),
        ("HANG", "no answer within 1 s"),
        ("MISSING", "the library has no function dirp_measure$"),
        ("HUGE", "a size of 1048576x1048576"),
    ],
)
def test_a_library_that_fails_is_one_clear_line(
    use: Callable[..., None], path: Path, monkeypatch: pytest.MonkeyPatch, macro: str, said: str
) -> None:
    use(macro)
    monkeypatch.setattr(dji_sdk, "SECONDS", 1.0 if macro == "HANG" else 60.0)
    with pytest.raises(InputError, match=said) as caught:
        read_thermal(path)
    assert str(caught.value).startswith(f"{path}: DJI's Thermal SDK failed: ")
    assert "\n" not in str(caught.value)


def test_conditions_out_of_range_are_said_with_the_range(use: Callable[..., None], path: Path) -> None:
    use()
    with pytest.raises(InputError, match=r"returned -3 .*distances are 1 to 25 m"):
        read_thermal(path, ThermalOptions(overrides=Overrides(distance=120)))


def test_a_folder_without_the_library_and_a_broken_library_are_said(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(dji_sdk.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(InputError, match=f"found no {dji_sdk.LIBRARY}, expected the folder of DJI's Thermal"):
        read_thermal(path)
    (tmp_path / dji_sdk.LIBRARY).write_bytes(b"not a library")
    monkeypatch.setenv(dji_sdk.VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="the library cannot be loaded"):
        describe_file(path, DEFAULT)


def test_the_command_line_takes_the_folder(
    ivfuse_cli: Callable[..., Any],
    dji_library: Callable[..., Path],
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(dji_sdk.VARIABLE, "")
    sdk = ("--dji-sdk", dji_library(), "--emissivity", "0.5")
    cv2.imwrite(str(tmp_path / "v.png"), np.full((64, 96, 3), 90, np.uint8))
    said = ivfuse_cli(
        "fuse", path, tmp_path / "v.png", "-o", tmp_path / "f.png", "--method", "average", *sdk,
        "--temperature", tmp_path / "t.tiff", "--highlight", ">4000C",
    )  # fmt: skip
    assert said.code == 0, said.err
    celsius = cv2.imread(str(tmp_path / "t.tiff"), cv2.IMREAD_UNCHANGED)
    assert celsius[0, 0] == pytest.approx(52.42 - 2.5, abs=2e-3)
    fused = cv2.imread(str(tmp_path / "f.png"))
    assert np.ptp(fused[10, 5].astype(int)) == 0  # not highlighted
    assert np.ptp(fused[60, 5].astype(int)) > 20  # painted
    said = ivfuse_cli("info", path, *sdk, "--temperature", tmp_path / "u.tiff")
    assert said.code == 0, said.err
    assert "celsius:         49.92 to 6192.92" in said.out
    assert "conditions:      emissivity 0.5, distance 5 m" in said.out
    assert cv2.imread(str(tmp_path / "u.tiff"), cv2.IMREAD_UNCHANGED).shape == (64, 96)
    said = ivfuse_cli("info", path, "--dji-sdk", tmp_path / "none")
    assert said.code == 1
    assert "found no libdirp" in said.err
