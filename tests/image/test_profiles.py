"""Color profiles and significant bits of visible images."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.image.read import read_visible
from ivfuse.thermal.read import ThermalOptions, read_thermal

D50 = (0.9642, 1.0, 0.8249)
ADOBE = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)  # columns, D50
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def profile(name: str = "Adobe RGB (1998)", gamma: float = 2.19921875) -> bytes:
    """A matrix profile of version 2, written by hand (ICC.1:2001-04)."""

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" + bytes(78)
    text += bytes(-len(text) % 4)
    tags = {b"desc": text, b"wtpt": xyz(D50), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags |= {name: xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(tags)), b""
    for sign, content in tags.items():
        table += struct.pack(">4sII", sign, 132 + 12 * len(tags) + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4sI4s4s4s", 132 + len(table) - 4 + len(body), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(x * 65536) for x in D50)) + bytes(48)
    return head[:128] + table + body


def expected(levels: np.ndarray) -> np.ndarray:
    """Adobe RGB to sRGB by its definition, in [0, 1]."""
    linear = (levels / 255) ** 2.19921875 @ np.array(ADOBE) @ np.linalg.inv(np.array(SRGB))
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def colors() -> np.ndarray:
    y, x = np.mgrid[0:24, 0:32]
    return np.stack((40 + 6 * x, 60 + 7 * y, 200 - 3 * x - 2 * y), -1).astype(np.uint8)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colors_of_another_profile_become_srgb(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "image.bin"
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format_, {})
    Image.fromarray(colors()).save(path, format_, icc_profile=profile(), **options)
    image = read_visible(path)
    assert image.note == "color profile 'Adobe RGB (1998)' converted to sRGB"
    difference = np.abs(image.pixels - expected(colors())) * 255
    assert difference.mean() < 1
    if format_ != "JPEG":  # whose own loss is magnified where the curve is steep
        assert difference.max() < 2.5  # rounding to 8 bits
    assert np.abs(image.pixels * 255 - colors()).max() > 10


def test_srgb_damaged_and_gray_profiles_leave_the_colors(tmp_path: Path) -> None:
    for name, icc in (("srgb", profile("sRGB IEC61966-2.1")), ("damaged", profile()[:300])):
        Image.fromarray(colors()).save(tmp_path / f"{name}.png", icc_profile=icc)
        image = read_visible(tmp_path / f"{name}.png")
        assert np.array_equal(np.rint(image.pixels * 255), colors())
        assert image.note == (
            "" if name == "srgb" else "color profile 'Adobe RGB (1998)' not applied, it is damaged"
        )
    Image.fromarray(colors()[..., 0]).save(tmp_path / "gray.png", icc_profile=profile())
    assert np.array_equal(np.rint(read_visible(tmp_path / "gray.png").pixels * 255), colors()[..., 0])


def deep(top: int, *, stated: int = 0, tiff: bool = False) -> bytes:
    """A 16-bit gray file with values from 0 to ``top``, which may state its bits."""
    values = np.linspace(0, top, 24 * 32).astype(np.uint16).reshape(24, 32)
    file = io.BytesIO()
    image = Image.fromarray(values)
    if tiff:
        image.save(file, "TIFF", tiffinfo={281: 2**stated - 1} if stated else {})
        return file.getvalue()
    image.save(file, "PNG")
    data = file.getvalue()
    if stated:
        content = b"sBIT" + bytes([stated])
        data = data[:33] + struct.pack(">I", 1) + content + struct.pack(">I", zlib.crc32(content)) + data[33:]
    return data


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize(
    ("top", "stated", "bits"),
    [
        (1000, 0, 10),
        (4095, 0, 12),
        (9000, 0, 14),
        (16384, 0, 16),
        (200, 0, 16),
        (900, 12, 12),
        (900, 16, 16),
        (5000, 12, 16),
    ],
)
def test_fewer_bits_in_16_are_scaled_and_the_note_says_so(
    tmp_path: Path, tiff: bool, top: int, stated: int, bits: int
) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(deep(top, stated=stated, tiff=tiff))
    image = read_visible(path)
    assert image.pixels.max() == pytest.approx(top / (2**bits - 1))
    assert (f"{bits} bits in 16" in image.note) == (bits < 16)
    assert read_visible(path, as_stored=True).pixels.max() == pytest.approx(top / 65535)
    assert read_thermal(path, ThermalOptions(window=(0, 65535))).pixels.max() == pytest.approx(top / 65535)
