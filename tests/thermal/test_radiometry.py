"""Counts to temperatures and back: the formula against the path of the radiation, computed forwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ivfuse.errors import UsageError
from ivfuse.thermal.radiometry import (
    Atmosphere,
    Conditions,
    Planck,
    celsius,
    count_without_temperature,
    transmission,
)

CONDITIONS = Conditions(
    emissivity=0.7, distance=40.0, reflected=-5.0, atmospheric=28.0, humidity=0.8,
    window_temperature=24.0, window_transmission=0.85,
)  # fmt: skip


@pytest.fixture(scope="module")
def camera(flir: Any) -> tuple[Planck, Atmosphere]:
    air = Atmosphere(flir.ALPHA1, flir.ALPHA2, flir.BETA1, flir.BETA2, flir.X)
    return Planck(flir.R1, flir.R2, flir.B, flir.F, flir.O), air


def seen(flir: Any, air: Atmosphere, degrees: np.ndarray, c: Conditions) -> np.ndarray:
    """What the camera counts: object and mirror image, air, window, air."""
    tau = transmission(air, c, c.distance / 2)
    signal = c.emissivity * flir.counts_of(degrees) + (1 - c.emissivity) * flir.counts_of(c.reflected)
    signal = tau * signal + (1 - tau) * flir.counts_of(c.atmospheric)
    through = c.window_transmission
    signal = through * signal + (1 - through) * flir.counts_of(c.window_temperature)
    return tau * signal + (1 - tau) * flir.counts_of(c.atmospheric)


@pytest.mark.parametrize(
    "conditions",
    [
        CONDITIONS,
        replace(CONDITIONS, emissivity=1.0),
        replace(CONDITIONS, window_transmission=1.0),
        replace(CONDITIONS, distance=0.0),
        Conditions(1.0, 0.0),
    ],
)
def test_temperatures_come_back_through_air_window_and_mirror(
    flir: Any, camera: tuple[Planck, Atmosphere], conditions: Conditions
) -> None:
    degrees = np.linspace(-30, 300, 100).reshape(10, 10)
    counts = seen(flir, camera[1], degrees, conditions)
    assert celsius(counts, *camera, conditions) == pytest.approx(degrees, abs=1e-3)  # float32 at 573 K


def test_air_lets_less_through_the_farther_and_the_damper(camera: tuple[Planck, Atmosphere]) -> None:
    air, near = camera[1], Conditions(distance=1.0)
    assert transmission(air, near, 0.0) == 1
    assert 1 > transmission(air, near, 10.0) > transmission(air, near, 100.0) > 0
    damp = replace(near, humidity=1.0)
    assert transmission(air, damp, 100.0) < transmission(air, near, 100.0)


def test_single_pixels_below_the_calibration_have_no_temperature_and_are_counted(
    camera: tuple[Planck, Atmosphere],
) -> None:
    counts = np.full((10, 20), 20_000, np.uint16)
    counts[0, 0] = 0
    assert camera[0].o < 0
    found = celsius(counts, *camera, Conditions(1.0, 0.0))
    assert np.isnan(found[0, 0])
    assert found.flatten()[1:].min() > 0
    assert count_without_temperature(found) == 1


@pytest.mark.parametrize("change", [{"reflected": 298.0, "emissivity": 0.5}, {"emissivity": 0.1}])
def test_conditions_under_which_a_scene_has_no_temperature_are_an_error_that_names_them(
    flir: Any, camera: tuple[Planck, Atmosphere], change: dict[str, float]
) -> None:
    counts = flir.counts_of(np.linspace(-20, 0, 200).reshape(10, 20))
    with pytest.raises(UsageError, match="100% of the pixels radiate less") as caught:
        celsius(counts, *camera, replace(Conditions(reflected=25.0), **change))
    for name, value in change.items():
        assert f"{name}{' temperature' if name == 'reflected' else ''} {value:g}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"emissivity": 0.0}, "emissivity: found 0"),
        ({"emissivity": float("nan")}, "emissivity: found nan"),
        ({"distance": -1.0}, "distance: found -1"),
        ({"humidity": 1.5}, "humidity: found 150 %"),
        ({"atmospheric": -300.0}, "atmospheric: found -300"),
        ({"window_transmission": 0.0}, "window transmission: found 0"),
    ],
)
def test_impossible_conditions_are_named(change: dict[str, float], said: str) -> None:
    assert replace(CONDITIONS, **change).problem().startswith(said)
    assert CONDITIONS.problem() == ""
