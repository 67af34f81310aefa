"""One thermal window for many images, from histograms that can be merged in any order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.thermal.tone_mapping import PERCENTILES, WindowRule
from ivfuse.thermal.units import Span

_SAMPLES = 2048  # number of quantiles that represent one image
_DROPPED = (
    7  # bits of float32 mantissas that are dropped: values keep 17 bits, integers up to 131071 are exact
)
_COUNTS, _DEGREES, _LEVELS = 0, 1, 2  # units of values, of which one window holds for one only
_UNITS = {_DEGREES: "temperatures", _COUNTS: "counts", _LEVELS: "8-bit levels"}


class WindowHistogram:
    """Counts of thermal values, with equal weight per image.

    Values are counted in bins of a relative width of 2^-16, so that its size does not grow with the number of
    images. Merging is exact and commutes.
    """

    def __init__(self) -> None:
        """Begin without images."""
        self._bins: NDArray[np.int64] = np.zeros(0, np.int64)
        self._counts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._units: set[int] = set()

    def add(self, values: NDArray[Any], degrees: bool) -> None:
        """Add an image; one with values that are not finite is left out.

        Args:
            values: of any shape, in counts or degC; uint8 for levels, which share no scale with counts.
            degrees: whether they are in degC.
        """
        sample = np.quantile(values, np.linspace(0, 1, _SAMPLES)).astype(np.float32)
        if np.isfinite(sample).all():
            self._units.add(_DEGREES if degrees else _LEVELS if values.dtype == np.uint8 else _COUNTS)
            self._add(_to_bins(sample), np.ones(sample.size, np.int64))

    def merge(self, other: WindowHistogram) -> None:
        """Add all images of another histogram."""
        self._units |= other._units
        self._add(other._bins, other._counts)

    def _add(self, bins: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        self._bins, inverse = np.unique(np.concatenate((self._bins, bins)), return_inverse=True)
        total = np.zeros(self._bins.size, np.int64)
        np.add.at(total, inverse, np.concatenate((self._counts, counts)))
        self._counts = total

    def to_array(self) -> NDArray[np.int64]:
        """Return the content as an array (2, N + 1), whose first column states the units."""
        units = sum(1 << each for each in self._units)
        first = np.array([[units], [self._counts.sum()]], np.int64)
        return np.hstack((first, np.stack((self._bins, self._counts))))

    @classmethod
    def from_array(cls, array: NDArray[Any]) -> WindowHistogram:
        """Return the histogram of :meth:`to_array`.

        Raises:
            InputError: if the array is none.
        """
        if array.ndim != 2 or array.shape[0] != 2 or not array.shape[1] or array.dtype != np.int64:
            raise InputError(
                "histogram of thermal values: damaged", expected="an array (2, N) of 64-bit integers"
            )
        found = cls()
        found._units = {each for each in _UNITS if int(array[0, 0]) >> each & 1}
        found._bins, found._counts = array[0, 1:], array[1, 1:]
        return found

    def rule(self) -> WindowRule:
        """Return the window from the 1st to the 99th percentile.

        Raises:
            InputError: if there are no images, or they are of different units.
        """
        if not self._units:
            raise InputError(
                "shared: found no thermal image that can be read", field="window", expected="one or more"
            )
        if len(self._units) > 1:
            found = " and ".join(f"files with {name}" for unit, name in _UNITS.items() if unit in self._units)
            hint = "give {scale}" if self._units == {_COUNTS, _DEGREES} else None
            raise InputError(
                field="window", found=f"shared for {found}", expected="files of one kind", hint=hint
            )
        below = np.cumsum(self._counts)
        ranks = np.array(PERCENTILES) / 100 * (below[-1] - 1)
        values = _from_bins(self._bins)
        floor = values[np.searchsorted(below, np.floor(ranks), side="right")]
        ceil = values[np.searchsorted(below, np.ceil(ranks), side="right")]
        low, high = (float(each) for each in floor + (ceil - floor) * (ranks % 1))
        if not low < high:
            high = math.nextafter(low, math.inf) + 1
        return WindowRule("range", Span(low, high, self._units == {_DEGREES}))


def shared_window(images: Iterable[tuple[NDArray[Any], bool]]) -> WindowRule:
    """Compute one window for many images from percentiles over all of them, with equal weight per image.

    Args:
        images: for each image, its values and whether they are in degC.

    Raises:
        InputError: if there are no images, or they are of different units.
    """
    total = WindowHistogram()
    for values, degrees in images:
        total.add(values, degrees)
    return total.rule()


def _to_bins(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number float32 values in their order, without the last bits of the mantissa."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits) >> _DROPPED


def _from_bins(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the smallest value of each bin."""
    ordered = bins << _DROPPED
    bits = np.where(ordered < 0, -ordered | -0x80000000, ordered).astype(np.int64)
    return bits.astype(np.int32).view(np.float32).astype(np.float64)
