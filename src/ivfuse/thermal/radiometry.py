"""Counts of a thermal camera to degrees Celsius: Planck's law by the camera's constants, emissivity and air.

The detector sees the object through the air (and a window), the surroundings mirrored in the object, and the
glow of the air itself. Each part is a number of counts by the same calibration, so they can be taken away.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.image.headers import BadFileError

ZERO_C = 273.15  # K


@dataclass(frozen=True)
class Planck:
    """Calibration of a camera: counts = r1 / (r2 (exp(b / T) - f)) - o, T in K."""

    r1: float
    r2: float
    b: float
    f: float
    o: float


@dataclass(frozen=True)
class Atmosphere:
    """Constants of the transmission of air: two bands, weighted x and 1 - x, each with alpha and beta."""

    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float


@dataclass(frozen=True)
class Conditions:
    """What lies between the object's temperature and the counts.

    Attributes:
        emissivity: of the object, above 0 up to 1.
        distance: from the camera to the object, in m.
        reflected: apparent temperature of what the object mirrors, in degC.
        atmospheric: temperature of the air, in degC.
        humidity: of the air, 0..1.
        window_temperature: of a window before the camera, in degC.
        window_transmission: of that window, above 0 up to 1; 1 for no window.
    """

    emissivity: float = 0.95
    distance: float = 1.0
    reflected: float = 20.0
    atmospheric: float = 20.0
    humidity: float = 0.5
    window_temperature: float = 20.0
    window_transmission: float = 1.0

    def problem(self) -> str:
        """What makes no sense, as "found ..., expected ..."; "" if all is well.

        Not checked at once: a file may say nonsense that the user's options then replace.
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
    """Conditions that replace those of a file; ``None`` leaves the file's.

    Attributes:
        emissivity, distance, reflected, atmospheric, humidity: as in :class:`Conditions`.
    """

    emissivity: float | None = None
    distance: float | None = None
    reflected: float | None = None
    atmospheric: float | None = None
    humidity: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            UsageError: naming the option.
        """
        if problem := replace(Conditions(), **self.given()).problem():
            raise UsageError(problem)

    def given(self) -> dict[str, float]:
        """Those that are not ``None``."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: float(value) for name, value in every.items() if value is not None}


def overrides_of(
    emissivity: float | None,
    distance: float | None,
    reflected: float | None,
    atmospheric: float | None,
    humidity: float | None,
) -> Overrides:
    """Overrides as users give them: humidity in per cent; ``None`` for what was left out.

    Raises:
        UsageError: if one makes no sense.
    """
    share = None if humidity is None else humidity / 100
    return Overrides(emissivity, distance, reflected, atmospheric, share)


def transmission(air: Atmosphere, conditions: Conditions, distance: float) -> float:
    """How much of the heat radiation the air lets through over a distance in m; 0..1.

    Source: the model of FLIR's cameras, as in Minkina & Dudzik 2009, Infrared Thermography: Errors and
    Uncertainties: the content of water by humidity and temperature, then two bands.
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
    """Temperatures of the object.

    Args:
        counts: (H, W) of the camera.
        planck: its calibration.
        air: its constants for the air.
        conditions: emissivity, distance and temperatures around.

    Returns:
        (H, W) float32 in degC; -273.15 where the counts lie below the reach of the calibration.

    Raises:
        BadFileError: if the constants make no sense.
    """
    try:
        with np.errstate(all="ignore"):
            degrees = _celsius(counts.astype(np.float64), planck, air, conditions)
    except (ArithmeticError, ValueError) as error:
        raise BadFileError("a FLIR file whose calibration makes no sense") from error
    if not np.isfinite(degrees.sum()) or not -ZERO_C - 0.01 <= degrees.min() <= degrees.max() <= 1e5:
        raise BadFileError("a FLIR file whose calibration makes no sense")
    return degrees


def _celsius(
    counts: NDArray[np.float64], planck: Planck, air: Atmosphere, conditions: Conditions
) -> NDArray[np.float32]:
    """Take the other sources of radiation away, then invert the calibration.

    The air acts twice, between object and window and between window and camera, each over half the distance.
    """
    emissivity, window = conditions.emissivity, conditions.window_transmission
    tau = transmission(air, conditions, conditions.distance / 2)
    through = emissivity * tau  # the share of the object behind the first half of the air
    mirrored = (1 - emissivity) / emissivity * _counts(planck, conditions.reflected)
    near = (1 - tau) / through * _counts(planck, conditions.atmospheric)
    pane = (1 - window) / (through * window) * _counts(planck, conditions.window_temperature)
    far = (1 - tau) / (through * window * tau) * _counts(planck, conditions.atmospheric)
    object_counts = counts / (through * window * tau) - mirrored - near - pane - far
    signal = np.maximum(planck.r2 * (object_counts + planck.o), 0)
    kelvin = planck.b / np.log(planck.r1 / signal + planck.f)
    return (kelvin - ZERO_C).astype(np.float32)


def _counts(planck: Planck, degrees: float) -> float:
    """What the camera would count of a black body of a temperature in degC."""
    kelvin = max(degrees + ZERO_C, 1.0)
    return planck.r1 / (planck.r2 * (exp(min(planck.b / kelvin, 700.0)) - planck.f)) - planck.o
