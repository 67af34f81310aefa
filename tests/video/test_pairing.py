"""Visible frames are paired with the thermal frames nearest in time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivfuse.errors import InputError
from ivfuse.video.frame import Frame
from ivfuse.video.queues import NoItem
from ivfuse.video.source import SourceInfo
from ivfuse.video.sync import MAX_HOLD, FramePairer, expected_frames

PLANE = (np.zeros((1, 1), np.uint8),)


def pairer(ir_times: list[float], rates: tuple[int, int] = (10, 10), offset: float = 0.0) -> FramePairer:
    left: Iterator[Frame] = iter([Frame(PLANE, time, index) for index, time in enumerate(ir_times)])
    return FramePairer(lambda _: next(left, NoItem.ENDED), Fraction(rates[0]), Fraction(rates[1]), offset)


def matches(pairs: FramePairer, times: list[float]) -> list[int | None]:
    found = [pairs.match(time) for time in times]
    pairs.finish()
    return [frame.index if frame else None for frame in found]


def every(step: float, count: int, start: float = 0.0) -> list[float]:
    return [start + index * step for index in range(count)]


def test_equal_rates_pair_one_to_one() -> None:
    pairs = pairer(every(0.1, 5))
    assert matches(pairs, every(0.1, 5)) == [0, 1, 2, 3, 4]
    assert vars(pairs.counts) == {"paired": 5, "repeated": 0, "held": 0, "unmatched": 0, "unused": 0}


def test_frames_of_a_slower_thermal_are_repeated() -> None:
    pairs = pairer(every(0.3, 4), (3, 10))
    assert matches(pairs, every(0.1, 10)) == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert pairs.counts.repeated == 6


def test_frames_of_a_faster_thermal_are_skipped() -> None:
    pairs = pairer(every(0.05, 9), (20, 10))
    assert matches(pairs, every(0.1, 4)) == [0, 2, 4, 6]
    assert pairs.counts.unused == 3 + 1  # between the pairs, and the one that was read ahead


def test_an_offset_shifts_the_thermal() -> None:
    pairs = pairer(every(0.1, 5), offset=0.2)
    assert matches(pairs, every(0.1, 5)) == [None, None, 0, 1, 2]
    assert pairs.counts.unmatched == 2


def test_a_later_start_and_an_earlier_end_leave_frames_unmatched() -> None:
    pairs = pairer(every(0.1, 3, start=0.3))
    assert matches(pairs, every(0.1, 9)) == [None, None, None, 0, 1, 2, None, None, None]
    assert pairs.is_exhausted(0.9)


def test_without_a_thermal_frame_nothing_is_paired_and_none_is_unused() -> None:
    pairs = pairer([])
    assert matches(pairs, every(0.1, 3)) == [None] * 3
    assert vars(pairs.counts) == {"paired": 0, "repeated": 0, "held": 0, "unmatched": 3, "unused": 0}


def test_a_frame_substitutes_for_missing_ones_for_half_a_second() -> None:
    pairs = pairer([0.0, 0.1, 0.2, 1.6, 1.7])
    found = matches(pairs, every(0.1, 18))
    assert found[3:8] == [2] * 5
    assert found[8:11] == [None] * 3  # more than half a second from both
    assert found[11:16] == [3] * 5
    assert pairs.counts.held == 10
    assert pairs.counts.unmatched == 3


def test_the_previous_frame_substitutes_for_a_late_live_frame() -> None:
    answers: list[Frame | NoItem] = [Frame(PLANE, 0.0, 0), NoItem.TIMEOUT, NoItem.TIMEOUT, NoItem.TIMEOUT]
    pairs = FramePairer(lambda _: answers.pop(0), Fraction(10), Fraction(10))
    assert pairs.match(0.0)
    assert pairs.match(0.3)
    assert pairs.match(0.0 + MAX_HOLD + 0.1) is None


@pytest.mark.parametrize(("time", "matched"), [(0.05, True), (0.052, False)])
def test_frames_match_within_half_the_longer_period(time: float, matched: bool) -> None:
    assert (pairer([0.0]).match(time) is not None) is matched
    for rates in ((5, 10), (10, 5)):
        assert (pairer([0.0], rates).match(2 * time) is not None) is matched


@pytest.mark.parametrize(("time", "held"), [(0.45, 1), (0.55, 0)])
def test_a_live_thermal_frame_is_held_for_half_a_second(time: float, held: int) -> None:
    answers: list[Frame | NoItem] = [Frame(PLANE, 0.0, 0), NoItem.TIMEOUT, NoItem.TIMEOUT]
    pairs = FramePairer(lambda _: answers.pop(0), Fraction(10), Fraction(10))
    pairs.match(0.0)
    pairs.match(time)
    assert pairs.counts.held == held


def test_a_live_thermal_frame_is_waited_for_only_if_none_is_near_and_while_it_can_be() -> None:
    waits: list[float | None] = []
    answers: list[Frame | NoItem] = [Frame(PLANE, 0.0, 0), NoItem.TIMEOUT, NoItem.TIMEOUT, NoItem.TIMEOUT]

    def next_frame(seconds: float | None) -> Frame | NoItem:
        waits.append(seconds)
        return answers.pop(0)

    now = 0.01
    pairs = FramePairer(next_frame, Fraction(10), Fraction(20), offset=0.2, clock=lambda: now)
    pairs.match(0.24)  # near are frames up to 0.051 s earlier and later, which arrive 0.2 s before their time
    assert waits == pytest.approx([0.081, 0.0])
    pairs.match(0.28)
    now = 0.5
    pairs.match(0.38)
    assert waits[2:] == pytest.approx([0.121, 0.0])
    assert (pairs.counts.paired, pairs.counts.held) == (3, 2)


def info(start: float, frames: int | None, *, live: bool = False) -> SourceInfo:
    return SourceInfo("x.mp4", 4, 4, Fraction(10), frames, start, live)


@pytest.mark.parametrize(
    ("ir", "vi", "offset", "duration", "expected"),
    [
        (info(0, 50), info(0, 30), 0, None, 30),
        (info(0, 50), info(0, 30), 3, None, None),  # refused
        (info(1, 50), info(0, 30), 0, None, 20),
        (info(0, 50), info(0, 30), -4, None, 10),
        (info(0, 50), info(0, 30), 0, 1.5, 15),
        (info(0, None), info(0, 30), 0, None, 30),
        (info(0, None, live=True), info(0, None, live=True), 0, 2, 20),
    ],
)
def test_the_length_of_the_output_follows_from_the_headers(
    ir: SourceInfo, vi: SourceInfo, offset: float, duration: float | None, expected: int | None
) -> None:
    if expected is None:
        with pytest.raises(InputError, match=r"do not overlap .* offset of 3 s; offset start"):
            expected_frames(ir, vi, offset, duration)
    else:
        assert expected_frames(ir, vi, offset, duration) == expected


def test_an_unknown_length_is_unknown() -> None:
    assert expected_frames(info(0, None), info(0, None)) is None
    assert expected_frames(info(0, None, live=True), info(0, None, live=True)) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=40),
    st.lists(st.floats(0.001, 0.4), min_size=1, max_size=40),
    st.floats(-1, 1),
)
def test_no_thermal_frame_is_nearer_than_the_match(ir: list[float], vi: list[float], offset: float) -> None:
    ir_times, vi_times = np.cumsum(ir).tolist(), np.cumsum(vi).tolist()
    pairs = pairer(ir_times, (5, 5), offset)
    for time in vi_times:
        found = pairs.match(time)
        if found:
            nearest = min(abs(x + offset - time) for x in ir_times)
            assert abs(found.time + offset - time) == pytest.approx(nearest, abs=1e-9)
    pairs.finish()
    counts = pairs.counts
    assert counts.paired + counts.unmatched == len(vi_times)
