"""The black or white frame of thermal images that were warped before, as in registered data sets."""

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
Mask = NDArray[np.uint8]

MIN_SIDE = 48  # pixels; smaller images have too little border to tell a frame from a scene
_FADE = 0.04  # width of the transition to the visible image, relative to the shorter side
_NOISE = 4.5 / 255  # of white, by which lossy compression changes the level of a frame
_SPECKS = np.ones((3, 3), np.uint8)  # which it leaves in a frame, beside the image
_MIN_STEP = 0.1  # of white, beside the frame; with less a dark border is part of the scene
_BESIDE = np.ones((7, 7), np.uint8)  # pixels beside the frame, in which the step to it is measured
_MIN_STEP_SHARE = 0.5  # of these pixels that have the step
_MIN_BORDER_SHARE = 0.02  # of the border's pixels must be black for there to be a frame
_MIN_BLACK_SHARE = 0.7  # of the frame that is 0 exactly; a dark scene is less even than a compressed frame
_MIN_CONVEXITY = 0.985  # area of the image inside a frame relative to its convex hull
_MIN_HULL = 0.3  # area of that hull relative to the whole image
_CURVED = 0.01  # depth to which a curved frame may reach into the hull, relative to the shorter side
_BLENDED = 0.85  # difference of a blended pixel from the frame, relative to that of the pixel inside

# A scene too may end in one level on all four sides, so that a closed frame must be evident. It may be white.
_CLOSED = 0.99  # share of the border's pixels
_MIN_CLOSED_STEP_SHARE = 0.7  # not all: a saturated sky may reach the frame
_MIN_CLOSED_HULL = 0.5
_STRAIGHT = 0.005  # distance of the sides from straight lines, relative to the perimeter


@dataclass(frozen=True)
class BlackFrame:
    """The frame of a thermal image, black or white.

    Attributes:
        inside: (H, W) bool, where the image is.
        white: whether the frame is white.
    """

    inside: NDArray[np.bool_]
    white: bool = False

    @property
    def note(self) -> str:
        """The remark for the user."""
        color = "white" if self.white else "black"
        return f"the {color} frame of a thermal image that was warped before is left out"

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

    Levels that lossy compression has changed a little count as black too. A frame with four straight sides
    may also be white, or of another level if nothing is darker.

    Args:
        values: (H, W) levels or counts, of which 0 is black.
        white: the value of white.

    Returns:
        The frame; ``None`` if there is none.
    """
    if values.ndim != 2 or min(values.shape) < MIN_SIDE:
        return None
    level, mask = _find(values, white)
    if mask is None or _step_share(values, mask, level, white) < _MIN_STEP_SHARE:
        return None
    return BlackFrame((mask > 0) & ~_blended(values, level), white=level > values.min())


def frame_mask(gray: Gray) -> Gray:
    """Mask of the thermal pixels that hold an image, for images that were warped into a frame.

    Black pixels connected to the border count as a frame only if the rest is (nearly) convex: a cold sky
    behind trees is not a frame.

    Args:
        gray: (H, W) float32 in [0, 1].

    Returns:
        (H, W) float32: 1 inside, 0 in the frame and within 2 pixels of it.
    """
    _, mask = _find(gray, 1.0)
    return np.ones(gray.shape, np.float32) if mask is None else mask.astype(np.float32)


def _find(values: NDArray[Any], white: float) -> tuple[float, Mask | None]:
    """Level of the frame and mask of the image inside; ``None`` if there is no frame."""
    border, noise = _border(values), _NOISE * white
    low, high = float(values.min()), float(values.max())
    for level, tolerance in ((low, noise), (low, 0.0), (high, noise)):  # 0: beside a dark scene
        share = _near(border, level, tolerance).mean()
        mask = None
        if share > _CLOSED:
            mask = _inside_closed(values, level, tolerance, white)
        elif share > _MIN_BORDER_SHARE and level == 0:
            mask = _inside_open(values, tolerance)
        if mask is not None:
            return level, mask
    return low, None


def _border(values: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _near(values: NDArray[Any], level: float, tolerance: float) -> NDArray[np.bool_]:
    return np.asarray((values >= level - tolerance) & (values <= level + tolerance))


def _inside_open(values: NDArray[Any], tolerance: float) -> Mask | None:
    """Mask of the image in a black frame on some sides, which is (nearly) convex."""
    frame, contour = _frame_and_contour(values, 0, tolerance)
    if contour is None:
        return None
    hull = cv2.convexHull(contour)
    area = cv2.contourArea(hull)
    if cv2.contourArea(contour) < _MIN_CONVEXITY * area or area < _MIN_HULL * values.size:
        return None
    filled = _filled(hull, values.shape)
    if _border(filled == 0).mean() <= _MIN_BORDER_SHARE or (values[frame] == 0).mean() < _MIN_BLACK_SHARE:
        return None
    return _without(frame, filled)


def _inside_closed(values: NDArray[Any], level: float, tolerance: float, white: float) -> Mask | None:
    """Mask of the image in a frame on all sides, four straight lines with a step along nearly all of them."""
    frame, contour = _frame_and_contour(values, level, tolerance)
    if contour is None:
        return None
    hull = cv2.convexHull(contour)
    corners = cv2.approxPolyDP(hull, _STRAIGHT * cv2.arcLength(hull, True), True)
    if len(corners) != 4 or cv2.contourArea(hull) < _MIN_CLOSED_HULL * values.size:
        return None
    mask = _without(frame, _filled(hull, values.shape))
    return mask if _step_share(values, mask, level, white) >= _MIN_CLOSED_STEP_SHARE else None


def _frame_and_contour(
    values: NDArray[Any], level: float, tolerance: float
) -> tuple[NDArray[np.bool_], NDArray[Any] | None]:
    """What of a level is connected to the border, and the contour of the largest area beside it."""
    same = _near(values, level, tolerance).astype(np.uint8)
    if tolerance > 0:
        same = np.asarray(cv2.morphologyEx(same, cv2.MORPH_CLOSE, _SPECKS), np.uint8)
    _, labels = cv2.connectedComponents(same, connectivity=4)
    border = np.unique(_border(labels))
    frame = np.isin(labels, border[border > 0])
    contours, _ = cv2.findContours((~frame).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return frame, max(contours, key=cv2.contourArea, default=None)


def _filled(hull: NDArray[Any], shape: tuple[int, ...]) -> Mask:
    return np.asarray(cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 1), np.uint8)


def _without(frame: NDArray[np.bool_], hull: Mask) -> Mask:
    """The hull without the frame where a curved one reaches into it, and without 2 pixels beside it."""
    padded = cv2.copyMakeBorder(hull, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    curved = frame & (depth <= max(2, _CURVED * min(hull.shape)))
    return np.asarray(cv2.erode(np.where(curved, np.uint8(0), hull), np.ones((5, 5), np.uint8)), np.uint8)


def _blended(values: NDArray[Any], level: float) -> NDArray[np.bool_]:
    """The border's pixels that a warp has blended with the frame: nearer to its level than those inside."""
    mask = np.zeros(values.shape, bool)
    for turns in range(4):
        outer, inner = np.abs(np.rot90(values, turns)[[0, 2]].astype(np.float64) - level)
        np.rot90(mask, turns)[0] |= outer < _BLENDED * inner
    return mask


def _step_share(values: NDArray[Any], mask: Mask, level: float, white: float) -> float:
    """Share of the pixels beside a frame that differ from it by a step."""
    beside = values[(mask - cv2.erode(mask, _BESIDE)) > 0]
    return float((~_near(beside, level, _MIN_STEP * white)).mean()) if beside.size else 0.0
