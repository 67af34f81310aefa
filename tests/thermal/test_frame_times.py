"""Rate, duration and gaps from the times of frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ivfuse.thermal.formats.frame_times import FrameTimes, frame_times


def times_of(seconds: np.ndarray) -> FrameTimes:
    found = frame_times(1.7e9 + seconds)
    assert found is not None
    return found


@pytest.mark.parametrize("rate", [9, 30, 60])
def test_the_rate_is_found_although_times_are_rounded_to_milliseconds(rate: int) -> None:
    found = times_of(np.round(np.arange(301) / rate, 3))
    assert float(found.rate) == pytest.approx(rate, rel=1e-3)
    assert found.duration == pytest.approx(301 / rate, abs=2e-3)
    assert (found.gaps, found.missing, found.longest) == (0, 0, 0)
    assert found.seconds[0] == 0


def test_gaps_do_not_change_the_rate() -> None:
    kept = np.delete(np.arange(100), [10, 11, 12, 50])
    found = times_of(kept / 25)
    assert found.rate == 25
    assert (found.gaps, found.missing) == (2, 4)
    assert found.longest == pytest.approx(4 / 25)
    assert found.duration == pytest.approx(4)


def test_a_frame_an_hour_is_a_rate_too() -> None:
    assert times_of(np.arange(5) * 3600.0).rate == Fraction(1, 3600)


def test_an_unknown_time_is_taken_from_its_neighbors() -> None:
    seconds = np.arange(9) / 10
    seconds[4] = np.nan
    assert times_of(seconds).seconds == pytest.approx(np.arange(9) / 10)


def test_a_clock_that_was_reset_keeps_the_rate() -> None:
    found = times_of(np.concatenate([np.arange(20) / 10, np.arange(20) / 10 - 500]))
    assert found.rate == 10
    assert found.duration == pytest.approx(3.9)


@pytest.mark.parametrize(
    "stamps", [[1.0], [np.nan] * 4, [5.0] * 4, [1.0, np.nan, np.nan, np.nan, 2.0], [4.0, 3.0, 2.0, 1.0]]
)
def test_times_that_are_of_no_use_are_none(stamps: list[float]) -> None:
    assert frame_times(np.array(stamps)) is None
