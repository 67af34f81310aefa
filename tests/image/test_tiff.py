"""TIFF files of every sample format: read exactly or refused by name, with bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from ivfuse.errors import InputError, MissingExtraError
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.read import read_values, read_visible
from ivfuse.thermal.read import ThermalOptions, read_thermal

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
COUNTS = (7000 + 20 * np.arange(64)[None] + 13 * np.arange(48)[:, None]).astype(np.uint16)


def write(path: Path, pages: list[tuple[np.ndarray, dict[int, tuple[int, bytes]]]], order: str = "<") -> Path:
    """Write uncompressed pages of one strip; extra fields are given as TIFF type and bytes of the value."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    link = 4
    for array, extra in pages:
        bits, samples = 8 * array.itemsize, 1 if array.ndim == 2 else array.shape[2]
        at = len(data)
        data += array.astype(array.dtype.newbyteorder(order)).tobytes()
        numbers = {256: array.shape[1], 257: array.shape[0], 258: bits, 259: 1, 262: 2 if samples > 2 else 1}
        numbers |= {273: at, 277: samples, 278: array.shape[0], 279: len(data) - at}
        numbers |= {339: {"u": 1, "i": 2, "f": 3}[array.dtype.kind]}
        fields = {tag: (4, struct.pack(order + "I", value)) for tag, value in numbers.items()} | extra
        entries = b""
        for tag, (kind, value) in sorted(fields.items()):
            length = len(value) // {2: 1, 3: 2, 4: 4}[kind]
            if len(value) > 4:
                place = struct.pack(order + "I", len(data))
                data += value
            else:
                place = value.ljust(4, b"\0")
            entries += struct.pack(order + "HHI", tag, kind, length) + place
        data = data[:link] + struct.pack(order + "I", len(data)) + data[link + 4 :]
        data += struct.pack(order + "H", len(fields)) + entries
        link = len(data)
        data += bytes(4)
    path.write_bytes(data)
    return path


def values_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    values = np.random.default_rng(1).integers(-100, 100, shape)
    return (values + 120 if dtype[0] == "u" else values).astype(dtype)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", TYPES)
def test_samples_of_every_type_and_byte_order_are_read_exactly(
    tmp_path: Path, dtype: str, order: str
) -> None:
    if dtype == "f2":
        pytest.importorskip("imagecodecs")
    values = values_of(dtype, (9, 14))
    read = read_values(write(tmp_path / "a.tif", [(values, {})], order)).values
    assert np.array_equal(read.astype(float), values.astype(float))


def test_signed_8_bit_temperatures_keep_their_sign(tmp_path: Path) -> None:
    values = np.array([[-30, 56], [0, -1]], np.int8)
    thermal = read_thermal(write(tmp_path / "a.tif", [(values, {})]), ThermalOptions(scale="1C"))
    np.testing.assert_allclose(thermal.temperatures(), values)


def test_unsigned_32_bit_values_beyond_31_bits_stay_positive(tmp_path: Path) -> None:
    values = np.array([[4_000_000_000, 1]], np.uint32)
    assert np.array_equal(read_values(write(tmp_path / "a.tif", [(values, {})])).values, values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("dtype", ["u1", "i1", ">u2", "u2", "<i2", ">i2", ">i4", ">f2", "f4", ">f4", "f8"])
def test_compressed_color_is_read_exactly(
    tmp_path: Path, dtype: str, compression: str, predictor: bool, planar: str
) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    if predictor and compression == "packbits":
        pytest.skip("not written by tifffile")
    from ivfuse.image.decode import decode

    values = values_of(dtype[-2:], (9, 14, 3))
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0).copy()
    order = ">" if dtype[0] == ">" else "<"
    tifffile.imwrite(
        tmp_path / "a.tif", stored, byteorder=order, compression=compression, predictor=predictor,
        photometric="rgb", planarconfig=planar,
    )  # fmt: skip
    decoded = decode(tmp_path / "a.tif")
    assert not decoded.bgr
    assert np.array_equal(decoded.pixels.astype(float), values.astype(float))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_lerc_is_read_exactly(tmp_path: Path, dtype: str, channels: int) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    values = values_of(dtype, (40, 60) if channels == 1 else (40, 60, channels))
    photometric = "rgb" if channels == 3 else "minisblack"
    for more in ({}, {"compressionargs": {"compression": "zstd"}}):
        tifffile.imwrite(tmp_path / "a.tif", values, compression="lerc", photometric=photometric, **more)
        assert np.array_equal(stored(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_is_read_exactly(tmp_path: Path, channels: int) -> None:
    pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    values = values_of("u1", (40, 60, channels))
    values[..., 3:] |= 1  # encoders may drop colors of transparent pixels
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    lossless = {"compression": "webp", "compressionargs": {"lossless": True}}
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", **lossless, **extra)
    assert np.array_equal(stored(tmp_path / "a.tif"), values[..., :3])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_jpeg_xl_is_read_exactly_or_refused_by_name(tmp_path: Path, dtype: str, channels: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    values = values_of(dtype, (40, 60) if channels == 1 else (40, 60, channels))
    path = tmp_path / "a.tif"
    if imagecodecs.JPEGXL.available:
        photometric = "rgb" if channels == 3 else "minisblack"
        lossless = {"compression": "jpegxl", "compressionargs": {"lossless": True}}
        tifffile.imwrite(path, values, photometric=photometric, **lossless)
        assert np.array_equal(stored(path), values)
    else:
        write(path, [(values, {259: (4, struct.pack("<I", 50002))})])
        with pytest.raises(InputError, match=r"compression JPEG XL.* is not supported"):
            stored(path)


@pytest.mark.parametrize("codec", ["LERC", "WEBP", "JPEGXL"])
def test_a_codec_that_the_installation_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    tifffile = pytest.importorskip("tifffile")
    path, values = tmp_path / "a.tif", values_of("u1", (40, 60, 3))
    tifffile.imwrite(path, values, photometric="rgb", compression=codec)
    names = [name for name in dir(imagecodecs) if name.lower() == f"{codec}_decode".lower()]

    def missing(*args: object, **options: object) -> None:
        raise ImportError(f"could not import name {codec!r} from 'imagecodecs'")

    monkeypatch.setattr(tifffile.TIFF.DECOMPRESSORS, "_codecs", {})
    monkeypatch.setattr(imagecodecs, names[0], missing)
    with pytest.raises(InputError, match=r"not supported \(imagecodecs was built without") as found:
        stored(path)
    assert {"LERC": "LERC", "WEBP": "WebP", "JPEGXL": "JPEG XL"}[codec] in str(found.value)


def stored(path: Path) -> np.ndarray:
    """The values of a file, in R, G, B order."""
    from ivfuse.image.decode import decode

    decoded = decode(path)
    assert not decoded.bgr
    return decoded.pixels


def test_16_bit_gray_with_alpha_is_read(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    values = np.random.default_rng(2).integers(0, 65536, (9, 14, 2)).astype(np.uint16)
    alpha = {262: (3, struct.pack("<H", 1)), 338: (3, struct.pack("<H", 2))}
    image = read_visible(write(tmp_path / "a.tif", [(values, alpha)]))
    np.testing.assert_allclose(image.pixels, values[..., 0] / 65535, atol=1e-7)
    assert image.alpha is not None
    np.testing.assert_allclose(image.alpha, values[..., 1] / 65535, atol=1e-7)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_are_read_and_scaled_by_their_own_white(tmp_path: Path, bits: int) -> None:
    pytest.importorskip("imagecodecs")
    values = np.random.default_rng(3).integers(0, 1 << bits, (6, 8))
    packed = np.packbits(((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(6, -1), axis=1)
    sizes = {256: 8, 258: bits, 279: packed.size}
    tags = {tag: (4, struct.pack("<I", value)) for tag, value in sizes.items()}
    path = write(tmp_path / "a.tif", [(packed, tags)])
    assert np.array_equal(read_values(path).values, values)
    np.testing.assert_allclose(read_visible(path).pixels, values / ((1 << bits) - 1), atol=1e-6)


def test_bands_without_meaning_are_refused_with_their_kind(tmp_path: Path) -> None:
    tags = {262: (3, struct.pack("<H", 1))}
    path = write(tmp_path / "a.tif", [(np.zeros((4, 5, 5), np.uint16), tags)])
    with pytest.raises(InputError, match="compression none, 16-bit unsigned, 5 samples per pixel") as found:
        read_visible(path)
    assert "damaged" not in str(found.value)


def test_a_file_that_needs_the_extra_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    path = write(tmp_path / "a.tif", [(np.zeros((4, 5), np.float16), {})])
    with pytest.raises(MissingExtraError, match=r"a\.tif: .*16-bit float.*\[formats\]"):
        read_visible(path)


def test_a_thumbnail_before_the_image_is_skipped(tmp_path: Path) -> None:
    thumbnail = {254: (4, struct.pack("<I", 1))}
    path = write(tmp_path / "a.tif", [(COUNTS[::4, ::4], thumbnail), (COUNTS, {})])
    read = read_values(path)
    assert np.array_equal(read.values, COUNTS)
    assert read.note == ""


def test_the_full_image_in_a_sub_directory_is_found(tmp_path: Path) -> None:
    thumbnail = {254: (4, struct.pack("<I", 1)), 330: (4, bytes(4))}
    path = write(tmp_path / "a.tif", [(COUNTS[::4, ::4], thumbnail), (COUNTS, {})])
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    second = data[first + 2 + 12 * count : first + 6 + 12 * count]
    data[first + 2 + 12 * count : first + 6 + 12 * count] = bytes(4)
    entry = next(at for at in range(first + 2, first + 2 + 12 * count, 12) if data[at : at + 2] == b"J\x01")
    data[entry + 8 : entry + 12] = second
    path.write_bytes(data)
    assert np.array_equal(read_values(path).values, COUNTS)


def test_raw_files_of_cameras_are_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", [(COUNTS, {50706: (2, b"\1\4\0\0")})])
    with pytest.raises(InputError, match="raw file of a camera"):
        read_visible(path)


@pytest.mark.parametrize(
    ("text", "value"), [("-10000", -10000), ("-3.4e38", -3.4e38), ("nan", np.nan), ("-32768", -32768)]
)
@pytest.mark.parametrize("scale", [None, "1C"])
def test_pixels_without_data_are_no_thermal(
    tmp_path: Path, text: str, value: float, scale: str | None
) -> None:
    values = (COUNTS / 100).astype(np.int16 if text == "-32768" else np.float32)
    expected = read_thermal(
        write(tmp_path / "cut.tif", [(values[:, 20:].copy(), {})]), ThermalOptions(scale=scale)
    )
    values[:, :20] = value
    path = write(tmp_path / "a.tif", [(values, {42113: (2, text.encode() + b" \0")})])
    thermal = read_thermal(path, ThermalOptions(scale=scale))
    assert np.array_equal(thermal.pixels[:, 20:], expected.pixels)
    assert thermal.valid is not None
    assert np.array_equal(thermal.valid, np.broadcast_to(np.arange(64) >= 20, values.shape))
    if scale:
        assert np.isnan(thermal.temperatures()[:, :20]).all()
        assert np.isfinite(thermal.temperatures()[:, 20:]).all()


@pytest.mark.parametrize("times", [1, 2])
def test_the_visible_image_is_kept_where_there_is_no_data(tmp_path: Path, times: int) -> None:
    values = (COUNTS / 100).astype(np.float32)
    values[:, :20] = -10000
    path = write(tmp_path / "a.tif", [(values, {42113: (2, b"-10000\0")})])
    visible = np.random.default_rng(4).random((48 * times, 64 * times), np.float32)
    fuser = Fuser("average")
    pair = fuser.read(path, visible)
    assert pair.coverage is not None
    assert (pair.coverage[:, : 20 * times] == 0).all()
    assert (pair.coverage[:, 21 * times :] == 1).all()
    fused = fuser.fuse_pair(pair)
    assert np.array_equal(fused[:, : 20 * times], visible[:, : 20 * times])
    assert not np.array_equal(fused[:, 21 * times :], visible[:, 21 * times :])


@pytest.mark.parametrize("kind", ["tiff", "png"])
def test_a_directory_of_large_entries_costs_little_memory(tmp_path: Path, kind: str) -> None:
    payload = bytes(200_000)
    entries = [
        (256, 4, 1, 4),
        (257, 4, 1, 4),
        (258, 4, 1, 8),
        (262, 4, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 16),
    ]
    entries += [(tag, 7, len(payload), 8) for tag in range(1000, 9000)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries)
    block = b"II*\0" + struct.pack("<I", 8 + len(payload)) + payload + directory + bytes(4)
    path = tmp_path / "image.bin"
    if kind == "tiff":
        path.write_bytes(block)
    else:
        from PIL import Image

        Image.new("L", (4, 4)).quantize(4).save(path, "PNG", exif=block)
    code = (
        "import resource, sys; import numpy, cv2, PIL.Image; from ivfuse.image.read import read_visible\n"
        "read_visible(sys.argv[1] + '.small')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert read_visible(sys.argv[1]).pixels.shape[:2] == (4, 4)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    write(Path(f"{path}.small"), [(np.zeros((4, 4), np.uint8), {})])
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50_000  # KB


def test_damaged_deflate_data_is_not_taken_for_pixels(tmp_path: Path) -> None:
    packed = bytearray(zlib.compress(COUNTS.tobytes()))
    packed[len(packed) // 2] ^= 0x40
    sizes = {256: 64, 257: 48, 258: 16, 259: 8, 278: 48}
    tags = {tag: (4, struct.pack("<I", value)) for tag, value in sizes.items()}
    path = write(tmp_path / "a.tif", [(np.frombuffer(bytes(packed), np.uint8)[None], tags)])
    with pytest.raises(InputError, match="damaged TIFF file with compression Deflate"):
        read_values(path)
