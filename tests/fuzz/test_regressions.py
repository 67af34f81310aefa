"""What the harness has found, each as a small file made here: refused in one line, and nothing is printed."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.errors import InputError, IvfuseError
from ivfuse.fusion.manifest import read_manifest
from ivfuse.fusion.registry import create_method
from ivfuse.image.decoders import libtiff_errors
from ivfuse.image.headers import exif_orientation
from ivfuse.image.read import read_visible
from ivfuse.runtime.files import part_of, write_atomic
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.read import ThermalOptions, read_raw
from ivfuse.video.frame import Frame
from ivfuse.video.writer import EncoderOptions, open_writer

RAMP = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) % 251


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[str, bytes, str], None]:
    """Check that a file is refused for a reason, and that nothing is printed."""

    def check(name: str, data: bytes, reason: str) -> None:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=reason) as caught:
            read_visible(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert capfd.readouterr() == ("", "")

    return check


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(*extra: bytes, bits: int = 8, color: int = 0, rest: bytes = b"\0\0\0") -> bytes:
    """4x2 pixels of 8 bits, with chunks between the header and the pixels."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2}.get(color, 1)
    rows = (b"\0" + bytes(range(4 * samples * bits // 8))) * 2
    head = chunk(b"IHDR", struct.pack(">IIBB", 4, 2, bits, color) + rest)
    parts = (head, *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(chunk(b"IHDR", struct.pack(">IIBB", 4, 2, 8, 0) + bytes(3))), "several headers"),
        (png(rest=b"\1\0\0"), "its header"),
        (png(rest=b"\0\x40\0"), "its header"),
        (png(rest=b"\0\0\2"), "its header"),
        (png(bits=8, color=5), "its header"),
        (png(color=3), "its palette"),
        (png(chunk(b"PLTE", bytes(4)), color=3), "its palette"),
        (png(chunk(b"PLTE", bytes(3 * 257)), color=3), "its palette"),
    ],
)
def test_png_headers_and_palettes_that_cannot_be(
    refused: Callable[[str, bytes, str], None], data: bytes, reason: str
) -> None:
    refused("a.png", data, f"damaged PNG.*{reason}")


@pytest.mark.parametrize(
    ("extra", "color"),
    [
        (chunk(b"PLTE", bytes(6)), 0),
        (chunk(b"tRNS", bytes(3)), 0),
        (chunk(b"tRNS", b"\1\0"), 0),
        (chunk(b"tRNS", bytes(2)), 2),
        (chunk(b"tRNS", bytes(2)), 4),
    ],
)
def test_png_chunks_that_mean_nothing_are_ignored_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], extra: bytes, color: int
) -> None:
    (tmp_path / "a.png").write_bytes(png(extra, color=color))
    (tmp_path / "b.png").write_bytes(png(color=color))
    with_chunk, without = read_visible(tmp_path / "a.png"), read_visible(tmp_path / "b.png")
    assert np.array_equal(with_chunk.pixels, without.pixels)
    assert (with_chunk.alpha is None) == (color != 4)
    assert capfd.readouterr() == ("", "")


def test_a_transparent_value_of_a_png_is_still_applied(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(chunk(b"tRNS", b"\0\2")))
    alpha = read_visible(tmp_path / "a.png").alpha
    assert alpha is not None
    assert alpha.tolist() == [[1, 1, 0, 1]] * 2


@pytest.mark.parametrize("kind", ["lossy", "lossless", "extended"])
def test_the_size_of_a_webp_is_checked_before_its_canvas_is_allocated(
    refused: Callable[[str, bytes, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    file, image = io.BytesIO(), Image.fromarray(RAMP.astype(np.uint8)).convert("RGB")
    options = {"exif": b"Exif\0\0II*\0" + bytes(8)} if kind == "extended" else {}
    image.save(file, "WEBP", lossless=kind == "lossless", **options)
    (tmp_path / "sound.webp").write_bytes(file.getvalue())
    assert read_visible(tmp_path / "sound.webp").pixels.shape == (32, 48, 3)
    monkeypatch.setattr("ivfuse.runtime.limits._pixels", 32 * 48 - 1)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile", None)
    refused("a.webp", file.getvalue(), "states 48x32 pixels")
    refused("b.webp", file.getvalue()[:12] + b"VP9 " + file.getvalue()[16:], "damaged WebP")


def tiff(compression: str, pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels.astype(np.uint8))
    image = image.convert("1") if compression == "group4" else image
    image.save(file, "TIFF", compression=compression)
    return file.getvalue()


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "jpeg"])
def test_damage_that_libtiff_only_prints_is_an_error(
    refused: Callable[[str, bytes, str], None], compression: str
) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (32, 48))
    data = bytearray(tiff(compression, noisy))
    pixels = Image.open(io.BytesIO(data)).tag_v2[273][0]  # type: ignore[attr-defined]
    data[pixels + 20 : pixels + 60] = b"\x7f\xfe" * 20
    refused("a.tif", bytes(data), "damaged TIFF")


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_deflate"])
def test_a_size_that_the_stored_bytes_cannot_hold_takes_no_memory(
    refused: Callable[[str, bytes, str], None], compression: str
) -> None:
    data = bytearray(tiff(compression, RAMP))
    entry = data.index(struct.pack("<HHI", 256, 4, 1)) if struct.pack("<HHI", 256, 4, 1) in data else None
    at = entry if entry is not None else data.index(struct.pack("<HHI", 256, 3, 1))
    data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 12_000_000)
    refused("a.tif", bytes(data), "bytes cannot hold 12000000x32 pixels")


def test_lines_of_others_are_printed_after_the_decoding(capfd: pytest.CaptureFixture[str]) -> None:
    with libtiff_errors() as errors:
        os.write(2, b"12/24\nFax4Decode: Bad code word at line 3 of strip 0 (x 27).\n")
        os.write(2, b"TIFFReadDirectory: Warning, Unknown field.\nhalf a line")
    assert errors == ["Fax4Decode: Bad code word at line 3 of strip 0 (x 27)."]
    assert capfd.readouterr().err == "12/24\nhalf a line"


def test_a_valid_fax_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff("group4", RAMP))
    assert set(np.unique(read_visible(tmp_path / "a.tif").pixels)) == {0, 1}


def big_tiff(first: int, count: int = 0, following: int = 0) -> bytes:
    directory = struct.pack("<QQ", count, following)
    return b"II+\0" + struct.pack("<HHQ", 8, 0, first) + directory


@pytest.mark.parametrize(
    "data",
    [big_tiff(2**64 - 1), big_tiff(2**63), big_tiff(16, 2**64 - 1), big_tiff(16, 2**60), big_tiff(10**6)],
)
def test_positions_beyond_all_memory_are_a_truncated_file(
    refused: Callable[[str, bytes, str], None], data: bytes
) -> None:
    refused("a.tif", data, "truncated TIFF")
    assert exif_orientation(data) == 1


def test_the_following_directory_may_lie_anywhere(refused: Callable[[str, bytes, str], None]) -> None:
    refused("a.tif", big_tiff(16, 0, 2**64 - 1), "0x0 pixels")


def float_tiff(path: Path, values: np.ndarray) -> Path:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, values, metadata=None)
    return path


def test_doubles_beyond_float32_are_refused_by_their_values(tmp_path: Path) -> None:
    path = float_tiff(tmp_path / "a.tif", np.array([[0.0, 1e300], [1.0, 2.0]]))
    with pytest.raises(InputError, match=r"64-bit float.* not supported \(values from 0 to 1e\+300\)"):
        read_visible(path)


def test_a_description_is_of_the_finite_values_and_valid_json(tmp_path: Path) -> None:
    values = np.array([[-np.inf, np.inf, np.nan], [1, 2, 6]], np.float32)
    facts = describe_file(float_tiff(tmp_path / "a.tif", values), ThermalOptions())
    assert facts["values"] == {"min": 1, "mean": 3, "max": 6}
    nothing = describe_file(float_tiff(tmp_path / "b.tif", values[:1]), ThermalOptions())
    assert nothing["values"] is None
    json.dumps([facts, nothing], allow_nan=False)


@pytest.mark.parametrize(("kind", "bits"), [("f2", 0x7C01), ("f4", 0x7F800001), ("f8", 0x7FF0000000000001)])
@pytest.mark.filterwarnings("error")
def test_signaling_nan_is_no_temperature_and_warns_of_nothing(tmp_path: Path, kind: str, bits: int) -> None:
    values = np.array([[100, 101, 102]] * 3, kind)
    values.view(kind.replace("f", "u"))[0, 0] = bits
    raw = read_raw(float_tiff(tmp_path / "a.tif", values), ThermalOptions(scale="1C"))
    assert np.isnan(raw.values[0, 0])
    assert raw.values[0, 1:].tolist() == [101, 102]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("default = " + "9" * 5000, "cannot read the manifest"),
        ("a = " + "[" * 5000, "cannot read the manifest"),
        ("models = 3", "models = 3"),
        ("default = []", "default = "),
        ("default = {a = 1}", "default = "),
    ],
)
def test_manifests_with_odd_values(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_manifest(tmp_path / "manifest.toml")


def test_a_word_without_end_is_shortened_and_a_long_path_is_not() -> None:
    folder = "/".join(["folder" * 20] * 20)
    text = str(InputError(f"{folder}/a.json: found {'[' * 3000}, expected a number"))
    assert text == f"{folder}/a.json: found {'[' * 60}... expected a number"


def test_the_first_output_in_a_folder_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = part_of(tmp_path / "last.ckpt")
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-"))
    left.write_bytes(b"half")
    write_atomic(tmp_path / "last.ckpt", b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_frame_rate_that_no_encoder_takes_is_written(tmp_path: Path) -> None:
    pytest.importorskip("av")
    options = EncoderOptions(preset="ultrafast", threads=1)
    writer = open_writer(str(tmp_path / "a.mp4"), Fraction(2**31 - 1), options)
    writer.write(Frame((np.zeros((32, 32), np.uint8),), 0.0, 0))
    assert writer.close() == tmp_path / "a.mp4"


def test_a_graph_whose_names_are_no_text_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    shape = [1, 1, "h", "w"]
    ends = [onnx.helper.make_tensor_value_info(name, 1, shape) for name in ("ir", "vi", "fused")]
    node = onnx.helper.make_node("Add", ["ir", "unknownnn"], ["fused"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:2], ends[2:]))
    path, image = tmp_path / "a.onnx", np.zeros((8, 8), np.float32)
    path.write_bytes(model.SerializeToString().replace(b"unknownnn", b"unk\xff\xffnnn"))
    with pytest.raises(IvfuseError, match=r"a\.onnx: .* cannot load the graph"):
        create_method(path, runtime="onnxruntime").fuse(image, image)
    assert capfd.readouterr() == ("", "")


def test_checkpoints_that_confuse_the_readers_of_archives_and_pickles(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from ivfuse.training.checkpoint import load_state
    from ivfuse.training.release import read_release

    path = tmp_path / "a.ckpt"
    torch.save({"weights": {}}, path)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 6] = 255  # the version that is needed to extract it
    newer = bytes(data)
    path.write_bytes(newer)
    assert load_state(path) == {"weights": {}}
    torch.save({"weights": {"a": torch.zeros(3)}}, path, _use_new_zipfile_serialization=False)
    old = path.read_bytes()
    assert load_state(path)["weights"]["a"].tolist() == [0, 0, 0]
    at = old.index(b"weights") - 5
    assert old[at : at + 1] == b"X"  # BINUNICODE: four bytes of length, then the text
    huge = old[: at + 1] + struct.pack("<I", 2**32 - 1) + old[at + 5 :]
    for content in (huge, huge + newer, old[:40], b""):
        path.write_bytes(content)
        for read in (load_state, read_release):
            with pytest.raises(InputError, match=r"a\.ckpt: ") as caught:
                read(path)
            assert not isinstance(caught.value.__context__, MemoryError)
