"""Planar transforms as 3 x 3 matrices: application to points, plausibility, least-squares fits.

Within ``registration`` coordinates are measured from the upper left corner of the image, so that resizing is
a pure scaling; matrices that leave it refer to pixel centers (that of the first pixel is 0, 0), as in OpenCV.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
Model = Literal["translation", "similarity", "affine", "homography"]
Size = tuple[int, int]  # width, height

MODELS: tuple[Model, ...] = ("translation", "similarity", "affine", "homography")
MIN_POINTS: dict[Model, int] = {"translation": 1, "similarity": 2, "affine": 3, "homography": 4}

_MIN_DEPTH = 0.2  # smallest homogeneous coordinate of a corner, relative to that of the upper left one
_SIDE_SCALES = (0.01, 100.0)  # allowed scales of the sides of the thermal frame
_MAX_ANISOTROPY = 4.0  # largest over smallest scale of the sides
_MIN_OVERLAP = 0.02  # of the smaller image

_TO_CENTERS = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
_TO_CORNERS = np.linalg.inv(_TO_CENTERS)


class Region(NamedTuple):
    """A rectangle of pixels; ``right`` and ``bottom`` are past the end."""

    left: int
    top: int
    right: int
    bottom: int


def to_centers(matrix: Matrix) -> Matrix:
    """Convert a transform of corner-based coordinates to one of pixel-center coordinates."""
    return normalize(_TO_CENTERS @ matrix @ _TO_CORNERS)


def to_corners(matrix: Matrix) -> Matrix:
    """Inverse of :func:`to_centers`."""
    return normalize(_TO_CORNERS @ matrix @ _TO_CENTERS)


def normalize(matrix: Matrix) -> Matrix:
    """Scale a matrix so that its last element is 1."""
    return np.asarray(matrix / matrix[2, 2], np.float64)


def invert(matrix: Matrix) -> Matrix:
    """Invert a transform; the last element of the result is 1."""
    return normalize(np.asarray(np.linalg.inv(matrix), np.float64))


def scale_matrix(x: float, y: float) -> Matrix:
    """Scaling of both axes about the origin."""
    return np.diag([x, y, 1.0])


def translation_matrix(x: float, y: float) -> Matrix:
    """Shift to the right and down."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def transform_points(matrix: Matrix, points: Points) -> Points:
    """Apply a transform to points (N, 2), N >= 1; a point at infinity becomes (0, 0)."""
    return np.asarray(cv2.perspectiveTransform(points.reshape(-1, 1, 2).astype(np.float64), matrix)[:, 0])


def image_corners(size: Size) -> Points:
    """The four corners of an image, (4, 2), clockwise from the upper left."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def homogeneous_depths(matrix: Matrix, size: Size) -> NDArray[np.float64]:
    """Homogeneous coordinate of each mapped corner, (4,); the horizon crosses the image if one is <= 0."""
    return np.asarray(image_corners(size) @ matrix[2, :2] + matrix[2, 2], np.float64)


def scale_at(matrix: Matrix, point: Points) -> float:
    """Local scale of a transform at a point (2,): the square root of its Jacobian determinant."""
    lifted = matrix[:, :2] @ point + matrix[:, 2]
    local = (matrix[:2, :2] - np.outer(lifted[:2] / lifted[2], matrix[2, :2])) / lifted[2]
    return float(np.sqrt(abs(np.linalg.det(local))))


def find_implausibility(matrix: Matrix, thermal: Size, visible: Size) -> str:
    """Explain why a matrix cannot map a thermal image onto a visible one; empty if it can.

    Args:
        matrix: (3, 3), thermal to visible, in either kind of coordinates.
        thermal: width and height.
        visible: width and height.
    """
    if not np.isfinite(matrix).all():
        return "it has elements that are not finite"
    if abs(matrix[2, 2]) < 1e-9 or (homogeneous_depths(matrix / matrix[2, 2], thermal) < _MIN_DEPTH).any():
        return "its horizon crosses or nearly touches the thermal image"
    corners = transform_points(matrix, image_corners(thermal))
    sides = np.roll(corners, -1, axis=0) - corners
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if (turns <= 0).any():
        return "it mirrors or folds the thermal image"
    scales = side_scales(corners, thermal)
    least, most = float(scales.min()), float(scales.max())
    if most > _SIDE_SCALES[1] or least < _SIDE_SCALES[0] or most > _MAX_ANISOTROPY * least:
        return f"it scales the sides of the thermal image by {least:.3g} to {most:.3g}"
    if overlap_fraction(corners, visible) < _MIN_OVERLAP:
        return "it maps the thermal image outside of the visible one"
    return ""


def side_scales(corners: Points, size: Size) -> NDArray[np.float64]:
    """Scale of each side of an image whose corners were mapped to ``corners`` (4, 2)."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return np.asarray(sides / np.array([*size, *size]), np.float64)


def overlap_fraction(corners: Points, visible: Size) -> float:
    """Common area of the mapped thermal, ``corners`` (4, 2), and the visible, relative to the smaller."""
    area, inside = polygon_area(corners), polygon_area(clip_polygon(corners, visible))
    return inside / max(min(area, float(visible[0] * visible[1])), 1e-9)


def clip_polygon(polygon: Points, size: Size) -> Points:
    """Clip a convex polygon (N, 2) to the rectangle of an image; (0, 2) if nothing is left.

    ``cv2.intersectConvexConvex`` is no substitute: for 1 % of 36,000 random quadrilaterals it returned wrong
    areas or coordinates of 3e38 (OpenCV 5.0), and it computes in 32-bit floats.

    Source: Sutherland & Hodgman 1974.
    """
    for axis, limit, keep in ((0, 0.0, 1), (0, float(size[0]), -1), (1, 0.0, 1), (1, float(size[1]), -1)):
        if not len(polygon):
            break
        inside = (polygon[:, axis] - limit) * keep >= 0
        clipped = []
        for a, b, a_in, b_in in zip(
            polygon, np.roll(polygon, -1, 0), inside, np.roll(inside, -1), strict=True
        ):
            if a_in:
                clipped.append(a)
            if a_in != b_in:
                clipped.append(a + (b - a) * ((limit - a[axis]) / (b[axis] - a[axis])))
        polygon = np.array(clipped).reshape(-1, 2)
    return polygon


def polygon_area(polygon: Points) -> float:
    """Area of a simple polygon (N, 2), to the precision of 32-bit coordinates; 0 for N < 3."""
    return float(cv2.contourArea(polygon.astype(np.float32))) if len(polygon) >= 3 else 0.0


def corner_distance(a: Matrix, b: Matrix, thermal: Size) -> float:
    """Mean distance of the thermal's corners under two transforms, in visible pixels."""
    corners = image_corners(thermal)
    return float(np.linalg.norm(transform_points(a, corners) - transform_points(b, corners), axis=1).mean())


def fit_transform(thermal: Points, visible: Points, model: Model, base: Matrix | None = None) -> Matrix:
    """Least-squares transform from thermal to visible points; residuals are in visible pixels.

    Args:
        thermal: (N, 2), N at least ``MIN_POINTS[model]``.
        visible: (N, 2).
        model: the family of transforms.
        base: for ``translation``, the fixed transform to which a shift is added; identity if ``None``.

    Returns:
        (3, 3); NaN where the points do not determine it.
    """
    if model == "translation":
        base = np.eye(3) if base is None else base
        shift = (visible - transform_points(base, thermal)).mean(axis=0)
        return translation_matrix(*shift) @ base
    if model == "homography":
        return _fit_homography(thermal, visible)
    x, y = thermal.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    if model == "similarity":
        rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    else:
        rows = np.concatenate(
            [np.stack([x, y, one, zero, zero, zero], 1), np.stack([zero, zero, zero, x, y, one], 1)]
        )
    p, _, rank, _ = np.linalg.lstsq(rows, visible.T.ravel(), rcond=1e-10)
    if rank < rows.shape[1]:
        return np.full((3, 3), np.nan)
    if model == "similarity":
        return np.array([[p[0], -p[1], p[2]], [p[1], p[0], p[3]], [0, 0, 1]])
    return np.array([[p[0], p[1], p[2]], [p[3], p[4], p[5]], [0, 0, 1]])


def four_point_homography(thermal: Points, visible: Points) -> Matrix:
    """The homography that maps four points, (4, 2), to four others; no three may be collinear."""
    source, target = np.asarray(thermal, np.float32), np.asarray(visible, np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, target), np.float64)


def _fit_homography(thermal: Points, visible: Points) -> Matrix:
    """Direct linear transform on normalized points (Hartley & Zisserman 2004, alg. 4.2) and Gauss-Newton."""
    a, b = _conditioning(thermal), _conditioning(visible)
    p, q = transform_points(a, thermal), transform_points(b, visible)
    x, y = p.T
    u, v = q.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], 1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], 1),
        ]
    )
    # All nine right singular vectors are needed; the left ones would take (2 N)^2 numbers.
    _, values, right = np.linalg.svd(rows, full_matrices=len(rows) < rows.shape[1])
    if values[min(7, len(values) - 1)] < 1e-8 * values[0] or abs(right[-1, -1]) < 1e-9:
        return np.full((3, 3), np.nan)
    h = right[-1] / right[-1, -1]
    for _ in range(10):
        w = h[6] * x + h[7] * y + 1
        px, py = (h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w
        jacobian = np.concatenate(
            [
                np.stack([x, y, one, zero, zero, zero, -px * x, -px * y], 1) / w[:, None],
                np.stack([zero, zero, zero, x, y, one, -py * x, -py * y], 1) / w[:, None],
            ]
        )
        h[:8] += np.linalg.lstsq(jacobian, np.concatenate([u - px, v - py]), rcond=None)[0]
    return normalize(np.linalg.inv(b) @ h.reshape(3, 3) @ a)


def _conditioning(points: Points) -> Matrix:
    """Similarity that moves the centroid of points to 0 and their mean distance from it to sqrt(2)."""
    center = points.mean(axis=0)
    spread = np.linalg.norm(points - center, axis=1).mean()
    scale = np.sqrt(2) / max(float(spread), 1e-9)
    return np.array([[scale, 0, -scale * center[0]], [0, scale, -scale * center[1]], [0, 0, 1]])
