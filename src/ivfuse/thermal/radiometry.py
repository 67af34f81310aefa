"""Radiometry: conversion of a thermal camera's counts to degrees Celsius with Planck's law.

The detector receives the radiation of the object through the air (and a window), the radiation of the
surroundings reflected by the object, and the radiation of the air and the window themselves. The calibration
gives the counts of each contribution, so that the contributions other than the object's can be subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import exp, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.image.headers import BadFileError

ZERO_C = 273.15  # K
ABSOLUTE_ZERO = np.float32(-ZERO_C)  # degC
MAX_WITHOUT = 0.01  # largest fraction of pixels without a temperature


class Planck(NamedTuple):
    """Planck constants of a camera: counts = r1 / (r2 (exp(b / T) - f)) - o, with T in K."""

    r1: float
    r2: float
    b: float
    f: float
    o: float


class Atmosphere(NamedTuple):
    """Constants of the atmospheric transmission: two bands, weighted by x and 1 - x, with alpha and beta."""

    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float


@dataclass(frozen=True)
class Conditions:
    """Measurement conditions that relate the temperature of the object to the counts.

    Attributes:
        emissivity: emissivity of the object, above 0 up to 1.
        distance: distance from the camera to the object, in m.
        reflected: reflected apparent temperature of the surroundings, in degC.
        atmospheric: temperature of the air, in degC.
        humidity: relative humidity of the air, 0..1.
        window_temperature: temperature of an external window in front of the camera, in degC.
        window_transmission: transmission of that window, above 0 up to 1; 1 if there is none.
    """

    emissivity: float = 0.95
    distance: float = 1.0
    reflected: float = 20.0
    atmospheric: float = 20.0
    humidity: float = 0.5
    window_temperature: float = 20.0
    window_transmission: float = 1.0

    def problem(self) -> str:
        """Describe the first invalid value as "found ..., expected ..."; "" if all values are valid.

        This is not checked on construction, because the options of the user may replace an invalid value of
        a file.
        """
        limits = {
            "emissivity": (1e-3, 1.0, "above 0 up to 1"),
            "distance": (0.0, 1e5, "0 to 100000 m"),
            "reflected": (-ZERO_C, 3000.0, "-273.15 to 3000 degC"),
            "atmospheric": (-100.0, 150.0, "-100 to 150 degC"),
            "humidity": (0.0, 1.0, "0 to 100 %"),
            "window_temperature": (-ZERO_C, 3000.0, "-273.15 to 3000 degC"),
            "window_transmission": (1e-3, 1.0, "above 0 up to 1"),
        }
        for name, (low, high, expected) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                shown = f"{100 * value:g} %" if name == "humidity" else f"{value:g}"
                return f"{name.replace('_', ' ')}: found {shown}, expected {expected}"
        return ""


@dataclass(frozen=True)
class Overrides:
    """Conditions that replace those of a file; ``None`` keeps the value of the file.

    Attributes:
        emissivity: see :class:`Conditions`.
        distance: see :class:`Conditions`.
        reflected: see :class:`Conditions`.
        atmospheric: see :class:`Conditions`.
        humidity: see :class:`Conditions`.
    """

    emissivity: float | None = None
    distance: float | None = None
    reflected: float | None = None
    atmospheric: float | None = None
    humidity: float | None = None

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: if a value is out of range.
        """
        if problem := replace(Conditions(), **self.given()).problem():
            raise UsageError(problem)

    def given(self) -> dict[str, float]:
        """Return the values that are not ``None``, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: float(value) for name, value in values.items() if value is not None}


def overrides_of(
    emissivity: float | None,
    distance: float | None,
    reflected: float | None,
    atmospheric: float | None,
    humidity: float | None,
) -> Overrides:
    """Create overrides from user input, in which humidity is in percent; ``None`` keeps the file's value.

    Raises:
        UsageError: if a value is out of range.
    """
    fraction = None if humidity is None else humidity / 100
    return Overrides(emissivity, distance, reflected, atmospheric, fraction)


def transmission(air: Atmosphere, conditions: Conditions, distance: float) -> float:
    """Transmission of thermal radiation through the air over a distance in m; 0..1.

    The water content follows from humidity and temperature and attenuates two bands. Source: the model of
    FLIR cameras as given in Minkina & Dudzik 2009, Infrared Thermography: Errors and Uncertainties.
    """
    t = conditions.atmospheric
    water = conditions.humidity * exp(1.5587 + 6.939e-2 * t - 2.7816e-4 * t**2 + 6.8455e-7 * t**3)
    first, second = (
        exp(-sqrt(distance) * (alpha + beta * sqrt(water)))
        for alpha, beta in ((air.alpha1, air.beta1), (air.alpha2, air.beta2))
    )
    return air.x * first + (1 - air.x) * second


def celsius(
    counts: NDArray[np.uint16], planck: Planck, air: Atmosphere, conditions: Conditions
) -> NDArray[np.float32]:
    """Convert counts to temperatures of the object.

    Args:
        counts: (H, W) raw counts of the camera.
        planck: calibration of the camera.
        air: constants of the camera for the atmospheric transmission.
        conditions: emissivity, distance and ambient temperatures.

    Returns:
        (H, W) float32 in degC; NaN at single pixels that have no temperature, such as defective ones.

    Raises:
        UsageError: if more than 1 % of the pixels have no temperature under the conditions, because they
            radiate less than the conditions ascribe to reflection, air and window.
        BadFileError: if the constants give no valid temperatures.
    """
    try:
        with np.errstate(all="ignore"):
            degrees = _celsius(counts, planck, air, conditions)
    except (ArithmeticError, ValueError) as error:
        raise BadFileError("a FLIR file with an invalid calibration") from error
    degrees[~(degrees > ABSOLUTE_ZERO)] = np.nan
    without = count_without_temperature(degrees) / degrees.size
    if without > MAX_WITHOUT:
        ideal = replace(conditions, emissivity=1.0, distance=0.0, window_transmission=1.0)
        with np.errstate(all="ignore"):
            best = _celsius(counts, planck, air, ideal)
        if np.count_nonzero(~(best > ABSOLUTE_ZERO)) / best.size > MAX_WITHOUT:
            raise BadFileError("a FLIR file with an invalid calibration")
        raise _no_temperature(without, conditions)
    if not np.nanmax(degrees) <= 1e5:
        raise BadFileError("a FLIR file with an invalid calibration")
    return degrees


def count_without_temperature(degrees: NDArray[np.float32]) -> int:
    """Count the pixels that have no temperature in a result of :func:`celsius`."""
    return int(np.count_nonzero(np.isnan(degrees)))


def _no_temperature(without: float, conditions: Conditions) -> UsageError:
    return UsageError(
        f"{without:.0%} of the pixels radiate less than what the conditions ascribe to reflection and air"
        f" (emissivity {conditions.emissivity:g}, reflected temperature {conditions.reflected:g} degC,"
        f" distance {conditions.distance:g} m, air {conditions.atmospheric:g} degC)",
        hint="correct {emissivity}, {reflected}, {distance} or {atmospheric}",
    )


def _celsius(
    counts: NDArray[Any], planck: Planck, air: Atmosphere, conditions: Conditions
) -> NDArray[np.float32]:
    """Look the temperatures of integer counts up in a table, since there are fewer of them than pixels."""
    if counts.dtype != np.uint16:
        return _celsius_of(counts.astype(np.float64), planck, air, conditions)
    low, high = int(counts.min()), int(counts.max())
    table = _celsius_of(np.arange(low, high + 1, dtype=np.float64), planck, air, conditions)
    return np.take(table, counts - np.uint16(low))


def _celsius_of(
    counts: NDArray[np.float64], planck: Planck, air: Atmosphere, conditions: Conditions
) -> NDArray[np.float32]:
    """Subtract the radiation that is not the object's, then invert the calibration.

    The air contributes twice, between object and window and between window and camera, each over half the
    distance.
    """
    emissivity, window = conditions.emissivity, conditions.window_transmission
    tau = transmission(air, conditions, conditions.distance / 2)
    at_window = emissivity * tau  # fraction of the object's radiation that reaches the window
    reflected = (1 - emissivity) / emissivity * _counts(planck, conditions.reflected)
    outer_air = (1 - tau) / at_window * _counts(planck, conditions.atmospheric)
    pane = (1 - window) / (at_window * window) * _counts(planck, conditions.window_temperature)
    inner_air = (1 - tau) / (at_window * window * tau) * _counts(planck, conditions.atmospheric)
    object_counts = counts / (at_window * window * tau) - reflected - outer_air - pane - inner_air
    signal = np.maximum(planck.r2 * (object_counts + planck.o), 0)
    kelvin = planck.b / np.log(planck.r1 / signal + planck.f)
    return (kelvin - ZERO_C).astype(np.float32)


def _counts(planck: Planck, degrees: float) -> float:
    """Counts of the camera for a black body at a temperature in degC."""
    kelvin = max(degrees + ZERO_C, 1.0)
    return planck.r1 / (planck.r2 * (exp(min(planck.b / kelvin, 700.0)) - planck.f)) - planck.o
