"""Topics of bags as sources: times, kinds of bags, damage, and what is said about them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import InputError, IvfuseError, UsageError
from ivfuse.video.bags import decompress
from ivfuse.video.frame import Frame
from ivfuse.video.open import open_pair, open_source

Cli = Callable[..., Any]
IR, VI = "/thermal/image_raw", "/rgb/image_raw/compressed"
HEIGHT, WIDTH, COUNT = 24, 32, 8


def counts(index: int) -> Any:
    values = 7000 + 10 * np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    values[4:12, index : index + 6] += 3000
    return values.astype(np.uint16)


def color(index: int) -> Any:
    pixels = np.full((HEIGHT, WIDTH, 3), (90, 70, 50), np.uint8)
    pixels[12:, index:] = (40, 120, 200)
    return pixels


def recording(bags: Any, generation: int = 2, stamps: Any = None) -> tuple[Any, list[Any]]:
    """Both topics; the visible is 10 ms later, and logged 30 ms after its stamp."""
    made = bags.Messages(generation)
    items = []
    for index in range(COUNT) if stamps is None else range(len(stamps)):
        stamp = bags.START + (index if stamps is None else stamps[index]) * bags.PERIOD
        log = bags.START + index * bags.PERIOD + 30_000_000
        items.append((IR, log, made.image(stamp, counts(index), "16UC1", "thermal_optical")))
        items.append((VI, log + 1, made.compressed(stamp + 10_000_000, color(index), "png", "rgb_optical")))
    return made, items


def frames_of(source: Any) -> list[Frame]:
    try:
        return [item for item in source.items() if isinstance(item, Frame)]
    finally:
        source.close()


@pytest.mark.parametrize(
    ("name", "generation", "storage"),
    [("a.bag", 1, ""), ("a.mcap", 2, "mcap"), ("folder", 2, "mcap"), ("folder", 2, "sqlite3")],
)
def test_every_kind_of_bag_gives_the_same_frames(
    name: str, generation: int, storage: str, bags: Any, tmp_path: Path
) -> None:
    path = bags.write_bag(tmp_path / name, *recording(bags, generation), storage)
    thermal, visible = open_pair(f"{path}:{IR}", f"{path}:{VI}")
    assert (thermal.info.width, thermal.info.height, thermal.info.rate) == (WIDTH, HEIGHT, 10)
    seen = frames_of(visible)
    for index, frame in enumerate(frames_of(thermal)):
        assert np.array_equal(frame.planes[0], counts(index))
        assert frame.header is not None
        assert frame.header.stamp == bags.START + index * bags.PERIOD
        assert frame.header.frame == "thermal_optical"
    assert [each.time for each in seen] == pytest.approx([1.7e9 + 0.1 * at + 0.01 for at in range(COUNT)])
    assert (thermal.stats.frames, thermal.stats.failure, len(seen[0].planes)) == (COUNT, "", 3)


def test_a_folder_that_lost_its_metadata_is_still_read(bags: Any, tmp_path: Path) -> None:
    path = bags.write_bag(tmp_path / "folder", *recording(bags), "sqlite3")
    (path / "metadata.yaml").unlink()
    assert len(frames_of(open_source(f"{path}:{IR}", "ir"))) == COUNT


@pytest.mark.parametrize("mode", ["MESSAGE", "STORAGE", "FILE", "bz2", "lz4"])
def test_compressed_bags_are_read_within_a_bound(
    mode: str, bags: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, items = recording(bags, 2 if mode.isupper() else 1)
    path = tmp_path / ("bag" if mode.isupper() else "a.bag")
    bags.write_bag(path, made, items, compression=mode)
    assert len(frames_of(open_source(f"{path}:{IR}", "ir"))) == COUNT
    if mode == "FILE":  # decompressed to a file by rosbags
        return
    monkeypatch.setattr(decompress, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="more than 0 MiB"):
        open_source(f"{path}:{IR}", "ir")


def test_messages_out_of_order_are_sorted_and_duplicates_left_out(bags: Any, tmp_path: Path) -> None:
    path = bags.write_bag(tmp_path / "a.mcap", *recording(bags, stamps=[0, 2, 1, 3, 3, 4, 9]))
    source = open_source(f"{path}:{IR}", "ir")
    assert [round((each.time - 1.7e9) * 10) for each in frames_of(source)] == [0, 1, 2, 3, 4, 9]
    assert (source.stats.duplicates, source.stats.missing, source.stats.failure) == (1, 4, "")


def test_messages_without_stamps_are_timed_by_the_log_with_a_note(bags: Any, tmp_path: Path) -> None:
    made, items = recording(bags)
    for _, _, message in items:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    source = open_source(f"{path}:{IR}", "ir")
    assert [round((each.time - 1.7e9) * 100) for each in frames_of(source)] == [
        3 + 10 * at for at in range(8)
    ]
    assert "messages without stamps, timed by their arrival in the log" in source.info.notes


def test_damaged_messages_and_other_sizes_are_skipped_and_named(bags: Any, tmp_path: Path) -> None:
    made, items = recording(bags)
    items[4] = (IR, items[4][1], b"\x00\x01\x00\x00" + b"\xff" * 40)
    items[8] = (IR, items[8][1], made.image(bags.START + 4 * bags.PERIOD, counts(4)[:9], "16UC1"))
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    source = open_source(f"{path}:{IR}", "ir")
    assert len(frames_of(source)) == COUNT - 2
    assert (source.stats.damaged, source.stats.missing) == (2, 2)
    assert "broken at frame 2" in source.stats.failure
    assert "a message that is no sensor_msgs/msg/Image" in source.stats.failure


def test_an_unfinished_recording_gives_what_it_has(bags: Any, tmp_path: Path) -> None:
    made, items = recording(bags)
    bulk = np.zeros((1100, 1000), np.uint8)  # a chunk of its own, so that there are several
    bulky = [each for item in items for each in (item, ("/bulk", item[1], made.image(1, bulk, "mono8")))]
    path = bags.write_bag(tmp_path / "a.mcap", made, bulky)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 5])
    source = open_source(f"{path}:{IR}", "ir")
    frames = frames_of(source)
    assert 1 <= len(frames) < COUNT
    assert np.array_equal(frames[-1].planes[0], counts(len(frames) - 1))
    assert "ends early: the recording was not finished" in source.stats.failure
    path.write_bytes(data[:2000])
    with pytest.raises(InputError, match="not finished, and no complete chunk was written"):
        open_source(f"{path}:{IR}", "ir")


@pytest.mark.parametrize(("name", "generation"), [("a.bag", 1), ("a.mcap", 2), ("a.db3", 2)])
def test_damaged_bags_end_in_one_line_or_in_frames(
    name: str, generation: int, bags: Any, tmp_path: Path
) -> None:
    if name == "a.db3":
        folder = bags.write_bag(tmp_path / "folder", *recording(bags), "sqlite3")
        path = tmp_path / name
        (folder / "folder.db3").rename(path)
    else:
        path = bags.write_bag(tmp_path / name, *recording(bags, generation))
    sound = path.read_bytes()
    rng = np.random.default_rng(5)
    read, lines = 0, []
    for attempt in range(120):
        data = bytearray(sound)
        if attempt % 3 == 0:
            data = data[: rng.integers(0, len(data))]
        else:
            where = (
                rng.integers(0, len(data), 3) if attempt % 3 == 1 else len(data) - rng.integers(1, 3000, 3)
            )
            for at in where:
                data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:  # other exceptions fail the test
            source = open_source(f"{path}:{IR}", "ir")
            read += len(frames_of(source)) > 0
        except IvfuseError as error:
            lines.append(str(error))
    assert read
    assert lines
    assert not any("\n" in line for line in lines)


def test_definitions_of_messages_in_a_bag_are_not_run(bags: Any, tmp_path: Path) -> None:
    made, items = recording(bags)
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    data = path.read_bytes()
    assert data.count(b"uint32 height")
    path.write_bytes(data.replace(b"uint32 height", b"uint99 he;ght"))
    assert len(frames_of(open_source(f"{path}:{IR}", "ir"))) == COUNT


@pytest.mark.parametrize(
    ("location", "error", "complaint"),
    [
        ("a.mcap", UsageError, "give a topic, expected one of /rgb/image_raw/compressed .png 32x24"),
        ("a.mcap", UsageError, "thermal a.mcap:/thermal/image_raw, visible a.mcap:/rgb/image_raw/compressed"),
        ("a.mcap:/nothing", InputError, "no topic /nothing, expected one of /rgb"),
        ("a.mcap:/imu", InputError, "a.mcap:/imu: found sensor_msgs/msg/CameraInfo, expected one of"),
        ("b.mcap:/a", InputError, "b.mcap: no such file, expected a .bag or .mcap file"),
        ("text.mcap:/a", InputError, "text.mcap: cannot be read: File magic is invalid"),
        ("empty.bag:/a", InputError, "empty.bag: cannot be read"),
    ],
)
def test_what_cannot_be_a_source_is_said_in_one_line(
    location: str, error: type[Exception], complaint: str, bags: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    made, items = recording(bags)
    items.append(("/imu", bags.START, made.camera_info((4, 4), np.eye(3))))
    bags.write_bag(Path("a.mcap"), made, items)
    Path("text.mcap").write_text("no bag at all, but long enough to hold a footer of thirty-seven bytes")
    Path("empty.bag").touch()
    with pytest.raises(error, match=complaint):
        open_source(location, "ir")


def test_one_topic_cannot_be_both_sources(bags: Any, tmp_path: Path) -> None:
    path = bags.write_bag(tmp_path / "a.mcap", *recording(bags))
    with pytest.raises(UsageError, match="the thermal and the visible are one topic"):
        open_pair(f"{path}:{IR}", f"{path}:{IR}")
    with pytest.raises(UsageError, match="bags have topics, no streams"):
        open_source(f"{path}:{IR}", "ir", stream=1)


def test_without_rosbags_the_extra_is_named(
    bags: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ivfuse_cli: Cli
) -> None:
    path = bags.write_bag(tmp_path / "a.mcap", *recording(bags))
    monkeypatch.setitem(sys.modules, "rosbags.rosbag1", None)
    for arguments in (("info", path), ("video", f"{path}:{IR}", f"{path}:{VI}", "-o", tmp_path / "f.mp4")):
        said = ivfuse_cli(*arguments)
        assert said.code == 2
        assert "robots]" in said.err
        assert said.err.count("\n") == 1


def test_info_lists_topics_and_proposes_two(bags: Any, tmp_path: Path, ivfuse_cli: Cli) -> None:
    made, items = recording(bags)
    for index in range(3):
        log = bags.START + index * bags.PERIOD
        items.append(("/depth/image_raw", log, made.image(log, counts(index), "16UC1")))
        items.append(("/tf_static", log, made.transforms()))
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    said = ivfuse_cli("info", path, "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    thermal = next(each for each in facts["images"] if each["topic"] == IR)
    assert (thermal["encoding"], thermal["width"], thermal["height"]) == ("16UC1", WIDTH, HEIGHT)
    assert (thermal["messages"], thermal["rate"], thermal["seconds"]) == (COUNT, 10, 0.8)
    assert (facts["thermal"], facts["visible"]) == (IR, VI)
    assert facts["others"] == [{"topic": "/tf_static", "type": "tf2_msgs/msg/TFMessage", "messages": 3}]
    said = ivfuse_cli("info", path)
    assert f"thermal:  {path}:{IR}" in said.out
    assert f"visible:  {path}:{VI}" in said.out
    assert "16UC1  32x24  10 Hz" in said.out
