"""A thermal frame put onto the visible's grid, again and again: the map is made once.

Outside of what the thermal camera sees a weight falls to 0, softly where the border lies inside the visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.arrays import Gray
from ivfuse.registration.geometry import (
    Matrix,
    Points,
    Size,
    clipped,
    corners_of,
    inverse,
    moved,
    polygon_area,
    scaling,
    to_centers,
    to_corners,
    zoom_at,
)
from ivfuse.registration.transform import Registration

FEATHER = 0.08  # of the shorter side of the covered part: how wide its border fades
_LEAST_FEATHER = 4.0  # pixels
_SHARP = ("u1", "u2", "f4")


class Box(NamedTuple):
    """A part of the visible: first and past-the-end column and row."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Placement:
    """Puts thermal frames of one size onto visible frames of one size.

    Attributes:
        registration: where the thermal lies, for these sizes.
        crop: keep only the largest upright rectangle that the thermal covers.

    Example:
        >>> rig = Registration(((1, 0, 8), (0, 1, 4), (0, 0, 1)), (32, 24), (48, 32))
        >>> Placement(rig).apply(np.zeros((24, 32), np.uint16)).shape
        (32, 48)
    """

    registration: Registration
    crop: bool = False

    @cached_property
    def box(self) -> Box:
        """The part of the visible that the output shows.

        Raises:
            InputError: if so little is covered that nothing is left.
        """
        width, height = self.registration.visible
        return inner_box(self._corners, (width, height)) if self.crop else Box(0, 0, width, height)

    @property
    def size(self) -> Size:
        """Width and height of the output."""
        return self.box.right - self.box.left, self.box.bottom - self.box.top

    @cached_property
    def coverage(self) -> Gray | None:
        """How much the thermal counts at each pixel of the output.

        (H, W) float32: 0 outside of the thermal, 1 well inside, a soft step between; ``None`` if it is 1
        all over.
        """
        if self.crop or self.share > 1 - 1e-6:
            return None
        return _soft_mask(self._corners, self.size)

    @cached_property
    def share(self) -> float:
        """The part of the visible's area that the thermal covers, 0..1."""
        width, height = self.registration.visible
        return polygon_area(clipped(self._corners, (width, height))) / (width * height)

    def apply(self, frame: NDArray[Any]) -> NDArray[Any]:
        """One thermal frame on the output's grid.

        Args:
            frame: (h, w) of the registration's thermal size: uint8, uint16 or float32; other floats become
                float32. Values stay in the range of their neighbors.

        Returns:
            (H, W) of the same type; outside of the thermal the values of its border go on.

        Raises:
            InputError: if the frame has another size or type.
        """
        width, height = self.registration.thermal
        if frame.shape != (height, width):
            raise InputError(
                f"thermal frame: found an array of shape {frame.shape}, expected {(height, width)}"
            )
        if frame.dtype.kind == "f":
            frame = np.asarray(frame, np.float32)
        if frame.dtype.str[1:] not in _SHARP:
            raise InputError(f"thermal frame: found {frame.dtype}, expected uint8, uint16 or float32")
        if self._small != (width, height):
            frame = cv2.resize(frame, self._small, interpolation=cv2.INTER_AREA)
        kind = cv2.INTER_LINEAR
        placed = cv2.remap(frame, *self._maps, interpolation=kind, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(placed)

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of an image on the visible's grid that the output shows."""
        left, top, right, bottom = self.box
        return image[top:bottom, left:right]

    @cached_property
    def _corners(self) -> Points:
        return moved(to_corners(self.registration.array), corners_of(self.registration.thermal))

    @cached_property
    def _small(self) -> Size:
        """The thermal's size where it must shrink: it is averaged first, so that nothing flickers."""
        width, height = self.registration.thermal
        zoom = zoom_at(to_corners(self.registration.array), np.array([width / 2, height / 2]))
        factor = min(1.0, zoom)
        return (
            (max(1, round(width * factor)), max(1, round(height * factor)))
            if factor < 0.9
            else (width, height)
        )

    @cached_property
    def _maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Columns and rows of the thermal for each pixel of the output, in the form that is quickest."""
        width, height = self.registration.thermal
        inner = to_corners(self.registration.array) @ scaling(width / self._small[0], height / self._small[1])
        left, top, right, bottom = self.box
        columns, rows = _columns_and_rows(inverse(to_centers(inner)), left, top, right, bottom)
        first, second = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
        return first, second


def _columns_and_rows(matrix: Matrix, left: int, top: int, right: int, bottom: int) -> tuple[Gray, Gray]:
    """Where each pixel of a box comes from."""
    x = np.arange(left, right, dtype=np.float64)[np.newaxis]
    y = np.arange(top, bottom, dtype=np.float64)[:, np.newaxis]
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    # Behind the camera, far outside of the thermal: any point outside will do.
    depth = np.where(depth * np.sign(matrix[2, 2]) > 1e-6, depth, 1e-6)
    columns = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth
    rows = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth
    limit = 32000.0  # of the short integers that maps are packed into
    return np.clip(columns, -2, limit).astype(np.float32), np.clip(rows, -2, limit).astype(np.float32)


def _soft_mask(corners: Points, size: Size) -> Gray:
    """1 inside of a convex polygon, 0 outside, a smooth step within its border."""
    width, height = size
    part = clipped(corners, size)
    extent = part.max(axis=0) - part.min(axis=0)
    feather = max(_LEAST_FEATHER, FEATHER * float(extent.min()))
    # Only sides that run through the image fade: a side outside is farther away than the feather is wide.
    x = np.arange(width, dtype=np.float32)[np.newaxis] + np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, np.newaxis] + np.float32(0.5)
    mask = np.ones((height, width), np.float32)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        inside = along[0] * (y - a[1]) - along[1] * (x - a[0])
        step = np.clip(inside / feather, 0, 1)
        mask *= step * step * (3 - 2 * step)
    return mask.astype(np.float32)


def inner_box(corners: Points, size: Size) -> Box:
    """The largest upright rectangle inside of a convex polygon and an image.

    Raises:
        InputError: if it is smaller than 8 pixels on a side.
    """
    polygon = clipped(corners, size)
    left, right = (float(v) for v in (polygon[:, 0].min(), polygon[:, 0].max()))
    columns = np.linspace(left, right, 129)
    low, high = _chords(polygon, columns)
    # Between two columns of a convex polygon, what both chords have in common is inside.
    tops, bottoms = np.maximum.outer(low, low), np.minimum.outer(high, high)
    areas = np.subtract.outer(columns, columns).T * np.maximum(bottoms - tops, 0)
    i, j = np.unravel_index(int(areas.argmax()), areas.shape)
    box = Box(*(int(v) for v in (*np.ceil([columns[i], tops[i, j]]), *np.floor([columns[j], bottoms[i, j]]))))
    if box.right - box.left < 8 or box.bottom - box.top < 8:
        raise InputError("crop: the thermal image covers too little of the visible one to keep a part")
    return box


def _chords(polygon: Points, columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where vertical lines enter and leave a convex polygon."""
    low, high = np.full(columns.shape, np.inf), np.full(columns.shape, -np.inf)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        x0, x1 = min(a[0], b[0]), max(a[0], b[0])
        on = (columns >= x0 - 1e-9) & (columns <= x1 + 1e-9)
        if x1 - x0 < 1e-9:
            y0, y1 = min(a[1], b[1]), max(a[1], b[1])
        else:
            y0 = y1 = a[1] + (b[1] - a[1]) * (np.clip(columns, x0, x1) - a[0]) / (b[0] - a[0])
        low, high = np.where(on, np.minimum(low, y0), low), np.where(on, np.maximum(high, y1), high)
    return low, high
