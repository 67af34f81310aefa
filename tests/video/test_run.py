"""The run itself: threads, memory, repeated frames, live sources, and any method."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ivfuse
from ivfuse.errors import OutputError
from ivfuse.fusion.align import Aligner
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.pipeline import Fuser
from ivfuse.registration.transform import Registration
from ivfuse.video.frame import Frame
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.fuse import fuse_video
from ivfuse.video.source import SourceInfo, SourceStats


class SyntheticSource:
    """A source that makes frames as they are read, and counts them."""

    def __init__(
        self, count: int, *, live: float | None = None, color: bool = False, same: bool = False
    ) -> None:
        self.info = SourceInfo(
            "made", 32, 24, Fraction(25), None if live is not None else count, live=live is not None
        )
        self.stats = SourceStats()
        self.made = 0
        self.closed = False
        self._count, self._pause, self._color, self._same = count, live or 0.0, color, same

    def items(self) -> Iterator[Any]:
        for index in range(self._count):
            time.sleep(self._pause)
            self.made += 1
            self.stats.frames += 1
            planes = [np.full((24, 32), 0 if self._same else index % 200, np.uint8)]
            planes += [np.full((12, 16), 128, np.uint8)] * 2 if self._color else []
            yield Frame(tuple(planes), time.monotonic() if self.info.live else index / 25, index)

    def close(self) -> None:
        self.closed = True


class MemoryWriter:
    """A writer that keeps the frames."""

    def __init__(self, fail_at: int = -1, pause: float = 0.0) -> None:
        self.notes: list[str] = []
        self.frames: list[Frame] = []
        self.closed = False
        self._fail_at, self._pause = fail_at, pause

    def write(self, frame: Frame) -> None:
        time.sleep(self._pause)
        if len(self.frames) == self._fail_at:
            raise OutputError("the disk is full")
        self.frames.append(frame)

    def write_audio(self, packet: Any) -> None: ...

    def close(self) -> Path:
        self.closed = True
        return Path("kept")


class Counting:
    """A method that counts its calls."""

    info = MethodInfo("counting", "classical", "", "")
    calls = 0

    def fuse(self, ir: Any, vi: Any) -> Any:
        self.calls += 1
        return (ir + vi) / 2


@pytest.mark.parametrize("name", ivfuse.list_methods())
def test_every_method_fuses_video(name: str) -> None:
    writer = MemoryWriter()
    summary = fuse_video(FrameFuser(Fuser(name)), SyntheticSource(2), SyntheticSource(2, color=True), writer)
    assert (summary.frames, len(writer.frames)) == (2, 2)
    assert all(len(frame.planes) == 3 for frame in writer.frames)


def test_frames_arrive_in_order_and_a_slow_writer_holds_the_sources_back() -> None:
    ir, vi, writer = SyntheticSource(400), SyntheticSource(400), MemoryWriter(pause=0.001)
    ahead: list[int] = []
    summary = fuse_video(
        FrameFuser(Fuser("average")), ir, vi, writer,
        on_frame=lambda frame: ahead.append(max(ir.made, vi.made) - len(writer.frames)),
    )  # fmt: skip
    assert summary.frames == 400
    assert [frame.index for frame in writer.frames] == list(range(400))
    assert max(ahead) < 20  # so memory does not grow with the length
    assert ir.closed
    assert vi.closed
    assert writer.closed


def test_a_pair_equal_to_the_previous_one_is_not_fused_again() -> None:
    method, writer = Counting(), MemoryWriter()
    slow = SyntheticSource(2)
    slow.info = SourceInfo("made", 32, 24, Fraction(1), 2)
    summary = fuse_video(FrameFuser(Fuser(method)), slow, SyntheticSource(6, same=True), writer)
    assert summary.frames == 6
    assert method.calls <= 2


def test_a_stop_ends_the_run_with_what_was_fused() -> None:
    stop, writer = threading.Event(), MemoryWriter()
    summary = fuse_video(
        FrameFuser(Fuser("average")), SyntheticSource(100_000), SyntheticSource(100_000), writer, stop=stop,
        on_frame=lambda frame: stop.set() if frame.index == 20 else None,
    )  # fmt: skip
    assert summary.stopped
    assert len(writer.frames) == summary.frames == 21
    assert writer.closed


def test_a_writer_that_fails_ends_the_run_with_its_error() -> None:
    ir, vi = SyntheticSource(100_000), SyntheticSource(100_000)
    with pytest.raises(OutputError, match="the disk is full"):
        fuse_video(FrameFuser(Fuser("average")), ir, vi, MemoryWriter(fail_at=5))
    assert vi.closed
    assert vi.made < 100


def test_a_method_that_fails_leaves_what_was_fused() -> None:
    class Failing(Counting):
        def fuse(self, ir: Any, vi: Any) -> Any:
            if self.calls == 7:
                raise RuntimeError("out of memory")
            return super().fuse(ir, vi)

    writer = MemoryWriter()
    with pytest.raises(RuntimeError, match="out of memory"):
        fuse_video(FrameFuser(Fuser(Failing())), SyntheticSource(50), SyntheticSource(50), writer)
    assert len(writer.frames) == 7
    assert writer.closed


def test_a_reader_that_fails_unexpectedly_is_a_broken_source() -> None:
    class Failing(SyntheticSource):
        def items(self) -> Iterator[Any]:
            for item in super().items():
                if item.index == 9:
                    raise ValueError("bad luck")
                yield item

    summary = fuse_video(FrameFuser(Fuser("average")), SyntheticSource(50), Failing(50), MemoryWriter())
    assert summary.frames == 9
    assert "bad luck" in summary.failures[0]


def test_live_frames_are_dropped_when_fusing_is_slow() -> None:
    class Slow(Counting):
        def fuse(self, ir: Any, vi: Any) -> Any:
            time.sleep(0.02)
            return super().fuse(ir, vi)

    writer = MemoryWriter()
    summary = fuse_video(
        FrameFuser(Fuser(Slow())), SyntheticSource(100, live=0.004), SyntheticSource(100, live=0.004), writer
    )
    assert summary.dropped > 20
    assert 5 < summary.frames < 80
    times = [frame.time for frame in writer.frames]
    assert times == sorted(times)


def test_after_a_slow_frame_the_newest_pair_is_fused() -> None:
    thermal_first, thermal_last, fusing, go_on = (threading.Event() for _ in range(4))
    seen: list[tuple[int, int]] = []

    class Blocking(Counting):
        def fuse(self, ir: Any, vi: Any) -> Any:
            seen.append((round(255 * ir[0, 0]), round(255 * vi[0, 0])))
            fusing.set()
            go_on.wait(5)
            return super().fuse(ir, vi)

    class Thermal(SyntheticSource):
        def items(self) -> Iterator[Any]:
            for frame in super().items():
                yield frame
                thermal_first.set()
                fusing.wait(5)
            thermal_last.set()

    class Visible(SyntheticSource):
        def items(self) -> Iterator[Any]:
            thermal_first.wait(5)
            for frame in super().items():
                yield frame
                thermal_last.wait(5)
            time.sleep(0.05)  # a little more than the frame period
            go_on.set()

    sources = Thermal(20, live=0), Visible(20, live=0)
    summary = fuse_video(FrameFuser(Fuser(Blocking())), *sources, MemoryWriter())
    assert seen == [(0, 0), (19, 19)]
    assert (summary.frames, summary.dropped) == (2, 11 + 18)  # the thermal waits in a queue of eight


def test_a_frame_is_shown_before_the_writer_has_room_for_it() -> None:
    shown = threading.Semaphore(0)

    class Blocked(MemoryWriter):
        def write(self, frame: Frame) -> None:
            if not self.frames:  # this frame, four in the queue, and one that waits for room
                in_time.append(all(shown.acquire(timeout=5) for _ in range(6)))
            super().write(frame)

    in_time: list[bool] = []
    fuse_video(
        FrameFuser(Fuser("average")), SyntheticSource(8), SyntheticSource(8), Blocked(),
        on_frame=lambda frame: shown.release(),
    )  # fmt: skip
    assert in_time == [True]


def test_a_live_thermal_that_stalls_does_not_stall_the_run() -> None:
    resumed = threading.Event()

    class Stalling(SyntheticSource):
        def items(self) -> Iterator[Any]:
            yield from super().items()
            resumed.wait(5)

    summary = fuse_video(
        FrameFuser(Fuser("average")), Stalling(1, live=0.03), SyntheticSource(2, live=0.03), MemoryWriter(),
        on_frame=lambda frame: resumed.set() if frame.index == 1 else None,
    )  # fmt: skip
    assert summary.frames == 2
    assert summary.pairs.held >= 1


def test_the_thermal_is_aligned_by_the_fusers_aligner() -> None:
    seen: list[tuple[int, int]] = []

    class White(Aligner):
        def align_frame(self, thermal: Any, height: int, width: int, weight: Any = None) -> Any:
            seen.append((height, width))
            return np.ones((height, width), np.float32), None

    writer, fuser = MemoryWriter(), Fuser("maximum")
    fuser.aligner = White()
    fuse_video(FrameFuser(fuser), SyntheticSource(3), SyntheticSource(3), writer)
    assert seen == [(24, 32)] * 3
    assert all(frame.planes[0].min() == 255 for frame in writer.frames)


def test_a_large_visible_is_fused_small_and_keeps_its_detail() -> None:
    class Copy:
        info = MethodInfo("copy", "learned", "the visible", "none", reducible=True)
        shape: tuple[int, ...] = ()

        def fuse(self, ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
            self.shape = vi.shape
            return 0.1 + 0.8 * vi

    method = Copy()
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(40, 200, (30, 40)), np.ones((40, 40))) + rng.integers(0, 9, (1200, 1600))
    chroma = np.full((600, 800), 100, np.uint8)
    vi = Frame((blocks.astype(np.uint8), chroma, chroma), 0, 0, limited=True)
    ir = Frame((np.full((120, 160), 99, np.uint8),), 0, 0)
    out = FrameFuser(Fuser(method)).fuse(ir, vi)
    assert method.shape == (240, 320)
    expected = 16 + 0.1 * 219 + 0.8 * (vi.planes[0] - 16.0)
    error = np.abs(out.planes[0] - expected)[8:-8, 8:-8]
    assert error.mean() < 0.6
    assert error.max() < 8  # rounding to 8 bit, here and in the small image, most beside edges
    assert [plane.shape for plane in out.planes] == [(1200, 1600), (600, 800), (600, 800)]
    whole = FrameFuser(Fuser(method, full_size=True)).fuse(ir, vi)
    assert np.abs(out.planes[1].astype(int) - whole.planes[1]).max() <= 3  # where luma differs


@pytest.mark.parametrize(("emphasis", "most"), [("none", 20), ("balanced", 24)])
@pytest.mark.parametrize("thermal", [(60, 80), (240, 320), (480, 640)])
def test_frames_are_fused_like_images(thermal: tuple[int, int], emphasis: str, most: int) -> None:
    """At any resolution of the thermal, also where the method decides at a finer one."""
    rng = np.random.default_rng(0)
    vi = np.kron(rng.integers(40, 200, (24, 32)), np.ones((40, 40))).astype(np.uint8)
    rows, columns = np.indices(thermal)
    ir = (128 + 100 * np.sin(columns * 20 / thermal[1]) * np.cos(rows * 15 / thermal[0])).astype(np.uint8)
    fuser = Fuser("swift", gray=True, threads=1, emphasis=emphasis)
    image = fuser.fuse(ir, vi, dtype=np.uint8)
    frame = FrameFuser(fuser).fuse(Frame((ir,), 0, 0), Frame((vi,), 0, 0))
    difference = np.abs(frame.planes[0].astype(int) - image)
    assert difference.mean() < 1
    assert difference.max() < most  # beside edges of 160 levels, whose contrast an emphasis raises


def test_the_visible_stays_level_for_level_around_the_thermal() -> None:
    rng = np.random.default_rng(0)
    vi = rng.integers(0, 256, (480, 640), dtype=np.uint8)
    ir = np.kron(rng.integers(0, 256, (12, 16)), np.ones((20, 20))).astype(np.uint8)
    rig = Registration(((1, 0, 160), (0, 1, 120), (0, 0, 1)), (320, 240), (640, 480))
    fuser = FrameFuser(Fuser("swift", rig=rig, threads=1))
    out = fuser.fuse(Frame((ir,), 0, 0), Frame((vi,), 0, 0)).planes[0]
    around = np.ones(vi.shape, bool)
    around[116:364, 156:484] = False  # a cell of pixels around the thermal image may be mixed
    np.testing.assert_array_equal(out[around], vi[around])
    assert np.abs(out[120:360, 160:480].astype(int) - vi[120:360, 160:480]).mean() > 5


def test_side_by_side_shows_the_thermal_only_where_there_is_one() -> None:
    vi, ir = np.full((480, 640), 90, np.uint8), np.full((240, 320), 200, np.uint8)
    rig = Registration(((1, 0, 160), (0, 1, 120), (0, 0, 1)), (320, 240), (640, 480))
    fuser = FrameFuser(Fuser("average", rig=rig), side_by_side=True)
    thermal = fuser.fuse(Frame((ir,), 0, 0), Frame((vi,), 0, 0)).planes[0][:, :640]
    assert thermal[240, 320] == 200
    assert not thermal[:110].any()
    assert not thermal[:, 500:].any()
