"""Calibrated cameras: removal of lens distortion, and the transform that two calibrations imply.

Sources: Brown 1966 (``plumb_bob``); Kannala & Brandt 2006 (``equidistant``); Hartley & Zisserman 2004,
section 13.4, for the homography of the plane at infinity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, RegistrationError
from ivfuse.registration.geometry import Matrix, Size, find_implausibility, normalize, to_corners
from ivfuse.registration.transform import Registration, Rows, to_rows

# Numbers of coefficients of each lens model, as OpenCV takes them.
LENS_MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,), "fisheye": (4,)}
_FOCAL_LENGTHS = (0.05, 100.0)  # plausible ones, relative to the longer side
_MAX_OFFSET = 1.0  # of the principal point from the image center, relative to the longer side


@dataclass(frozen=True)
class PinholeCamera:
    """The intrinsic calibration of a camera.

    Attributes:
        size: width and height of its images, in pixels.
        matrix: rows of the camera matrix in pixels; 0, 0 is the center of the upper left pixel.
        model: ``plumb_bob``, ``rational_polynomial``, or ``equidistant`` (also ``fisheye``).
        distortion: coefficients of the model; empty without distortion.

    Raises:
        InputError: if the values are implausible or the model is unknown.
    """

    size: Size
    matrix: Rows
    model: str = "plumb_bob"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Validate the values."""
        if self.distortion and len(self.distortion) not in LENS_MODELS.get(self.model, ()):
            found = f"{len(self.distortion)} coefficients of the lens model {self.model!r}"
            raise InputError(f"found {found}", expected=f"one of {', '.join(LENS_MODELS)}")
        values = np.array([*self.array.ravel(), *self.distortion])
        longer = max(self.size)
        focal, center = self.array[[0, 1], [0, 1]], self.array[:2, 2] - np.array(self.size) / 2
        plausible = (
            np.isfinite(values).all()
            and (_FOCAL_LENGTHS[0] * longer < focal).all()
            and (focal < _FOCAL_LENGTHS[1] * longer).all()
            and (np.abs(center) < _MAX_OFFSET * longer).all()
        )
        if not plausible:
            raise InputError(f"found implausible intrinsics for {self.size[0]}x{self.size[1]} pixels")

    @property
    def array(self) -> Matrix:
        """The camera matrix, (3, 3) float64."""
        return np.array(self.matrix, float)

    @property
    def is_distorted(self) -> bool:
        """Whether the lens has distortion."""
        return any(self.distortion)

    def undistorted(self) -> PinholeCamera:
        """The same camera with an ideal lens."""
        return replace(self, distortion=())


@dataclass(frozen=True)
class Undistorter:
    """Removes the lens distortion from images of one camera; focal lengths and size stay.

    Attributes:
        camera: the calibration.
    """

    camera: PinholeCamera

    def apply(self, image: NDArray[Any]) -> NDArray[Any]:
        """Resample an image, by linear interpolation.

        Args:
            image: (H, W) or (H, W, 3) of the camera's size; uint8, uint16 or float32.

        Returns:
            The same shape and type; beyond the field of view the border is replicated.
        """
        if not self.camera.is_distorted:
            return image
        return np.asarray(
            cv2.remap(image, *self._maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )

    @cached_property
    def _maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        camera, matrix = self.camera, self.camera.array
        coefficients = np.array(camera.distortion)
        if camera.model in ("equidistant", "fisheye"):
            fisheye = cv2.fisheye.initUndistortRectifyMap
            first, second = fisheye(matrix, coefficients, np.eye(3), matrix, camera.size, cv2.CV_16SC2)
        else:
            first, second = cv2.initUndistortRectifyMap(
                matrix, coefficients, None, matrix, camera.size, cv2.CV_16SC2
            )
        return np.asarray(first), np.asarray(second)


def calibrated_registration(
    thermal: PinholeCamera, visible: PinholeCamera, rotation: Matrix | None = None
) -> Registration:
    """The transform between undistorted images that two calibrations imply.

    It is exact for distant objects, or for cameras with one optical center: the parallax of near objects
    depends on their distance.

    Args:
        thermal: calibration of the thermal camera.
        visible: calibration of the visible camera.
        rotation: (3, 3), from axes of the thermal camera to those of the visible one (x to the right, y down,
            z forward); ``None`` for parallel cameras.

    Raises:
        RegistrationError: if it does not map the thermal image onto the visible one.
    """
    turn = np.eye(3) if rotation is None else rotation
    matrix = normalize(visible.array @ turn @ np.linalg.inv(thermal.array))
    fault = find_implausibility(to_corners(matrix), thermal.size, visible.size)
    if fault:
        raise RegistrationError(f"the calibration of the two cameras is not used: {fault}")
    return Registration(
        to_rows(matrix), thermal.size, visible.size, "homography", pairs=0, origin="calibration"
    )
