"""Cross-correlation by the Fourier transform equals the sum that defines it."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.image.correlation import cross_correlation, fft_shape, spectrum


def test_every_lag_is_the_sum_of_products_over_channels_and_positions() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 12, 15)), rng.random((3, 5, 4))
    shape = fft_shape(12 + 5, 15 + 4)
    found = cross_correlation(spectrum(a, shape), spectrum(b, shape), (-5, -4), (12 + 5, 15 + 4))
    padded = np.pad(a, ((0, 0), (5, 5), (4, 4)))
    for y, x in np.ndindex(found.shape):
        assert found[y, x] == pytest.approx((padded[:, y : y + 5, x : x + 4] * b).sum(), abs=1e-9)


def test_complex_arrays_are_conjugated_in_the_second_place() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.random((9, 9)) + 1j * rng.random((9, 9)) for _ in range(2))
    found = cross_correlation(spectrum(a, (12, 12)), spectrum(b, (12, 12)), (-2, 1), (1, 2))
    assert found[0, 0] == pytest.approx((a[:-2, 1:] * b[2:, :-1].conj()).sum().real)
    assert found[0, 1] == pytest.approx((a[:-2, 2:] * b[2:, :-2].conj()).sum().real)


def test_one_dimension_works_as_two() -> None:
    a, b = np.array([0.0, 1, 2, 3]), np.array([1.0, 10])
    found = cross_correlation(spectrum(a, (8,)), spectrum(b, (8,)), (-1,), (5,))
    assert found == pytest.approx([0, 10, 21, 32, 3])


def test_fft_shape_is_at_least_as_large_and_has_small_factors() -> None:
    for length in (1, 7, 17, 101, 1000):
        (size,) = fft_shape(length)
        assert length <= size < 1.3 * length + 2
        for prime in (2, 3, 5):
            while size % prime == 0:
                size //= prime
        assert size == 1


def test_spectra_of_different_sizes_are_refused() -> None:
    a = np.zeros((4, 4))
    with pytest.raises(ValueError, match="expected the same shape"):
        cross_correlation(spectrum(a, (8, 8)), spectrum(a, (8, 9)), (0, 0), (1, 1))
