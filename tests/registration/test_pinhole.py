"""Calibrated cameras: lens distortion removed, and the transform that two calibrations imply."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.errors import InputError, RegistrationError
from ivfuse.registration import register
from ivfuse.registration.pinhole import PinholeCamera, Undistorter, calibrated_registration
from ivfuse.registration.transform import load_rig, to_rows
from ivfuse.synthetic.street import street_scene

SIZE = (200, 150)
MATRIX = np.array([[180.0, 0, 98], [0, 182, 77], [0, 0, 1]])


def camera(model: str = "plumb_bob", *distortion: float) -> PinholeCamera:
    return PinholeCamera(SIZE, to_rows(MATRIX), model, distortion)


def plumb_bob(
    x: float, y: float, k1: float, k2: float, p1: float, p2: float, k3: float
) -> tuple[float, float]:
    """Brown's model, written out."""
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (
        r2 + 2 * y * y
    ) + 2 * p2 * x * y


def rational(
    x: float, y: float, k1: float, k2: float, p1: float, p2: float, *k: float
) -> tuple[float, float]:
    r2 = x * x + y * y
    numerator = 1 + k1 * r2 + k2 * r2**2 + k[0] * r2**3
    radial = numerator / (1 + k[1] * r2 + k[2] * r2**2 + k[3] * r2**3)
    return x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (
        r2 + 2 * y * y
    ) + 2 * p2 * x * y


def equidistant(x: float, y: float, *k: float) -> tuple[float, float]:
    r = np.hypot(x, y)
    angle = np.arctan(r)
    bent = angle * (1 + sum(each * angle ** (2 * at) for at, each in enumerate(k, 1)))
    return x * bent / r, y * bent / r


def spot(column: float, row: float) -> Any:
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.exp(-((x - column) ** 2 + (y - row) ** 2) / 8).astype(np.float32)


def center_of(image: Any) -> tuple[float, float]:
    y, x = np.indices(image.shape)
    return float((image * x).sum() / image.sum()), float((image * y).sum() / image.sum())


@pytest.mark.parametrize(
    ("model", "bend", "coefficients"),
    [
        ("plumb_bob", plumb_bob, (-0.35, 0.12, 0.002, -0.001, 0.0)),
        ("rational_polynomial", rational, (0.2, 0.05, 0.001, 0.001, 0.01, 0.5, 0.1, 0.0)),
        ("equidistant", equidistant, (0.05, -0.01, 0.0, 0.0)),
    ],
)
@pytest.mark.parametrize("ray", [(0.3, 0.2), (-0.35, 0.25), (0.1, -0.3)])
def test_undistorted_images_show_each_ray_where_an_ideal_lens_shows_it(
    model: str, bend: Any, coefficients: tuple[float, ...], ray: tuple[float, float]
) -> None:
    x, y = bend(*ray, *coefficients)
    seen = spot(x * 180 + 98, y * 182 + 77)
    column, row = center_of(Undistorter(camera(model, *coefficients)).apply(seen))
    ideal = np.array([ray[0] * 180 + 98, ray[1] * 182 + 77])
    assert np.hypot(*(np.array([x * 180 + 98, y * 182 + 77]) - ideal)) > 0.8  # px: the lens bends
    # The spot itself is stretched by the lens, which moves its center a little.
    assert np.hypot(column - ideal[0], row - ideal[1]) < 0.25


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_undistortion_keeps_type_and_shape_and_leaves_ideal_lenses_alone(dtype: Any) -> None:
    image = (spot(90, 70) * 200).astype(dtype)
    found = Undistorter(camera("plumb_bob", -0.2, 0, 0, 0, 0)).apply(image)
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    assert Undistorter(camera()).apply(image) is image


def test_the_transform_maps_directions_of_one_camera_to_those_of_the_other() -> None:
    angle = np.radians(3)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    visible = PinholeCamera((400, 300), ((410.0, 0, 190), (0, 410, 160), (0, 0, 1)))
    rig = calibrated_registration(camera(), visible, turn)
    for direction in ([0.1, 0.2, 1], [-0.3, 0.1, 1]):
        thermal, seen = MATRIX @ direction, visible.array @ turn @ direction
        mapped = rig.array @ thermal
        assert mapped[:2] / mapped[2] == pytest.approx(seen[:2] / seen[2], abs=1e-9)
    assert (rig.thermal, rig.visible, rig.origin) == (SIZE, (400, 300), "calibration")


def test_cameras_that_look_apart_have_no_transform() -> None:
    backwards = np.diag([-1.0, 1, -1])
    with pytest.raises(RegistrationError, match="calibration of the two cameras is not used"):
        calibrated_registration(camera(), camera(), backwards)


def test_a_rig_from_a_calibration_is_a_file_like_others(tmp_path: Any) -> None:
    rig = calibrated_registration(camera(), camera())
    rig.save(tmp_path / "rig.json")
    assert load_rig(tmp_path / "rig.json").origin == "calibration"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"matrix": ((0.0, 0, 98), (0, 180, 77), (0, 0, 1))}, "implausible intrinsics"),
        ({"matrix": ((180.0, 0, 5000), (0, 180, 77), (0, 0, 1))}, "implausible intrinsics"),
        ({"distortion": (np.nan, 0.0, 0.0, 0.0)}, "implausible intrinsics"),
        ({"distortion": (0.1, 0.1)}, "2 coefficients of the lens model 'plumb_bob'"),
        ({"model": "double_sphere", "distortion": (0.1,) * 4}, "lens model 'double_sphere'"),
    ],
)
def test_implausible_calibrations_are_refused(change: dict[str, Any], complaint: str) -> None:
    given: dict[str, Any] = {"size": SIZE, "matrix": to_rows(MATRIX)}
    with pytest.raises(InputError, match=complaint):
        PinholeCamera(**(given | change))


def test_a_start_is_refined_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    street = street_scene(240, 320, 5, "day")
    luma = cv2.cvtColor(street.vi, cv2.COLOR_RGB2GRAY)
    thermal = cv2.resize(np.roll(street.ir, 6, axis=1), (160, 120), interpolation=cv2.INTER_AREA)
    half = PinholeCamera((160, 120), ((160.0, 0, 80), (0, 160, 60), (0, 0, 1)))
    whole = PinholeCamera((320, 240), ((320.0, 0, 160), (0, 320, 120), (0, 0, 1)))
    searches: list[object] = []
    monkeypatch.setattr(register, "estimate", lambda *given: searches.append(given))
    found = register.register_pair(thermal, luma, "affine", start=calibrated_registration(half, whole))
    assert found.quality.accepted
    assert found.original_matrix is not None
    corners = np.array([[10, 10, 1], [150, 10, 1], [150, 110, 1], [10, 110, 1.0]])
    assert np.abs((corners @ found.original_matrix.T)[:, :2] - (corners[:, :2] * 2 - [6, 0])).max() < 3  # px
    assert not searches
    wrong = PinholeCamera((320, 240), ((900.0, 0, 30), (0, 900, 220), (0, 0, 1)))
    register.register_pair(thermal, luma, "affine", calibrated_registration(half, wrong))
    assert searches
