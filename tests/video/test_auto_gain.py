"""Automatic gain follows the scene slowly, and starts again at a scene cut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.frame import Frame


def counts(seed: int, low: float, high: float) -> NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    return (low + (high - low) * rng.random((60, 80))).astype(np.uint16)


def at(values: NDArray[np.uint16], index: int) -> Frame:
    return Frame((values,), index / 30, index)


def test_one_frame_is_mapped_from_its_own_percentiles() -> None:
    values = counts(0, 7000, 9000)
    gray = AutoGain().apply(at(values, 0))
    low, high = np.percentile(values, [1, 99])
    np.testing.assert_allclose(gray, np.clip((values - low) / (high - low), 0, 1), atol=1e-4)


def test_a_step_of_the_scene_is_followed_in_about_a_second() -> None:
    steady = AutoGain()
    base = counts(0, 7000, 9000)
    first = steady.update(base, 0.0)
    after_one_frame = steady.update(base + 200, 1 / 30)
    assert after_one_frame[0] - first[0] == pytest.approx(200 * (1 - np.exp(-1 / 30)), rel=0.01)
    for index in range(2, 32):
        window = steady.update(base + 200, index / 30)
    assert window[0] - first[0] == pytest.approx(200 * (1 - np.exp(-31 / 30)), rel=0.01)
    assert steady.scene_cuts == 0


def test_a_flickering_sensor_makes_a_tenth_of_the_flicker() -> None:
    rng = np.random.default_rng(5)
    own, steady = AutoGain(time_constant=0), AutoGain()
    means: dict[str, list[float]] = {"own": [], "steady": []}
    base = counts(1, 7000, 9000)
    for index in range(60):
        frame = base.copy()
        frame[:2] = 9000 + 1500 * rng.random()  # a hot spot of changing heat, 3 % of the image
        means["own"].append(float(own.apply(at(frame, index))[10:].mean()))
        means["steady"].append(float(steady.apply(at(frame, index))[10:].mean()))
    flicker = {name: np.abs(np.diff(values)).mean() for name, values in means.items()}
    assert flicker["steady"] < 0.1 * flicker["own"]


def test_a_scene_cut_starts_the_smoothing_again() -> None:
    steady = AutoGain()
    steady.update(counts(0, 7000, 9000), 0.0)
    window = steady.update(counts(1, 12_000, 12_500), 1 / 30)
    assert steady.scene_cuts == 1
    assert window == pytest.approx((12_005, 12_495), abs=5)


def test_something_hot_that_comes_in_is_no_cut() -> None:
    steady = AutoGain()
    base = counts(0, 7200, 7300)
    steady.update(base, 0.0)
    hot = base.copy()
    hot[:12, :20] = 8500  # 5 % of the image
    window = steady.update(hot, 1 / 30)
    assert steady.scene_cuts == 0
    assert window[1] < 7400


@pytest.mark.parametrize(("shift", "cuts"), [(500, 0), (800, 1)])
def test_a_cut_needs_windows_that_overlap_by_less_than_half(shift: int, cuts: int) -> None:
    gain = AutoGain()
    gain.update(counts(0, 7000, 9000), 0.0)
    gain.update(counts(1, 7000 + shift, 9000 + shift), 1 / 30)  # intersection over union: 0.6 and 0.43
    assert gain.scene_cuts == cuts


@pytest.mark.parametrize(("change", "cuts"), [(10, 0), (20, 1)])
def test_a_cut_needs_a_change_of_most_pixels_by_a_seventh_of_the_window(change: int, cuts: int) -> None:
    gain = AutoGain()
    base = counts(0, 7200, 7300)
    gain.update(base, 0.0)
    after = base + np.uint16(change)
    after[:12, :20] = 8500  # 5 % of the image, so that the window is another one
    gain.update(after, 1 / 30)
    assert gain.scene_cuts == cuts


def test_the_extent_covers_every_window() -> None:
    gain = AutoGain(time_constant=0)
    assert gain.extent is None
    windows = [gain.update(counts(seed, low, low + 1000), seed / 30) for seed, low in ((0, 7000), (1, 6500))]
    assert gain.extent == (windows[1][0], windows[0][1])


def test_a_negative_time_constant_is_refused() -> None:
    with pytest.raises(UsageError, match="time_constant: found -1 s, expected 0 or more"):
        AutoGain(time_constant=-1)


def test_8_bit_frames_keep_their_range_unless_a_window_is_given() -> None:
    levels = np.array([[0, 51, 102, 255]], np.uint8)
    np.testing.assert_allclose(AutoGain().apply(Frame((levels,), 0, 0)), levels / 255, atol=1e-6)
    np.testing.assert_allclose(AutoGain((51, 102)).apply(Frame((levels,), 0, 0)), [[0, 0, 1, 1]], atol=1e-6)


@pytest.mark.parametrize("levels", [np.uint8([[0, 51, 255]]), np.uint16([[0, 51, 255]])])
def test_a_reversed_window_makes_dark_bright(levels: np.ndarray) -> None:
    gray = AutoGain((255, 0)).apply(Frame((levels,), 0, 0))
    np.testing.assert_allclose(gray, 1 - levels / 255, atol=1e-6)


@pytest.mark.parametrize("value", [0, 5000, 65535])
def test_a_constant_frame_is_black_and_finite(value: int) -> None:
    gray = AutoGain().apply(Frame((np.full((8, 8), value, np.uint16),), 0, 0))
    assert gray.max() == 0


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(UsageError, match="from 5 to 5, expected"):
        AutoGain((5, 5))
