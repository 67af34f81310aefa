"""Arrays from Python users, and thermal windows."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import InputError, ShapeError, UsageError
from ivfuse.image.arrays import to_float
from ivfuse.thermal.tone_mapping import thermal_window


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 255, 51]], np.uint8), [[0, 1, 0.2]]),
        (np.array([[0, 65535, 13107]], np.uint16), [[0, 1, 0.2]]),
        (np.array([[False, True]]), [[0, 1]]),
        (np.array([[0, 1, 0.25]], np.float64), [[0, 1, 0.25]]),
        (np.array([[0, 1, 0.25]], np.float16), [[0, 1, 0.25]]),
        (np.array([[-0.0005, 1.0005]], np.float32), [[0, 1]]),
    ],
)
def test_arrays_become_floats_between_0_and_1(array: np.ndarray, expected: list[list[float]]) -> None:
    out = to_float(array)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, np.array(expected, np.float32), atol=1e-7)


def test_a_image_that_fits_is_not_copied() -> None:
    image = np.full((3, 4, 3), 0.5, np.float32)
    assert to_float(image) is image


def test_one_channel_is_gray() -> None:
    assert to_float(np.zeros((3, 4, 1), np.uint8)).shape == (3, 4)


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (4, 4, 2), (4, 4, 4), (2, 4, 4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(H, W\) or \(H, W, 3\)"):
        to_float(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01, 255.0])
def test_floats_that_are_no_image_are_refused(value: float) -> None:
    array = np.full((3, 4), 0.5)
    array[1, 2] = value
    with pytest.raises(InputError, match="expected"):
        to_float(array)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.complex64, object])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(InputError, match="expected uint8, uint16, bool or float"):
        to_float(np.zeros((3, 4), dtype))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_the_default_window_is_that_of_numpys_percentiles(dtype: type) -> None:
    values = np.random.default_rng(0).normal(7500, 300, (37, 41)).astype(dtype)
    gray, note = thermal_window(values)
    low, high = np.percentile(values, [1, 99])
    np.testing.assert_allclose(gray, np.clip((values - low) / (high - low), 0, 1), atol=1e-5)
    assert f"{low:.6g} to {high:.6g}" in note
    assert gray.dtype == np.float32


def test_a_window_keeps_differences_of_one_count_in_large_numbers() -> None:
    values = (np.arange(12).reshape(3, 4) + 2**31 - 100).astype(np.int64)
    gray, _ = thermal_window(values, (2**31 - 100, 2**31 - 89))
    np.testing.assert_allclose(gray, np.arange(12).reshape(3, 4) / 11, atol=1e-6)


def test_a_few_hot_pixels_on_a_constant_ground_are_still_seen() -> None:
    values = np.full((100, 100), 7000, np.uint16)
    values[5, 5] = 9000
    gray, note = thermal_window(values)
    assert gray[5, 5] == 1
    assert gray[0, 0] == 0
    assert "7000 to 9000" in note


def test_the_input_is_left_as_it_is() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    before = values.copy()
    thermal_window(values, (2, 5))
    assert np.array_equal(values, before)


def test_bad_thermal_arrays_are_refused() -> None:
    with pytest.raises(InputError, match="drone: found 1 values"):
        thermal_window(np.array([[20.0, np.nan]]), name="drone")
    with pytest.raises(ShapeError, match=r"expected \(H, W\)"):
        thermal_window(np.zeros((3, 4, 3), np.uint16))
    with pytest.raises(UsageError, match="from 5 to 5, expected two finite values that differ"):
        thermal_window(np.zeros((3, 4), np.uint16), (5, 5))
