"""Times of a source become strictly increasing; duplicates and gaps are counted."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ivfuse.video.source import SourceStats, TimestampNormalizer


def normalize(*times: float, detect_gaps: bool = True) -> tuple[list[float | None], SourceStats]:
    """Normalize times of a source of 10 frames per second."""
    stats = SourceStats()
    timestamps = TimestampNormalizer(Fraction(10), stats, detect_gaps)
    return [timestamps.normalize(time) for time in times], stats


def test_even_times_stay_as_they_are() -> None:
    found, stats = normalize(0, 0.1, 0.2)
    assert found == [0, 0.1, 0.2]
    assert stats == SourceStats(frames=3)


@pytest.mark.parametrize(("step", "missing"), [(0.14, 0), (0.16, 1), (0.24, 1), (0.3, 2)])
def test_a_gap_of_one_and_a_half_periods_is_a_missing_frame(step: float, missing: int) -> None:
    assert normalize(0, step)[1].missing == missing
    assert normalize(0, step, detect_gaps=False)[1].missing == 0


@pytest.mark.parametrize(("step", "duplicates"), [(0, 1), (1e-7, 1), (-0.3, 1), (1e-4, 0)])
def test_a_frame_that_is_not_later_is_a_duplicate(step: float, duplicates: int) -> None:
    found, stats = normalize(1, 1 + step)
    assert stats.duplicates == duplicates
    assert stats.frames == 2 - duplicates
    assert (found[1] is None) is bool(duplicates)


def test_a_clock_that_is_reset_goes_on_one_period_later() -> None:
    found, stats = normalize(5, 5.1, 4.5, 4.6)
    assert found == pytest.approx([5, 5.1, 5.2, 5.3])
    assert stats == SourceStats(frames=4)


def test_only_the_first_failure_is_kept() -> None:
    stats = SourceStats()
    stats.record_failure("a.mp4", 7, 0.7, "cut off")
    stats.record_failure("a.mp4", 9, 0.9, "later")
    assert stats.failure == "a.mp4: broken at frame 7 (0.70 s): cut off"
