"""Parsing of temperature ranges such as ``10C..45C`` or ``>40C``, and of scales from counts to degrees."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.thermal.radiometry import ZERO_C

MAX_VALUE = 1e9  # of a bound, a factor or an offset: beyond, sums and differences lose all digits

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = rf"\s*({_NUMBER})\s*°?\s*([CKFckf]?)\s*"
_SCALE = rf"\s*({_NUMBER})\s*°?\s*([CKFckf])\s*([+-]\s*(?:\d+\.?\d*|\.\d+))?\s*"


@dataclass(frozen=True)
class Span:
    """A closed range of values, which may be unbounded on one side.

    Attributes:
        low: lower bound; minus infinity if there is none.
        high: upper bound; infinity if there is none. It is below ``low`` in a reversed window of counts.
        degrees: whether the bounds are in degC; otherwise in the units of the file.
    """

    low: float
    high: float
    degrees: bool

    def __str__(self) -> str:
        """Format the range in the notation of :func:`parse_span`."""
        unit = "C" if self.degrees else ""
        if self.low == -math.inf:
            return f"<{self.high:g}{unit}"
        if self.high == math.inf:
            return f">{self.low:g}{unit}"
        return f"{self.low:g}{unit}..{self.high:g}{unit}"

    def holds(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return a mask of the values within the range, bounds included."""
        inside: NDArray[np.bool_] = (values >= self.low) & (values <= self.high)
        return inside


def parse_span(text: str, name: str, *, open_ends: bool, unit: str = "", reversible: bool = False) -> Span:
    """Parse a range such as ``10C..45C``, and optionally ``>40C`` or ``<5C``; units are C, K or F.

    Args:
        text: user input.
        name: name of the field in error messages.
        open_ends: whether ``>`` and ``<`` are accepted.
        unit: unit of numbers without one; "" for the units of the file.
        reversible: whether a range without a unit may go from high to low.

    Raises:
        UsageError: if the text is not a range, or a bound is beyond :data:`MAX_VALUE`.
    """
    expected = "a range like 10C..45C" + (", or like >40C or <5C" if open_ends else "")
    wrong = UsageError(field=name, found=repr(text), expected=expected)
    plain = text.strip()
    if open_ends and plain[:1] in ("<", ">"):
        value, degrees = _value(plain[1:].lstrip("="), unit, wrong)
        return Span(value, math.inf, degrees) if plain[0] == ">" else Span(-math.inf, value, degrees)
    ends = plain.split("..")
    if len(ends) != 2:
        raise wrong
    high, degrees = _value(ends[1], unit, wrong)
    # In 10..45C the unit applies to both numbers.
    low, low_degrees = _value(ends[0], unit or (ends[1].strip()[-1:] if degrees else ""), wrong)
    if low_degrees != degrees:
        raise wrong
    if not low < high and not (reversible and low > high and not degrees):
        raise UsageError(field=name, found=f"{text!r}, whose lower bound is not below the upper bound")
    return Span(low, high, degrees)


def _value(text: str, unit: str, wrong: UsageError) -> tuple[float, bool]:
    """Parse a number, converted to degC if it has a unit, and tell whether it has one."""
    match = re.fullmatch(_VALUE, text)
    if match is None:
        raise wrong
    if not abs(float(match[1])) <= MAX_VALUE:
        raise UsageError(
            field=wrong.field, found=wrong.found, expected=f"numbers from -{MAX_VALUE:g} to {MAX_VALUE:g}"
        )
    unit = (match[2] or unit).upper()
    return _to_celsius(float(match[1]), unit), bool(unit)


def _to_celsius(value: float, unit: str) -> float:
    if unit == "K":
        return round(value - ZERO_C, 9)
    return round((value - 32) / 1.8, 9) if unit == "F" else value


@dataclass(frozen=True)
class Scale:
    """Linear conversion of counts to temperatures: degC = factor x counts + offset.

    Attributes:
        factor: degC per count.
        offset: degC at 0 counts.
    """

    factor: float
    offset: float

    def celsius(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Convert counts to temperatures, float32 in degC, of the same shape."""
        return (values.astype(np.float64) * self.factor + self.offset).astype(np.float32)


def parse_scale(text: str) -> Scale:
    """Parse a scale: ``0.01K`` (centikelvin), ``0.04K``, ``0.1C``, ``1C`` or, with an offset, ``0.01C-100``.

    Raises:
        UsageError: if the text is not a scale.
    """
    match = re.fullmatch(_SCALE, text)
    factor = float(match[1]) if match else 0.0
    offset = float((match[3] or "0").replace(" ", "")) if match else 0.0
    if match is None or not 1e-9 <= factor <= MAX_VALUE or abs(offset) > MAX_VALUE:
        raise UsageError(
            field="scale",
            found=repr(text),
            expected="degrees per count, like 0.01K, 0.1C or 0.01C-100",
        )
    unit = match[2].upper()
    if unit == "F":
        return Scale(factor / 1.8, (offset - 32) / 1.8)
    return Scale(factor, offset - ZERO_C if unit == "K" else offset)
