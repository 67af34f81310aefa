"""FFF, SEQ and CSQ files of FLIR: their frames, times and positions, and what is not whole in them."""

from __future__ import annotations

import csv
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, MissingExtraError
from ivfuse.image.exif import TAKEN, read_exif
from ivfuse.thermal.formats.capture import position_of
from ivfuse.thermal.formats.facts import Position
from ivfuse.thermal.formats.flir_records import position
from ivfuse.thermal.formats.registry import format_of, open_frames
from ivfuse.thermal.inspect import describe_file
from ivfuse.thermal.radiometry import Overrides
from ivfuse.thermal.read import ThermalOptions, read_raw, read_thermal

SHARED = Path(__file__).resolve().parents[3] / "shared"
SAMPLES = SHARED / "data" / "thermal_formats"
AS_STORED = Overrides()
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/thermal_formats is absent")


@pytest.fixture
def blocks(flir: Any, camera_file: Any) -> list[bytes]:
    """Five frames, each a little warmer than the one before."""
    return list(flir.recording(camera_file, 5))


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def means(path: Path) -> list[float]:
    """The mean temperature of each frame."""
    frames = open_frames(path)
    assert frames is not None
    return [float(frames.read(index, AS_STORED).values.mean()) for index in range(len(frames))]


def notes_of(path: Path) -> str:
    frames = open_frames(path)
    assert frames is not None
    return "; ".join(frames.notes)


@pytest.mark.parametrize("payload", ["raw", "png", "png-straight", "tiff", "jpeg-ls"])
def test_a_frame_has_the_temperatures_it_was_made_from(
    camera_file: Any, celsius: np.ndarray, tmp_path: Path, payload: str
) -> None:
    if payload == "jpeg-ls":
        pytest.importorskip("imagecodecs", reason="JPEG-LS needs the extra formats")
    path = write(tmp_path / "one.fff", camera_file.with_(payload=payload).block())
    assert format_of(path).name == "FLIR FFF"
    found = read_thermal(path)
    assert found.celsius is not None
    assert np.abs(found.celsius - celsius).max() < 0.02  # counts are whole numbers
    assert len(found.notes) == 1  # on the window


def test_time_and_position_are_facts_of_a_frame(camera_file: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "one.fff", camera_file.with_(position=(-33.8567844, -151.2152967, 12.5)).block())
    stated = read_exif(read_raw(path).metadata.exif)
    assert stated.text(TAKEN) == "2023:11:14 23:13:20"
    assert position_of(stated) == {"latitude": -33.8567844, "longitude": -151.2152967, "altitude": 12.5}
    facts = describe_file(path, ThermalOptions())
    assert facts["taken"] == "2023-11-14T23:13:20.250000+01:00"
    assert facts["position"]["latitude"] == -33.8567844


def test_a_position_that_is_not_marked_as_valid_or_out_of_range_is_none(camera_file: Any) -> None:
    record = bytearray(camera_file.with_(position=(47.0, 8.0, -1.0)).gps_record())
    assert position(bytes(record)) == Position(47.0, 8.0, None, "WGS84")  # -1 stands for unknown
    for at, layout, value in [(0, "<I", 0), (0x10, "<d", 91.0), (0x18, "<d", float("nan"))]:
        changed = bytearray(record)
        struct.pack_into(layout, changed, at, value)
        assert position(bytes(changed)) is None
    assert position(bytes(record[:60])) is None


def test_frames_are_read_by_their_numbers(blocks: list[bytes], tmp_path: Path) -> None:
    path = write(tmp_path / "many.seq", *blocks)
    assert means(path) == sorted(means(path))
    for index, mean in enumerate(means(path)):
        found = read_thermal(f"{path}#{index}")
        assert found.celsius is not None
        assert found.celsius.mean() == mean
    assert read_raw(path).values.mean() == means(path)[0]
    assert "frame 0 of 0 to 4; many.seq#N is frame N" in read_thermal(path).notes


@pytest.mark.parametrize(("frames", "number", "valid"), [(5, 5, "0 to 4"), (1, 1, "0, its only frame")])
def test_a_number_that_is_too_large_is_told_the_valid_ones(
    blocks: list[bytes], tmp_path: Path, frames: int, number: int, valid: str
) -> None:
    path = write(tmp_path / "f.seq", *blocks[:frames])
    with pytest.raises(InputError, match=rf"f\.seq: found no frame {number}, expected {valid}$"):
        read_thermal(f"{path}#{number}")


def test_a_number_sign_is_no_frame_where_a_file_has_that_name_or_is_no_recording(
    blocks: list[bytes], camera_file: Any, tmp_path: Path
) -> None:
    write(tmp_path / "many.seq", *blocks)
    own = write(tmp_path / "many.seq#3", blocks[0])
    assert read_raw(own).values.mean() == means(tmp_path / "many.seq")[0]
    assert read_raw(camera_file.write(tmp_path / "#1 run#2.jpg")).degrees
    camera_file.write(tmp_path / "f.jpg")
    with pytest.raises(InputError, match=r"f\.jpg#0: no such file"):
        read_thermal(tmp_path / "f.jpg#0")


def test_jpeg_ls_without_its_library_says_what_to_install(
    camera_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imagecodecs", reason="the file is made with it")
    path = write(tmp_path / "f.csq", camera_file.with_(payload="jpeg-ls").block())
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        MissingExtraError, match=r"f\.csq: .*JPEG-LS needs more packages: pip install .*formats"
    ):
        read_thermal(path)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (6, b"\x08", "8 bit, where the record states 64x48"),
        (7, b"\xff\xff", "64x65535"),
        (11, b"\x03", "3 channels"),
    ],
)
def test_a_jpeg_ls_header_that_does_not_fit_the_record_is_refused_before_decoding(
    camera_file: Any, tmp_path: Path, at: int, value: bytes, said: str
) -> None:
    pytest.importorskip("imagecodecs", reason="the file is made with it")
    block = bytearray(camera_file.with_(payload="jpeg-ls").block())
    start = block.index(b"\xff\xd8\xff\xf7")
    block[start + at : start + at + len(value)] = value
    with pytest.raises(InputError, match=said):
        read_thermal(write(tmp_path / "f.csq", bytes(block)))


def test_damaged_jpeg_ls_is_one_clear_line(camera_file: Any, tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="the file is made with it")
    block = bytearray(camera_file.with_(payload="jpeg-ls").block())
    start = block.index(b"\xff\xd8\xff\xf7") + 40
    block[start : start + 400] = b"\xff\xd9" * 200
    with pytest.raises(InputError, match=r"f\.csq: found a damaged or truncated JPEG-LS image"):
        read_thermal(write(tmp_path / "f.csq", bytes(block)))


def test_what_is_no_frame_is_skipped_with_a_note(blocks: list[bytes], tmp_path: Path) -> None:
    whole = means(write(tmp_path / "whole.seq", *blocks))
    noise = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    path = write(tmp_path / "f.seq", blocks[0], noise, *blocks[1:3], b"FFF\0" * 9, *blocks[3:], bytes(70))
    assert means(path) == whole
    assert notes_of(path) == f"{5000 + 36 + 70} bytes that are no frame skipped"


def test_the_letters_of_a_header_inside_an_image_are_no_frame(camera_file: Any, tmp_path: Path) -> None:
    counts = camera_file.counts.copy()
    counts[3, :2] = np.frombuffer(b"FFF\0", "<u2")
    block = camera_file.with_(counts=counts).block()
    assert block.count(b"FFF\0") == 2
    path = write(tmp_path / "f.seq", block, block)
    assert len(means(path)) == 2
    assert notes_of(path) == ""


def test_a_damaged_header_costs_its_own_frame_only(blocks: list[bytes], tmp_path: Path) -> None:
    whole = means(write(tmp_path / "whole.seq", *blocks))
    damaged = bytearray(blocks[2])
    struct.pack_into(">I", damaged, 64 + 32 + 16, 2**31)  # the size of the image, far beyond the file
    path = write(tmp_path / "f.seq", *blocks[:2], bytes(damaged), *blocks[3:])
    assert means(path) == whole[:2] + whole[3:]
    assert notes_of(path) == f"{len(damaged)} bytes that are no frame skipped"


@pytest.mark.parametrize("left", [3, 40, 90, 3000])
def test_a_recording_that_is_cut_gives_the_frames_it_has(
    blocks: list[bytes], tmp_path: Path, left: int
) -> None:
    path = write(tmp_path / "f.seq", *blocks[:3], blocks[3][:left])
    assert len(means(path)) == 3
    said = "bytes that are no frame skipped" if left == 3 else "the last frame is cut off after"
    assert said in notes_of(path)
    assert str(left) in notes_of(path)
    assert said in describe_file(path, ThermalOptions())["notes"][-1]


def test_a_recording_that_grows_has_more_frames_when_it_is_opened_again(
    blocks: list[bytes], tmp_path: Path
) -> None:
    path = write(tmp_path / "f.seq", *blocks[:2], blocks[2][:999])
    before = open_frames(path)
    assert before is not None
    with path.open("ab") as file:
        file.write(blocks[2][999:] + blocks[3])
    assert len(before) == 2
    assert before.read(1, AS_STORED).degrees
    assert len(means(path)) == 4
    assert notes_of(path) == ""


def test_the_last_image_counts_as_whole_if_only_padding_behind_it_is_missing(
    camera_file: Any, tmp_path: Path
) -> None:
    pytest.importorskip("imagecodecs", reason="JPEG-LS needs the extra formats")
    block = bytearray(camera_file.with_(payload="jpeg-ls", palette=False).block())
    at = 64 + 32 + 16
    (size,) = struct.unpack_from(">I", block, at)
    struct.pack_into(">I", block, at, size + 4)
    assert len(means(write(tmp_path / "f.csq", bytes(block) + bytes(4), bytes(block)))) == 2
    with pytest.raises(InputError, match=r"found no frame \(the last frame is cut off"):
        open_frames(write(tmp_path / "g.csq", bytes(block[:-9])))


def test_info_tells_number_rate_and_gaps(
    blocks: list[bytes], flir: Any, camera_file: Any, tmp_path: Path
) -> None:
    some = flir.recording(camera_file, 12)
    facts = describe_file(write(tmp_path / "f.seq", *some[:5], *some[8:]), ThermalOptions())
    assert (facts["kind"], facts["frames"]) == ("FLIR SEQ or CSQ", 9)
    assert facts["frame_rate"] == pytest.approx(30, rel=0.01)  # times are in milliseconds
    assert facts["duration"] == pytest.approx(12 / 30, abs=0.002)
    assert facts["gaps"] == {"count": 1, "missing_frames": 3, "longest": pytest.approx(4 / 30, abs=0.002)}
    one = describe_file(Path(f"{tmp_path}/f.seq#2"), ThermalOptions())
    assert one["kind"] == "FLIR FFF"
    assert "frames" not in one


@real
def test_real_frames_have_the_temperatures_of_an_independent_program() -> None:
    with (SHARED / "oracle" / "thermal_formats.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("flir_")]
    assert rows
    for row in rows:
        degrees = read_raw(SAMPLES / row["file"]).values
        assert degrees.shape == (int(row["height"]), int(row["width"]))
        found = (degrees.min(), degrees.mean(), degrees.max(), degrees[0, 0], degrees[240, 320])
        names = ("minimum", "mean", "maximum", "first_pixel", "centre_pixel")
        # The program's own constants for the air differ by hundredths of a degree at most.
        assert np.abs(np.subtract(found, [float(row[name]) for name in names])).max() < 0.05


@real
def test_real_recordings_have_their_frames_times_and_position() -> None:
    pytest.importorskip("imagecodecs", reason="CSQ needs the extra formats")
    facts = describe_file(SAMPLES / "flir_sample.csq", ThermalOptions())
    assert (facts["frames"], facts["payload"], facts["gaps"]) == (8, "JPEG-LS", None)
    assert facts["frame_rate"] == pytest.approx(30, rel=0.01)
    assert facts["position"]["latitude"] == pytest.approx(50.73015, abs=1e-5)
    hand = read_raw(SAMPLES / "flir_sample.csq#7").values
    assert 14 < hand.min() < 20
    assert 34 < hand.max() < 37  # a hand
    stated = position_of(read_exif(read_raw(SAMPLES / "flir_frame.fff").metadata.exif))
    assert stated == pytest.approx({"latitude": 53.44891, "longitude": -2.81503, "altitude": 81.02}, abs=1e-5)
    assert read_raw(SAMPLES / "flir_frame_le.fff").values.shape == (240, 320)
