"""Which thermal values become black and white: percentiles, a range, equalization, one window for many."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError, UsageError
from ivfuse.image.arrays import Gray, check_finite, scale_to_unit, strips
from ivfuse.thermal.units import Span, parse_span

Window = tuple[float, float]
PERCENTILES = (1.0, 99.0)  # of the thermal values, the window where none is given

Kind = Literal["percentile", "plateau", "range", "shared"]


_BINS = 4096  # of the histogram that is equalized
_PLATEAU = 4.0  # a bin counts at most this many times the mean of the filled ones
_PEDESTAL = 0.1  # of the output is spread evenly over the values, so that an even area keeps a slope
_SAMPLES = 2048  # quantiles that stand for one image of a folder


@dataclass(frozen=True)
class WindowRule:
    """How thermal values become gray.

    Attributes:
        kind: ``percentile`` (1st to 99th of each image), ``plateau`` (equalized, bins limited), ``range``
            (fixed) or ``shared`` (1st to 99th over all images of the run; it must be made a range first).
        span: the range, for ``range``.
    """

    kind: Kind = "percentile"
    span: Span | None = None


PERCENTILE = WindowRule()


@dataclass(frozen=True)
class Mapped:
    """Thermal values as gray.

    Attributes:
        gray: (H, W) float32 in [0, 1].
        note: one line that says what was done.
        low: the value that became black.
        high: the value that became white.
        even: equal steps of the values are equal steps of gray.
    """

    gray: Gray
    note: str
    low: float
    high: float
    even: bool = True


def parse_window(text: str) -> WindowRule:
    """Read ``percentile``, ``plateau``, ``shared``, or a range: ``10C..45C``, or ``7200..8400`` in counts.

    Raises:
        UsageError: saying what is expected.
    """
    word = text.strip().lower()
    if word in ("percentile", "plateau", "shared"):
        return WindowRule(word)  # type: ignore[arg-type]  # checked by the line above
    if ".." not in word:
        raise UsageError(
            field="window",
            found=repr(text),
            expected="percentile, plateau, shared, or a range like 10C..45C",
        )
    return WindowRule("range", parse_span(text, "window", open_ends=False))


def only_counts(name: str) -> InputError:
    """The error for a window in degrees over values that are counts."""
    return InputError(
        f"{name}: the window is in degrees, but the file holds counts",
        expected="a radiometric file or {scale}",
    )


def to_gray(values: NDArray[Any], rule: WindowRule, name: str, *, degrees: bool) -> Mapped:
    """Map thermal values to [0, 1].

    Args:
        values: (H, W), counts or degC.
        rule: how.
        name: of the image, for errors.
        degrees: the values are degC.

    Raises:
        InputError: if a value is NaN or infinite, or a range is given in degrees for counts.
    """
    span = rule.span
    if span is not None and span.degrees and not degrees:
        raise only_counts(name)
    check_thermal(values, name)
    if rule.kind == "plateau":
        return _plateau(values, degrees)
    if span is not None:
        low, high = span.low, span.high
        gray, note = thermal_window(values, (low, high), name)
    else:
        low, high = window_of(values)
        gray, note = mapped(values, low, high)
    return Mapped(gray, _in_degrees(note) if degrees else note, low, high)


def thermal_window(
    counts: NDArray[Any], window: Window | None = None, name: str = "thermal"
) -> tuple[Gray, str]:
    """Map thermal values to [0, 1] by a window; what lies outside is clipped.

    Args:
        counts: (H, W) integers or floats: counts of the sensor, or degC.
        window: the values that become 0 and 1; ``None`` for the 1st and 99th percentile of the values. Where
            these are equal the minimum and maximum are taken, and a constant image becomes 0.
        name: what to call the image in errors.

    Returns:
        (H, W) float32 in [0, 1], and one line that states the window.

    Raises:
        InputError: if a value is NaN or infinite.
        ShapeError: if the array is empty or not (H, W).
        UsageError: if the window's ends are not finite or not in order.
    """
    check_thermal(counts, name)
    if window is None:
        return mapped(counts, *window_of(counts))
    low, high = (float(end) for end in window)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(field="window", found=f"{low:g} to {high:g}", expected="LO below HI")
    return mapped(counts, low, high)


def check_thermal(values: NDArray[Any], name: str) -> None:
    """Raise ShapeError or InputError unless values are (H, W) and finite."""
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"{name}: found an array of shape {values.shape}, expected (H, W)")
    check_finite(values, name)


def check_window(window: Window) -> None:
    """Raise UsageError unless the ends of a window that a user gave are finite and in order."""
    if not (np.isfinite(window).all() and window[0] < window[1]):
        raise UsageError(field="window", found=f"{window[0]:g} to {window[1]:g}", expected="LO below HI")


def mapped(counts: NDArray[Any], low: float, high: float) -> tuple[Gray, str]:
    """As :func:`thermal_window`, for checked values and a window that is known; zeros where it is empty."""
    kind = "float values" if counts.dtype.kind == "f" else f"{8 * counts.dtype.itemsize}-bit counts"
    if low >= high:
        return np.zeros(counts.shape, np.float32), f"{kind}, constant {low:g}"
    return scale_to_unit(counts, low, high), f"{kind}, window {low:.6g} to {high:.6g}"


def window_of(values: NDArray[Any]) -> Window:
    """The 1st and 99th percentile of values, their minimum and maximum where these are equal."""
    low, high = _percentiles(values)
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def _percentiles(values: NDArray[Any]) -> Window:
    """The 1st and 99th percentile as ``np.percentile`` gives them; for 16-bit counts from a histogram."""
    if values.dtype != np.uint16:
        low, high = np.percentile(values, PERCENTILES)
        return float(low), float(high)
    histogram = np.zeros(65536, np.int64)
    for rows in strips(*values.shape):
        histogram += np.bincount(values[rows].ravel(), minlength=65536)
    below = np.cumsum(histogram)
    ranks = np.array(PERCENTILES) / 100 * (values.size - 1)
    floor = np.searchsorted(below, np.floor(ranks), side="right")
    ceil = np.searchsorted(below, np.ceil(ranks), side="right")
    low, high = floor + (ceil - floor) * (ranks % 1)
    return float(low), float(high)


def shared_window(images: Iterable[tuple[NDArray[Any], bool]]) -> WindowRule:
    """One window for many images: percentiles over all of them, each with the same weight.

    Args:
        images: values of each, and whether they are degC.

    Raises:
        InputError: if there are none, or some hold degrees and others counts.
    """
    samples, units = [], set()
    for values, degrees in images:
        sample = np.quantile(values, np.linspace(0, 1, _SAMPLES))
        if np.isfinite(sample).all():
            samples.append(sample)
            units.add(degrees)
    if not samples:
        raise InputError(
            "shared: found no thermal image that can be read", field="window", expected="one or more"
        )
    if len(units) > 1:
        raise InputError(
            "shared: found files with temperatures and files with counts", field="window", hint="give {scale}"
        )
    low, high = np.percentile(np.concatenate(samples), PERCENTILES)
    if not low < high:
        low, high = float(low), math.nextafter(float(low), math.inf) + 1
    return WindowRule("range", Span(float(low), float(high), units.pop()))


def _plateau(values: NDArray[Any], degrees: bool) -> Mapped:
    """Equalize the histogram with limited bins (Vickers 1996, Optical Engineering 35(7), 1921-1926)."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Mapped(np.zeros(values.shape, np.float32), f"constant {low:g}", low, high)
    edges = np.linspace(low, high, _BINS + 1)
    histogram, _ = np.histogram(values, edges)
    limit = _PLATEAU * histogram[histogram > 0].mean()
    share = np.cumsum(np.minimum(histogram, limit))
    curve = (1 - _PEDESTAL) * np.append(0.0, share / share[-1]) + _PEDESTAL * np.linspace(0, 1, _BINS + 1)
    gray = np.interp(values, edges, curve).astype(np.float32)
    return Mapped(gray, f"equalized between {low:.6g} and {high:.6g}{' C' * degrees}", low, high, even=False)


def _in_degrees(note: str) -> str:
    """The note of a window over temperatures."""
    return note.replace("float values", "temperatures", 1) + " C"
