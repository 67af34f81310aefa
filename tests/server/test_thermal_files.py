"""Files of thermal cameras over HTTP: which are accepted, and the temperatures that come back."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.server.facts import write_temperatures

from .conftest import Running

HEIGHT, WIDTH = 48, 64


def irg() -> bytes:
    """An IRG file of 16.85 degC with a square of 36.85 degC, and a photo."""
    counts = np.full((HEIGHT, WIDTH), 2900, np.uint16)
    counts[10:30, 8:20] = 3100
    head = bytearray(128)
    head[:4] = b"\xba\xab\x80\0"
    struct.pack_into("<IHH", head, 4, counts.size, HEIGHT, WIDTH)
    photo = np.full((HEIGHT, WIDTH, 3), 70, np.uint8)
    photo[:, WIDTH // 2 :] = (40, 120, 220)
    return bytes(head) + bytes(counts.size) + counts.tobytes() + cv2.imencode(".jpg", photo)[1].tobytes()


def grid(said: dict[str, Any]) -> np.ndarray:
    """The temperatures of a response, in degC."""
    found = said["temperatures"]
    kelvin = np.frombuffer(base64.b64decode(found["data"]), "<u2").reshape(found["height"], found["width"])
    return kelvin / 10 - 273.15


def test_an_irg_file_is_a_pair_by_itself(server: Running) -> None:
    said = server.fuse(irg(), format="json", previews="true", temperatures="true", method="average").json()
    assert said["thermal"]["unit"] == "C"
    assert said["visible"]
    celsius = grid(said)
    assert celsius.shape == (said["height"], said["width"])
    assert celsius.min() == pytest.approx(16.85, abs=0.06)
    assert celsius.max() == pytest.approx(36.85, abs=0.06)


def test_an_irg_file_goes_with_a_visible_image(server: Running, encode: Callable[..., bytes]) -> None:
    photo = encode(".png", np.full((2 * HEIGHT, 2 * WIDTH, 3), 90, np.uint8))
    answer = server.fuse(irg(), photo, method="average")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")


def test_a_frame_of_a_flir_camera_is_accepted(server: Running, flir: Any, vi: bytes) -> None:
    counts = flir.counts_of(np.linspace(10, 40, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))
    assert server.fuse(flir.Flir(counts).block(), vi, method="average").status_code == 200


def test_camera_files_are_no_visible_images(server: Running, ir: bytes) -> None:
    answer = server.fuse(ir, irg())
    assert answer.status_code == 415
    assert answer.json()["error"].startswith("visible image: found no image, expected a PNG")


def test_a_damaged_irg_file_is_one_sentence(server: Running, vi: bytes) -> None:
    answer = server.fuse(irg()[:5000], vi)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("infrared image: found 5000 bytes, expected")


def test_temperatures_are_thinned_out_and_unknown_ones_are_0(
    server: Running, encode: Callable[..., bytes]
) -> None:
    ramp = np.linspace(273.15, 373.15, 1280)  # K
    counts = np.tile(np.rint(ramp * 100), (8, 1)).astype(np.uint16)
    vi = encode(".png", np.zeros((8, 1280, 3), np.uint8))
    fields = {"format": "json", "method": "average", "temperatures": "true"}
    said = server.fuse(encode(".png", counts), vi, scale="0.01K", **fields).json()
    celsius = grid(said)
    assert celsius.shape == (4, 640)
    assert np.abs(celsius[0] - (ramp[1::2] - 273.15)).max() < 0.11  # half a step of 0.1 K, one column
    assert server.fuse(encode(".png", counts), vi, **fields).json()["temperatures"] is None


def test_pixels_without_data_have_no_temperature(tmp_path: Path) -> None:
    celsius = np.array([[np.nan, 20.0], [-300.0, 7000.0]], np.float32)
    assert write_temperatures(tmp_path / "grid", celsius) == {"width": 2, "height": 2}
    assert np.fromfile(tmp_path / "grid", "<u2").tolist() == [0, 2932, 0, 65535]


def test_the_histogram_has_no_gaps_between_the_levels_of_integers(
    server: Running, vi: bytes, encode: Callable[..., bytes]
) -> None:
    counts = np.tile(np.arange(1000, 1040, dtype=np.uint16), (40, 1))
    thermal = server.fuse(
        encode(".png", counts), vi, format="json", previews="true", method="average"
    ).json()["thermal"]
    assert thermal["histogram"] == [40] * 40
