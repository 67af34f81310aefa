"""The black frame of thermal images that were warped before, as in data sets that their makers registered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray
from ivfuse.image.color import nearest_data

Values = TypeVar("Values", bound=np.generic)

NOTE = "the black frame of a thermal image that was warped before is left out"
MIN_SIDE = 48  # pixels; smaller images have too little border to tell a frame from a scene
_FADE = 0.04  # width of the transition to the visible image, relative to the shorter side
_MIN_STEP = 0.1  # gray level beside the frame, below which a dark border is part of the scene
_BESIDE = np.ones((7, 7), np.uint8)  # pixels beside the frame, in which the step to it is measured
_MIN_BORDER_SHARE = 0.02  # of the border's pixels must be black for there to be a frame
_MIN_CONVEXITY = 0.985  # area of the image inside a frame relative to its convex hull
_MIN_HULL = 0.3  # area of that hull relative to the whole image


@dataclass(frozen=True)
class BlackFrame:
    """The black frame of a thermal image.

    Attributes:
        inside: (H, W) bool, where the image is.
    """

    inside: NDArray[np.bool_]

    @cached_property
    def weight(self) -> Gray:
        """Weight of the continued image, (H, W) float32: 1 inside, falling smoothly to 0 in the frame.

        Inside nothing changes, so that no target is lost if a cold sky is taken for a frame.
        """
        missing, _ = self._places
        distance = cv2.distanceTransform((~self.inside).astype(np.uint8), cv2.DIST_L2, 5)
        step = np.clip(1 - distance.ravel()[missing] / (_FADE * min(distance.shape)), 0, 1)
        weight = np.ones(distance.shape, np.float32)
        weight.ravel()[missing] = step * step * (3 - 2 * step)
        return weight

    def fill(self, values: NDArray[Values]) -> NDArray[Values]:
        """Continue an image into the frame by its nearest values, so that the frame's edge vanishes.

        Args:
            values: (H, W) of any type.
        """
        filled = np.array(values, order="C")
        missing, nearest = self._places
        filled.ravel()[missing] = values.ravel()[nearest]
        return filled

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return nearest_data(self.inside)


def find_black_frame(values: NDArray[Any], white: float = 1.0) -> BlackFrame | None:
    """Find the frame of an image that was warped: black at the border around a convex, brighter image.

    Args:
        values: (H, W) levels or counts, of which 0 is black.
        white: the value of white.

    Returns:
        The frame; ``None`` if there is none.
    """
    if values.ndim != 2 or min(values.shape) < MIN_SIDE or values.min() != 0:
        return None
    mask = frame_mask(values)
    if mask.min() > 0:
        return None
    beside = (mask - cv2.erode(mask, _BESIDE)) > 0
    if not beside.any() or np.median(values[beside]) < _MIN_STEP * white:
        return None
    return BlackFrame(mask > 0)


def frame_mask(gray: NDArray[Any]) -> Gray:
    """Mask of the thermal pixels that hold an image, for images that were warped into a black frame.

    Black pixels connected to the border count as a frame only if the rest is (nearly) convex: a cold sky
    behind trees is not a frame.

    Args:
        gray: (H, W).

    Returns:
        (H, W) float32: 1 inside, 0 in the frame and within 2 pixels of it.
    """
    everything = np.ones(gray.shape, np.float32)
    dark = (gray <= gray.min()).astype(np.uint8)
    ring = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    if not _MIN_BORDER_SHARE < ring.mean() < 1:
        return everything
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    frame = np.isin(labels, border[border > 0])
    contours, _ = cv2.findContours((~frame).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return everything
    largest = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(largest)
    hull_area = cv2.contourArea(hull)
    if cv2.contourArea(largest) < _MIN_CONVEXITY * hull_area or hull_area < _MIN_HULL * gray.size:
        return everything
    inside = np.zeros(gray.shape, np.float32)
    cv2.fillConvexPoly(inside, hull, 1.0)
    return np.asarray(cv2.erode(inside, np.ones((5, 5), np.uint8)))
