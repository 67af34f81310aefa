"""Images from files: every format, depth and kind, and what is said about bad ones."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ivfuse.errors import InputError, UsageError
from ivfuse.image.decode import upright_size
from ivfuse.image.read import read_visible
from ivfuse.thermal.read import ThermalOptions, read_thermal

HEIGHT, WIDTH = 24, 34
SUFFIXES = ("png", "jpg", "tif", "bmp", "webp")


def ramp(channels: int, dtype: type = np.uint8) -> np.ndarray:
    """A smooth image whose channels and corners all differ."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT - 1, WIDTH - 1])[:, None, None]
    planes = [0.9 * x, 0.1 + 0.8 * y, 0.2 + 0.3 * x + 0.4 * y, 0.5 + 0.4 * x * y]
    top = np.iinfo(dtype).max
    out = np.rint(np.stack(planes[:channels], -1) * top).astype(dtype)
    return out[..., 0] if channels == 1 else out


def png(array: np.ndarray, color: int, *, extra: bytes = b"", size: tuple[int, int] | None = None) -> bytes:
    """A PNG file of big-endian samples, written by hand: 16-bit modes that no library here writes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = size or array.shape[:2]
    bits = 8 * array.itemsize
    rows = b"".join(b"\0" + row.astype(array.dtype.newbyteorder(">")).tobytes() for row in array)
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(array: np.ndarray, tags: dict[int, int] | None = None, order: str = "<") -> bytes:
    """An uncompressed TIFF file of one strip, written by hand."""
    samples = 1 if array.ndim == 2 else array.shape[2]
    height, width = array.shape[:2]
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    fields = {256: width, 257: height, 258: 8 * array.itemsize, 259: 1, 262: 1 if samples < 3 else 2}
    fields |= {273: 8, 277: samples, 278: height, 279: len(data), 284: 1}
    fields |= {339: {"u": 1, "i": 2, "f": 3}[array.dtype.kind]} | (tags or {})
    entries = b""
    for tag, value in sorted(fields.items()):
        if tag in (258, 339) and samples > 2:  # a value for each sample, stored behind the directory
            at = 8 + len(data) + 2 + 12 * len(fields) + 4 + (0 if tag == 258 else 2 * samples)
            entries += struct.pack(order + "HHII", tag, 3, samples, at)
        else:
            entries += struct.pack(order + "HHII", tag, 4, 1, value)
    directory = struct.pack(order + "H", len(fields)) + entries + struct.pack(order + "I", 0)
    lists = struct.pack(f"{order}{samples}H", *[fields[258]] * samples)
    lists += struct.pack(f"{order}{samples}H", *[fields[339]] * samples)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8 + len(data)) + data + directory + lists


def by_pillow(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def by_opencv(array: np.ndarray, suffix: str) -> bytes:
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(array.shape[-1] if array.ndim == 3 else 1)
    done, data = cv2.imencode(suffix, array if order is None else np.ascontiguousarray(array[..., order]))
    assert done
    return data.tobytes()


def by_tag(array: np.ndarray, orientation: int) -> bytes:
    """A PNG file with an orientation."""
    exif = Image.Exif()
    exif[274] = orientation
    return by_pillow(Image.fromarray(array), "PNG", exif=exif)


def save(tmp_path: Path, data: bytes, name: str = "image.bin") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


FORMATS = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF", "bmp": "BMP", "webp": "WEBP"}
LOSSLESS = {"webp": {"lossless": True, "exact": True}, "jpg": {"quality": 100, "subsampling": 0}}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_8_bit_files_are_divided_by_255(tmp_path: Path, suffix: str, channels: int) -> None:
    values = ramp(channels)
    data = by_pillow(Image.fromarray(values), FORMATS[suffix], **LOSSLESS.get(suffix, {}))
    image = read_visible(save(tmp_path, data))
    pixels = image.pixels[..., 0] if suffix == "webp" and channels == 1 else image.pixels  # WebP has no gray
    # JPEG at quality 100 rounds coefficients and converts colors: up to 3 levels.
    np.testing.assert_allclose(pixels, values / 255, atol=3 / 255 if suffix == "jpg" else 1e-7)
    assert pixels.dtype == np.float32
    assert (image.depth, image.alpha, image.note) == (8, None, "")
    assert (image.height, image.width) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files_keep_all_their_bits(tmp_path: Path, suffix: str, channels: int) -> None:
    values = ramp(channels, np.uint16) | 1  # odd: 8 bit could not hold them
    image = read_visible(save(tmp_path, by_opencv(values, suffix)))
    assert np.array_equal(np.rint(image.pixels * 65535).astype(np.uint16), values)
    assert image.depth == 16


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_is_read_in_both_byte_orders(tmp_path: Path, order: str, channels: int, dtype: type) -> None:
    values = ramp(channels, dtype)
    tags = {338: 2} if channels == 4 else {}
    image = read_visible(save(tmp_path, tiff(values, tags, order)))
    expected = values / np.iinfo(dtype).max
    color = expected if channels == 1 else expected[..., :3]
    np.testing.assert_allclose(image.pixels, color, atol=1e-7)
    if channels == 4:
        assert image.alpha is not None
        np.testing.assert_allclose(image.alpha, expected[..., 3], atol=1e-7)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_compressions_are_read(tmp_path: Path, compression: str) -> None:
    values = ramp(3)
    data = by_pillow(Image.fromarray(values), "TIFF", compression=compression)
    np.testing.assert_allclose(read_visible(save(tmp_path, data)).pixels, values / 255, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiled_tiff_is_read(tmp_path: Path, dtype: type) -> None:
    values = (np.arange(32 * 32).reshape(32, 32) % 251).astype(dtype)
    quarters = [values[y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)]
    data = b"".join(quarter.tobytes() for quarter in quarters)
    size = len(data) // 4
    kind = 3 if np.dtype(dtype).kind == "f" else 1
    ones = {256: 32, 257: 32, 258: 8 * values.itemsize, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16, 339: kind}
    lists_at = 8 + len(data) + 2 + 12 * (len(ones) + 2) + 4
    rows = [(tag, 1, value) for tag, value in ones.items()] + [(324, 4, lists_at), (325, 4, lists_at + 16)]
    entries = b"".join(struct.pack("<HHII", tag, 4, n, value) for tag, n, value in sorted(rows))
    tail = struct.pack("<4I", *(8 + i * size for i in range(4))) + struct.pack("<4I", *[size] * 4)
    file = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    file += struct.pack("<H", len(rows)) + entries + struct.pack("<I", 0) + tail
    thermal = read_thermal(save(tmp_path, file), ThermalOptions((0, 250)))
    np.testing.assert_allclose(thermal.pixels, values / 250, atol=1e-6)


def test_a_tiff_with_white_at_zero_is_turned_to_black_at_zero(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        values = ramp(1, dtype)
        image = read_visible(save(tmp_path, tiff(np.iinfo(dtype).max - values, {262: 0})))
        np.testing.assert_allclose(image.pixels, values / np.iinfo(dtype).max, atol=1e-7)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_alpha_is_kept_apart_and_not_multiplied(tmp_path: Path, suffix: str) -> None:
    values = ramp(4)
    values[:4, :, 3] = 0
    data = by_pillow(Image.fromarray(values), FORMATS[suffix], **LOSSLESS.get(suffix, {}))
    image = read_visible(save(tmp_path, data))
    np.testing.assert_allclose(image.pixels, values[..., :3] / 255, atol=1e-7)
    assert image.alpha is not None
    np.testing.assert_allclose(image.alpha, values[..., 3] / 255, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_with_alpha_stays_gray(tmp_path: Path, dtype: type) -> None:
    values = ramp(2, dtype)
    image = read_visible(save(tmp_path, png(values, 4)))
    np.testing.assert_allclose(image.pixels, values[..., 0] / np.iinfo(dtype).max, atol=1e-7)
    assert image.alpha is not None
    np.testing.assert_allclose(image.alpha, values[..., 1] / np.iinfo(dtype).max, atol=1e-7)


def test_16_bit_rgba_png_keeps_its_bits_and_alpha(tmp_path: Path) -> None:
    values = ramp(4, np.uint16)
    image = read_visible(save(tmp_path, png(values, 6)))
    np.testing.assert_allclose(image.pixels, values[..., :3] / 65535, atol=1e-7)
    assert image.alpha is not None
    np.testing.assert_allclose(image.alpha, values[..., 3] / 65535, atol=1e-7)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_palettes_are_expanded(tmp_path: Path, format_: str) -> None:
    image = Image.fromarray(ramp(3)).quantize(16)
    expected = np.asarray(image.convert("RGB")) / 255
    image = read_visible(save(tmp_path, by_pillow(image, format_)))
    np.testing.assert_allclose(image.pixels, expected, atol=1e-7)
    assert image.alpha is None


def test_a_transparent_palette_color_becomes_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(ramp(3)).quantize(8)
    index = np.asarray(image)
    image = read_visible(save(tmp_path, by_pillow(image, "PNG", transparency=3)))
    assert image.alpha is not None
    assert np.array_equal(image.alpha == 0, index == 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_transparent_color_of_png_does_not_disturb_the_colors(
    tmp_path: Path, channels: int, dtype: type
) -> None:
    values = ramp(channels, dtype)
    color = values[3, 4:5].astype(">u2").tobytes()
    chunk = struct.pack(">I", len(color)) + b"tRNS" + color
    chunk += struct.pack(">I", zlib.crc32(b"tRNS" + color))
    image = read_visible(save(tmp_path, png(values, 0 if channels == 1 else 2, extra=chunk)))
    np.testing.assert_allclose(image.pixels, values / np.iinfo(dtype).max, atol=1e-7)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_1_bit_files_are_black_and_white(tmp_path: Path, format_: str) -> None:
    values = ramp(1) > 100
    image = read_visible(save(tmp_path, by_pillow(Image.fromarray(values), format_)))
    assert np.array_equal(image.pixels, values.astype(np.float32))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = ramp(3)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright), 7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    data = by_pillow(image, FORMATS[suffix], exif=exif, **LOSSLESS.get(suffix, {}))
    image = read_visible(save(tmp_path, data))
    assert image.pixels.shape == upright.shape
    # JPEG: rounding of coefficients and colors.
    np.testing.assert_allclose(image.pixels, upright / 255, atol=3 / 255 if suffix == "jpg" else 1e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_is_turned_alike_at_every_depth(
    tmp_path: Path, channels: int, dtype: type, orientation: int
) -> None:
    stored = ramp(channels).astype(dtype)
    stored = (
        stored if dtype == np.uint8 else stored / dtype(255) if dtype == np.float32 else stored * dtype(257)
    )
    image = read_visible(save(tmp_path, tiff(stored, {274: orientation})))
    expected = read_visible(save(tmp_path, by_tag(ramp(channels), orientation))).pixels
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_within_0_and_1_are_taken_as_they_are(tmp_path: Path, channels: int) -> None:
    values = (ramp(channels, np.uint16) / 65535).astype(np.float32)
    image = read_visible(save(tmp_path, tiff(values)))
    assert np.array_equal(image.pixels, values[..., :3] if channels == 4 else values)
    assert (image.depth, image.note) == (32, "")


def test_other_floats_are_stretched_and_the_note_says_so(tmp_path: Path) -> None:
    values = np.linspace(-5, 300, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    image = read_visible(save(tmp_path, tiff(values)))
    np.testing.assert_allclose(image.pixels, (values + 5) / 305, atol=1e-6)
    assert "stretched from -5 to 300" in image.note


def test_float64_tiff_is_read(tmp_path: Path) -> None:
    values = np.linspace(20, 40, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    thermal = read_thermal(save(tmp_path, tiff(values)), ThermalOptions((20, 40)))
    np.testing.assert_allclose(thermal.pixels, (values - 20) / 20, atol=1e-6)


def test_thermal_counts_are_mapped_by_the_1st_and_99th_percentile(tmp_path: Path) -> None:
    counts = np.linspace(7000, 8200, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    thermal = read_thermal(save(tmp_path, by_opencv(counts, ".png")))
    low, high = np.percentile(counts, [1, 99])
    np.testing.assert_allclose(thermal.pixels, np.clip((counts - low) / (high - low), 0, 1), atol=1e-6)
    assert thermal.notes == (f"16-bit counts, window {low:.6g} to {high:.6g}",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_given_window_is_used_for_every_type(tmp_path: Path, dtype: type) -> None:
    values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256
    thermal = read_thermal(save(tmp_path, tiff(values.astype(dtype))), ThermalOptions((50, 150)))
    np.testing.assert_allclose(thermal.pixels, np.clip((values - 50) / 100, 0, 1), atol=1e-6)
    assert "window 50 to 150" in thermal.notes[0]


def test_8_bit_thermal_needs_no_window(tmp_path: Path) -> None:
    values = ramp(1)
    thermal = read_thermal(save(tmp_path, by_opencv(values, ".png")))
    np.testing.assert_allclose(thermal.pixels, values / 255, atol=1e-7)
    assert thermal.notes == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_color_thermal_becomes_luma(tmp_path: Path, dtype: type) -> None:
    values = ramp(3, dtype)
    top = np.iinfo(dtype).max
    thermal = read_thermal(save(tmp_path, by_opencv(values, ".png")), ThermalOptions((0, top)))
    expected = values @ np.array([0.299, 0.587, 0.114]) / top
    np.testing.assert_allclose(thermal.pixels, expected, atol=0.51 / top)  # the luma is rounded to a level


@pytest.mark.parametrize("value", [0, 7000])
def test_a_constant_thermal_image_is_black_not_an_error(tmp_path: Path, value: int) -> None:
    counts = np.full((5, 6), value, np.uint16)
    thermal = read_thermal(save(tmp_path, by_opencv(counts, ".png")))
    assert np.array_equal(thermal.pixels, np.zeros((5, 6)))
    assert f"constant {value}" in thermal.notes[0]


@pytest.mark.parametrize("window", [(5, 5), (0, float("nan")), (float("-inf"), 3)])
def test_an_empty_window_is_refused(tmp_path: Path, window: tuple[float, float]) -> None:
    path = save(tmp_path, by_opencv(ramp(1, np.uint16), ".png"))
    with pytest.raises(UsageError, match="expected two finite values that differ"):
        read_thermal(path, ThermalOptions(window))


@pytest.mark.parametrize("name", ["nacht-ü-夜.png", "with space.png", "no_suffix"])
def test_any_name_can_be_read(tmp_path: Path, name: str) -> None:
    values = ramp(1)
    path = save(tmp_path, by_opencv(values, ".png"), name)
    np.testing.assert_allclose(read_visible(path).pixels, values / 255, atol=1e-7)
    np.testing.assert_allclose(read_visible(str(path)).pixels, values / 255, atol=1e-7)


@pytest.mark.parametrize("format_", ["TIFF", "WEBP", "PNG"])
def test_the_first_of_several_images_is_taken_and_the_note_says_so(tmp_path: Path, format_: str) -> None:
    frames = [Image.fromarray(ramp(3)), Image.fromarray(255 - ramp(3))]
    options = LOSSLESS["webp"] if format_ == "WEBP" else {}
    data = by_pillow(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    image = read_visible(save(tmp_path, data))
    np.testing.assert_allclose(image.pixels, ramp(3) / 255, atol=1e-7)
    assert "first of several" in image.note


def test_trailing_bytes_do_no_harm(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".bmp"):
        data = by_opencv(ramp(3), suffix) + b"appended by a camera"
        assert read_visible(save(tmp_path, data)).pixels.shape == (HEIGHT, WIDTH, 3)


# ------------------------------------------------------------------ bad files


def samples() -> dict[str, bytes]:
    """One file of each decoder's path."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)  # long enough to have strips and chunks
    deep = rng.integers(0, 65536, (200, 300, 3), dtype=np.uint16)
    image = Image.fromarray(noise)
    return {
        "png": by_opencv(noise, ".png"),
        "png16": by_opencv(deep, ".png"),
        "png-palette": by_pillow(image.quantize(64), "PNG"),
        "jpeg": by_opencv(noise, ".jpg"),
        "jpeg-progressive": by_pillow(image, "JPEG", progressive=True),
        "tiff-raw": by_pillow(image, "TIFF"),
        "tiff-lzw": by_pillow(image, "TIFF", compression="tiff_lzw"),
        "tiff16": by_opencv(deep, ".tif"),
        "tiff-float": tiff(deep.astype(np.float32)),
        "bmp": by_pillow(image, "BMP"),
        "webp": by_pillow(image, "WEBP", quality=80),
        "webp-lossless": by_pillow(image, "WEBP", lossless=True),
    }


SAMPLES = samples()


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1, 20])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    data = SAMPLES[kind]
    read_visible(save(tmp_path, data))  # whole, it is fine
    path = save(tmp_path, data[: int(kept * len(data)) if kept < 1 else int(kept)], "cut.img")
    for read in (read_visible, read_thermal):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["png", "png16", "png-palette"])
def test_a_png_with_a_wrong_checksum_is_refused(tmp_path: Path, kind: str) -> None:
    data = bytearray(SAMPLES[kind])
    data[len(data) // 2] ^= 0x55
    with pytest.raises(InputError, match="damaged PNG"):
        read_visible(save(tmp_path, bytes(data)))


@pytest.mark.parametrize("kind", SAMPLES)
def test_damage_never_raises_anything_but_an_input_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(15):
        data = bytearray(SAMPLES[kind])
        for at in rng.integers(8, min(len(data), 600), 5):
            data[at] = rng.integers(256)
        path = save(tmp_path, bytes(data))
        with contextlib.suppress(InputError):
            assert np.isfinite(read_visible(path).pixels).all()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"Hello, this is no image at all.", "not an image"),
        (b"GIF89a" + bytes(40), "not an image"),
        (b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        (b"\xff\xd8\xff", "truncated JPEG"),
        (b"II*\0", "truncated TIFF"),
        (b"BM", "BMP"),
        (b"RIFF\x10\0\0\0WEBP", "WebP"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    path = save(tmp_path, data)
    with pytest.raises(InputError, match=rf"{path.name}.*{found}.*expected"):
        read_visible(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.png: no such file, expected"):
        read_visible(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match="found a folder, expected"):
        read_thermal(tmp_path)
    file = save(tmp_path, b"x")
    with pytest.raises(InputError, match="cannot be read"):
        read_thermal(file / "below.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_visible("null\0character.png")


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, SAMPLES["png"])

    def refuse(*_: object) -> None:  # by hand: an administrator may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_visible(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float) -> None:
    values = np.full((HEIGHT, WIDTH), 20, np.float32)
    values[3, 4] = value
    path = save(tmp_path, tiff(values))
    for read in (read_visible, read_thermal):
        with pytest.raises(InputError, match="1 values that are NaN or infinite"):
            read(path)


def huge(kind: str) -> bytes:
    """A small file whose header claims 100,000 x 100,000 pixels."""
    side = 100_000
    small = np.zeros((4, 4), np.uint8)
    if kind == "png":
        return png(small, 0, size=(side, side))
    if kind == "png-palette":
        return png(small, 3, size=(side, side))
    if kind == "tiff":
        return tiff(small, {256: side, 257: side})
    if kind == "tiff16":
        return tiff(small.astype(np.uint16), {256: side, 257: side})
    if kind == "bmp":
        data = bytearray(by_pillow(Image.fromarray(small), "BMP"))
        struct.pack_into("<ii", data, 18, side, side)
        return bytes(data)
    data = bytearray(by_opencv(small, ".jpg"))  # JPEG cannot say more than 65,535
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65535, 65535)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "png-palette", "tiff", "tiff16", "bmp", "jpeg"])
def test_a_header_that_claims_a_huge_size_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match=r"the header states \d+x\d+ pixels, expected .* megapixels"):
        read_visible(save(tmp_path, huge(kind)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_is_read_from_the_header_as_the_image_will_be(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path, exif=exif)
    size = upright_size(path)
    image = read_visible(path)
    assert size == (image.width, image.height)
    assert size == ((20, 30) if orientation == 6 and suffix != ".bmp" else (30, 20))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"found a (truncated|damaged)"):
        upright_size(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_an_image_stays_in_the_bytes_of_its_file(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    levels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    levels.flat[0] = np.iinfo(dtype).max  # else its 16 bits could be 10, 12 or 14
    cv2.imwrite(str(tmp_path / "vi.png"), levels[..., ::-1] if levels.ndim == 3 else levels)
    visible = read_visible(tmp_path / "vi.png")
    assert visible.stored.dtype == dtype
    assert np.array_equal(visible.stored, levels)
    assert np.array_equal(visible.pixels, levels / np.float32(np.iinfo(dtype).max))
    assert np.array_equal(read_visible(levels).stored, levels)
