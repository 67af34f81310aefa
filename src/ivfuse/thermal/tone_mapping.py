"""Tone mapping of thermal values to gray: by percentiles, a fixed or shared window, or equalization."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, ShapeError, UsageError
from ivfuse.image.arrays import Gray, check_finite, scale_to_unit, strips
from ivfuse.thermal.units import Span, parse_span

Window = tuple[float, float]
PERCENTILES = (1.0, 99.0)  # percentiles of the thermal values that form the default window

Kind = Literal["percentile", "plateau", "range", "shared"]


_BINS = 4096  # bins of the equalized histogram
_PLATEAU = 4.0  # limit of a bin, as a multiple of the mean of the non-empty bins
_PEDESTAL = 0.1  # fraction of the output range that is mapped linearly, so that empty bins keep a slope


class WindowRule(NamedTuple):
    """Rule for mapping thermal values to gray.

    Attributes:
        kind: ``percentile`` (1st to 99th of each image), ``plateau`` (equalization with limited bins),
            ``range`` (fixed), or ``shared`` (1st to 99th over all images of a run; see
            :mod:`ivfuse.thermal.shared_window`).
        span: the range if ``kind`` is ``range``; from high to low for counts in which dark is warm.
    """

    kind: Kind = "percentile"
    span: Span | None = None


PERCENTILE = WindowRule()


class Mapped(NamedTuple):
    """Thermal values mapped to gray.

    Attributes:
        gray: (H, W) float32 in [0, 1].
        note: one line that describes the mapping.
        low: the value that became black.
        high: the value that became white.
        even: whether the mapping is linear.
    """

    gray: Gray
    note: str
    low: float
    high: float
    even: bool = True


def parse_window(text: str) -> WindowRule:
    """Parse ``percentile``, ``plateau``, ``shared`` or a range: ``10C..45C``, or ``7200..8400`` in counts.

    A range of counts may be reversed, ``255..0``, for images in which dark is warm (black-hot).

    Raises:
        UsageError: if the text is none of these.
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
    return WindowRule("range", parse_span(text, "window", open_ends=False, reversible=True))


def counts_error(name: str) -> InputError:
    """Create the error for a window in degrees that is applied to counts."""
    return InputError(
        f"{name}: the window is in degrees, but the file contains counts",
        expected="a radiometric file or {scale}",
    )


def to_gray(values: NDArray[Any], rule: WindowRule, name: str, *, degrees: bool) -> Mapped:
    """Map thermal values to [0, 1].

    Args:
        values: (H, W) counts or degC.
        rule: the rule that determines the mapping.
        name: name of the image in error messages.
        degrees: whether the values are in degC.

    Raises:
        InputError: if a value is NaN or infinite, or a range is given in degrees for counts.
        UsageError: if a reversed range is given for temperatures, of which the warmer are always brighter.
    """
    span = rule.span
    if span is not None and span.degrees and not degrees:
        raise counts_error(name)
    if span is not None and degrees and span.low > span.high:
        raise UsageError(
            f"{name}: the window goes from {span.low:g} to {span.high:g}, but the values are temperatures",
            expected="the lower bound first",
        )
    check_thermal(values, name)
    if rule.kind == "plateau":
        return _plateau(values, degrees)
    if span is not None:
        low, high = span.low, span.high
        gray, note = thermal_window(values, (low, high), name)
    else:
        low, high = percentile_window(values)
        gray, note = apply_window(values, low, high)
    return Mapped(gray, _in_degrees(note) if degrees else note, low, high)


def thermal_window(
    counts: NDArray[Any], window: Window | None = None, name: str = "thermal"
) -> tuple[Gray, str]:
    """Map thermal values linearly to [0, 1] by a window; values outside are clipped.

    Args:
        counts: (H, W) integers or floats: counts of the sensor, or degC.
        window: the values that become 0 and 1, the first the higher if dark is warm; ``None`` for the 1st and
            99th percentile. If these are equal, the minimum and maximum are used, and a constant image
            becomes 0.
        name: name of the image in error messages.

    Returns:
        (H, W) float32 in [0, 1], and one line that states the window.

    Raises:
        InputError: if a value is NaN or infinite.
        ShapeError: if the array is empty or not (H, W).
        UsageError: if the window is empty or not finite.
    """
    check_thermal(counts, name)
    if window is None:
        return apply_window(counts, *percentile_window(counts))
    low, high = (float(end) for end in window)
    check_window((low, high))
    return apply_window(counts, low, high)


def check_thermal(values: NDArray[Any], name: str) -> None:
    """Raise ShapeError or InputError unless values are (H, W) and finite."""
    if values.ndim != 2 or not values.size:
        raise ShapeError(f"{name}: found an array of shape {values.shape}, expected (H, W)")
    check_finite(values, name)


def check_window(window: Window) -> None:
    """Raise UsageError unless the ends of a window differ, and they and its width are finite."""
    if window[0] == window[1] or not math.isfinite(float(window[1]) - float(window[0])):
        raise UsageError(
            f"the thermal window goes from {window[0]:g} to {window[1]:g}",
            expected="two finite values that differ",
        )


def apply_window(counts: NDArray[Any], low: float, high: float) -> tuple[Gray, str]:
    """Apply a window to validated values; zeros if the window is empty. See :func:`thermal_window`."""
    kind = "float values" if counts.dtype.kind == "f" else f"{8 * counts.dtype.itemsize}-bit counts"
    if low == high:
        return np.zeros(counts.shape, np.float32), f"{kind}, constant {low:g}"
    order = ", dark is warm" if low > high else ""
    return scale_to_unit(counts, low, high), f"{kind}, window {low:.6g} to {high:.6g}{order}"


def percentile_window(values: NDArray[Any]) -> Window:
    """Return the 1st and 99th percentile of values, or their minimum and maximum if these are equal."""
    low, high = _percentiles(values)
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def _percentiles(values: NDArray[Any]) -> Window:
    """Compute the percentiles as ``np.percentile`` does, but from a histogram for 16-bit counts."""
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


def _plateau(values: NDArray[Any], degrees: bool) -> Mapped:
    """Plateau equalization of the histogram (Vickers 1996, Optical Engineering 35(7), 1921-1926)."""
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
    """Rewrite the note of a window for temperatures."""
    return note.replace("float values", "temperatures", 1) + " C"
