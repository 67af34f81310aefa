"""Warping of thermal frames onto the visible's grid; the map is computed once for all frames of a size.

The coverage is 1 inside the thermal field and falls smoothly to 0 where its border lies inside the visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.arrays import Gray
from ivfuse.registration.geometry import (
    Matrix,
    Points,
    Region,
    Size,
    clip_polygon,
    image_corners,
    invert,
    polygon_area,
    scale_at,
    scale_matrix,
    to_centers,
    to_corners,
    transform_points,
)
from ivfuse.registration.transform import Registration

FEATHER = 0.08  # width of the transition, relative to the shorter side of the covered field
_MIN_FEATHER = 4.0  # pixels
_FULL_COVERAGE = 1 - 1e-6
_ANTIALIAS_SCALE = 0.9  # frames that shrink more than this are averaged first
_MIN_CROP = 8  # pixels of a side
_CROP_COLUMNS = 129  # candidates for the left and right sides of the crop
_DTYPES = ("u1", "u2", "f4")
_MAP_LIMITS = (-2.0, 32000.0)  # maps are packed into 16-bit integers; any value outside of the frame will do


@dataclass(frozen=True)
class Warper:
    """Warps thermal frames of one size onto visible frames of one size.

    Attributes:
        registration: thermal to visible, for these sizes.
        crop: keep only the largest upright rectangle that the thermal covers.

    Example:
        >>> rig = Registration(((1, 0, 8), (0, 1, 4), (0, 0, 1)), (32, 24), (48, 32))
        >>> Warper(rig).apply(np.zeros((24, 32), np.uint16)).shape
        (32, 48)
    """

    registration: Registration
    crop: bool = False

    def __post_init__(self) -> None:
        """Raise InputError if the thermal lies outside of the visible, as a rig made in Python may say."""
        if not self.covered_fraction:
            raise InputError(
                field="rig",
                found="a thermal image that lies outside of the visible one",
                expected="one that covers a part of it",
            )

    @cached_property
    def region(self) -> Region:
        """The part of the visible that the output shows.

        Raises:
            InputError: if a crop would be smaller than 8 pixels on a side.
        """
        width, height = self.registration.visible
        return inner_rectangle(self._corners, (width, height)) if self.crop else Region(0, 0, width, height)

    @property
    def size(self) -> Size:
        """Width and height of the output."""
        return self.region.right - self.region.left, self.region.bottom - self.region.top

    @cached_property
    def coverage(self) -> Gray | None:
        """Weight of the thermal at each pixel of the output.

        (H, W) float32: 0 outside of the thermal field, 1 well inside, a smooth step between; ``None`` if it
        is 1 everywhere.
        """
        if self.crop or self.covered_fraction > _FULL_COVERAGE:
            return None
        return _soft_mask(self._corners, self.size)

    @cached_property
    def covered_fraction(self) -> float:
        """Fraction of the visible's area that the thermal covers, 0..1."""
        width, height = self.registration.visible
        return polygon_area(clip_polygon(self._corners, (width, height))) / (width * height)

    def apply(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Warp one thermal frame onto the output's grid, by linear interpolation.

        Args:
            frame: (h, w) of the registration's thermal size: uint8, uint16 or float32; other floats become
                float32.

        Returns:
            (H, W) of the same type; outside of the thermal field its border is replicated.

        Raises:
            InputError: if the frame has another size or type, or a side is too long for OpenCV.
        """
        width, height = self.registration.thermal
        if frame.shape != (height, width):
            raise InputError(
                f"thermal frame: found an array of shape {frame.shape}, expected {(height, width)}"
            )
        if frame.dtype.kind == "f":
            frame = np.asarray(frame, np.float32)
        if frame.dtype.str[1:] not in _DTYPES:
            raise InputError(f"thermal frame: found {frame.dtype}, expected uint8, uint16 or float32")
        for name, longest in (("thermal", max(self._source_size)), ("visible", max(self.size))):
            if longest > _MAP_LIMITS[1]:
                raise InputError(
                    field="rig",
                    found=f"a {name} image with a side of {longest} pixels",
                    expected=f"at most {_MAP_LIMITS[1]:g}",
                )
        if self._source_size != (width, height):
            frame = cv2.resize(frame, self._source_size, interpolation=cv2.INTER_AREA)
        linear = cv2.INTER_LINEAR
        return np.asarray(
            cv2.remap(frame, *self._maps, interpolation=linear, borderMode=cv2.BORDER_REPLICATE)
        )

    def crop_visible(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of an image on the visible's grid, (H, W) or (H, W, C), that the output shows; a view."""
        left, top, right, bottom = self.region
        return image[top:bottom, left:right]

    @cached_property
    def _corners(self) -> Points:
        return transform_points(to_corners(self.registration.array), image_corners(self.registration.thermal))

    @cached_property
    def _source_size(self) -> Size:
        """The size that frames are averaged to before the warp, so that fine texture does not alias."""
        width, height = self.registration.thermal
        scale = scale_at(to_corners(self.registration.array), np.array([width / 2, height / 2]))
        if scale >= _ANTIALIAS_SCALE:
            return width, height
        return max(1, round(width * scale)), max(1, round(height * scale))

    @cached_property
    def _maps(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Thermal columns and rows of each pixel of the output, in OpenCV's fixed-point form (1/32 pixel)."""
        width, height = self.registration.thermal
        shrink = scale_matrix(width / self._source_size[0], height / self._source_size[1])
        to_thermal = invert(to_centers(to_corners(self.registration.array) @ shrink))
        columns, rows = _source_coordinates(to_thermal, self.region)
        first, second = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
        return first, second


def _source_coordinates(matrix: Matrix, region: Region) -> tuple[Gray, Gray]:
    """Column and row that a transform maps each pixel of a region to.

    Unlike ``cv2.initUndistortRectifyMap``, pixels on or beyond the horizon are mapped to finite coordinates.
    """
    x = np.arange(region.left, region.right, dtype=np.float64)[np.newaxis]
    y = np.arange(region.top, region.bottom, dtype=np.float64)[:, np.newaxis]
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    depth = np.where(depth * np.sign(matrix[2, 2]) > 1e-6, depth, 1e-6)
    columns = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth
    rows = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth
    return np.clip(columns, *_MAP_LIMITS).astype(np.float32), np.clip(rows, *_MAP_LIMITS).astype(np.float32)


def _soft_mask(corners: Points, size: Size) -> Gray:
    """1 inside of a convex polygon, 0 outside, a smooth step within its border."""
    width, height = size
    part = clip_polygon(corners, size)
    extent = part.max(axis=0) - part.min(axis=0)
    feather = max(_MIN_FEATHER, FEATHER * float(extent.min()))
    # A side outside of the image does not fade it unless it is nearer than the feather is wide.
    x = np.arange(width, dtype=np.float32)[np.newaxis] + np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, np.newaxis] + np.float32(0.5)
    mask = np.ones((height, width), np.float32)
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        distance = along[0] * (y - a[1]) - along[1] * (x - a[0])
        step = np.clip(distance / feather, 0, 1)
        mask *= step * step * (3 - 2 * step)
    return mask.astype(np.float32)


def inner_rectangle(corners: Points, size: Size) -> Region:
    """The largest upright rectangle inside both a convex polygon (4, 2) and an image.

    Raises:
        InputError: if it is smaller than 8 pixels on a side.
    """
    polygon = clip_polygon(corners, size)
    left, right = (float(v) for v in (polygon[:, 0].min(), polygon[:, 0].max()))
    columns = np.linspace(left, right, _CROP_COLUMNS)
    low, high = _chords(polygon, columns)
    # Between two columns of a convex polygon, the intersection of both chords is inside.
    tops, bottoms = np.maximum.outer(low, low), np.minimum.outer(high, high)
    areas = np.subtract.outer(columns, columns).T * np.maximum(bottoms - tops, 0)
    i, j = np.unravel_index(int(areas.argmax()), areas.shape)
    first = np.ceil([columns[i], tops[i, j]])
    last = np.floor([columns[j], bottoms[i, j]])
    region = Region(*(int(v) for v in (*first, *last)))
    if region.right - region.left < _MIN_CROP or region.bottom - region.top < _MIN_CROP:
        raise InputError(
            field="crop",
            found="a thermal image that covers too little of the visible one",
            expected=f"{_MIN_CROP} covered pixels or more on both sides",
        )
    return region


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
