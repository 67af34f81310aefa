"""Damaged and oversized JPEG, PNG and BMP files: refused by default, decoded in part on request."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ivfuse.errors import InputError
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.decode import decode
from ivfuse.image.decoders import ALL, opencv_log
from ivfuse.image.jpeg import MAX_SCANS
from ivfuse.image.read import read_visible
from ivfuse.runtime import limits
from ivfuse.thermal.read import read_thermal

HEIGHT, WIDTH = 96, 128


def textured(channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(3)
    shape = (HEIGHT, WIDTH, 3)[: 2 if channels == 1 else 3]
    return np.clip(128 + rng.normal(0, 30, shape), 0, 255).astype(np.uint8)


def jpeg(channels: int = 3, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(textured(channels)).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def read_image(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def broken(data: bytes, how: str) -> bytes:
    middle = len(data) * 2 // 3
    if how == "ended early":
        return data[:middle] + b"\xff\xd9"
    if how == "followed by another":
        return data[:middle] + jpeg(1)
    return data[:middle] + bytes(range(40, 80)) + data[middle + 40 :]


@pytest.mark.parametrize("how", ["ended early", "followed by another", "overwritten"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"channels": 1}])
@pytest.mark.parametrize("read", [read_visible, read_thermal])
def test_a_jpeg_whose_data_is_damaged_is_refused_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str, options: dict[str, object], read: object
) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(broken(jpeg(**options), how))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"broken\.jpg: found a damaged JPEG.* image$"):
        read(path)  # type: ignore[operator]
    assert capfd.readouterr() == ("", "")


def test_a_damaged_jpeg_is_decoded_in_part_on_request(tmp_path: Path, capfd: object) -> None:
    ir, vi = tmp_path / "ir.png", tmp_path / "vi.jpg"
    Image.fromarray(textured(1)).save(ir)
    vi.write_bytes(broken(jpeg(), "ended early"))
    result = Fuser("average", allow_damaged=True).fuse_files(ir, vi, tmp_path / "out.png")
    assert any("visible: damaged, decoded in part" in note for note in result.notes)
    with pytest.raises(InputError, match=r"damaged JPEG.*; allow_damaged uses what can be decoded"):
        Fuser("average").fuse(ir, vi)
    pair = Fuser("average", allow_damaged=True).read(ir, vi)
    whole = read_image(jpeg())
    np.testing.assert_allclose(pair.visible.pixels[:24], whole[:24] / 255, atol=1e-6)
    assert pair.visible.pixels[-8:].std() < 0.02  # the part that is missing


@pytest.mark.parametrize("behind", [jpeg(1), b"\xff\xda" * 500, bytes(1000)])
def test_what_follows_a_complete_jpeg_is_ignored(tmp_path: Path, behind: bytes) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(jpeg() + behind)
    image = read_visible(path)
    assert image.pixels.shape == (HEIGHT, WIDTH, 3)
    assert image.note == ""


def test_a_jpeg_of_inks_becomes_color(tmp_path: Path) -> None:
    Image.fromarray(textured()).convert("CMYK").save(tmp_path / "inks.jpg", quality=95)
    pixels = read_visible(tmp_path / "inks.jpg").pixels
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    (tmp_path / "cut.jpg").write_bytes(broken((tmp_path / "inks.jpg").read_bytes(), "ended early"))
    with pytest.raises(InputError, match="damaged JPEG"):
        read_visible(tmp_path / "cut.jpg")


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path) -> None:
    data = jpeg(progressive=True)
    start = data.rindex(b"\xff\xda")  # the last scan refines one component; it is repeated
    path = tmp_path / "scans.jpg"
    path.write_bytes(data[:start] + data[start:-2] * (MAX_SCANS + 1) + data[-2:])
    with pytest.raises(InputError, match=rf"more than {MAX_SCANS} scans"):
        read_visible(path)


def test_files_too_short_for_their_size_are_refused(tmp_path: Path) -> None:
    small = jpeg(1)
    at = small.index(b"\xff\xc0") + 5
    (tmp_path / "a.jpg").write_bytes(small[:at] + struct.pack(">HH", 16000, 16000) + small[at + 4 :])
    Image.fromarray(textured(1)).save(tmp_path / "b.bmp")
    data = bytearray((tmp_path / "b.bmp").read_bytes())
    struct.pack_into("<ii", data, 18, 16000, 16000)
    (tmp_path / "b.bmp").write_bytes(data)
    (tmp_path / "c.png").write_bytes(png(bytes(200), size=(16000, 16000)))
    for name in ("a.jpg", "b.bmp", "c.png"):
        with pytest.raises(InputError, match=f"{name}: found a truncated"):
            read_visible(tmp_path / name)


def png(rows: bytes, *, size: tuple[int, int] = (16, 8), extra: bytes = b"", bits: int = 8) -> bytes:
    head = struct.pack(">IIBBBBB", *size, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return b"\x89PNG\r\n\x1a\n" + chunks[0] + extra + chunks[1] + chunks[2]


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("fault", ["rows", "filter", "data"])
def test_a_png_with_damaged_data_is_refused_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], bits: int, fault: str
) -> None:
    row = 1 + 16 * bits // 8
    data = png(bytes(8 * row), bits=bits)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    assert read_visible(path).pixels.shape == (8, 16)
    if fault == "rows":
        path.write_bytes(png(bytes(5 * row), bits=bits))
    elif fault == "filter":
        path.write_bytes(png(b"\7" + bytes(8 * row - 1), bits=bits))
    else:
        at = data.index(b"IDAT") + 4
        content = b"\xff" * (int.from_bytes(data[at - 8 : at - 4], "big"))
        checksum = struct.pack(">I", zlib.crc32(b"IDAT" + content))
        path.write_bytes(data[:at] + content + checksum + data[at + len(content) + 4 :])
    with pytest.raises(InputError, match="truncated PNG" if fault == "rows" else "damaged PNG"):
        read_visible(path)
    assert capfd.readouterr() == ("", "")


def test_an_interlaced_png_is_read(tmp_path: Path) -> None:
    values = textured(1)[:13, :11]
    rows = b""
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)):
        rows += b"".join(b"\0" + row.tobytes() for row in values[y::dy, x::dx])
    rows += b"".join(b"\0" + row.tobytes() for row in values[1::2])
    data = bytearray(png(rows, size=(11, 13)))
    data[28] = 1
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    (tmp_path / "image.png").write_bytes(data)
    np.testing.assert_allclose(read_visible(tmp_path / "image.png").pixels * 255, values, atol=1e-4)


def test_the_pixel_limit_follows_the_available_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png(bytes(8 * 17)))
    monkeypatch.setattr(limits, "available_memory", lambda: 100 * limits.BYTES_PER_PIXEL)
    with pytest.raises(InputError, match=r"states 16x8 pixels.*max_pixels"):
        read_visible(path)
    monkeypatch.setattr(limits, "_pixels", None)
    limits.set_pixel_limit(128)
    assert read_visible(path).pixels.shape == (8, 16)
    limits.set_pixel_limit(None)
    monkeypatch.setattr(limits, "available_memory", lambda: None)
    assert limits.pixel_limit() == limits.MAX_PIXELS


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_jpeg", "group4", "tiff_adobe_deflate"])
def test_no_decoder_writes_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (48, 64), dtype=np.uint8))
    path = tmp_path / "a.tif"
    image.convert("1" if compression == "group4" else "L").save(path, compression=compression)
    sound, refused = path.read_bytes(), 0
    for _ in range(60):
        damaged = bytearray(sound)
        for at in rng.integers(8, len(sound) - 150, 4):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            decode(path)
        except InputError:
            refused += 1
    assert refused
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_overwritten_fax_data_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    rng = np.random.default_rng(1)
    rows = cv2.GaussianBlur(rng.random((96, 128), dtype=np.float32), (0, 0), 3) > 0.5
    path = tmp_path / "a.tif"
    Image.fromarray(rows).save(path, compression=compression)
    sound = path.read_bytes()
    np.testing.assert_array_equal(decode(path).pixels, rows * np.uint8(255))
    (at,), (size,) = (Image.open(path).tag_v2[tag] for tag in (273, 279))
    decoded, messages = 0, set()
    for start in rng.integers(at, at + size - 40, 50):
        path.write_bytes(sound[:start] + rng.bytes(16) + sound[start + 16 :])
        try:
            decode(path)
            decoded += 1
        except InputError as error:
            messages.add(str(error).partition(" CCITT")[0])
    assert decoded <= 1  # a stretch may be sound data of another image
    assert messages == {f"{path}: found a damaged TIFF file with compression"}
    assert capfd.readouterr() == ("", "")


def test_the_log_of_opencv_is_as_verbose_as_a_thread_needs_and_restored_at_last() -> None:
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel

    def level() -> int:
        now = int(set_level(ALL))
        set_level(now)
        return now

    before = level()
    fax, plain = opencv_log(ALL), opencv_log()
    with plain:
        assert level() == 0
        fax.__enter__()
        assert level() == ALL
    assert level() == ALL  # that the other reader has finished does not silence this one
    fax.__exit__(None, None, None)
    assert level() == before
