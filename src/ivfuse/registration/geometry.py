"""The transforms a rig can have, as 3 x 3 matrices: what they do to corners, whether they make sense, fits.

Inside this package a point is measured from the image's upper left corner, so that sizes scale exactly;
matrices that leave it count from the center of the first pixel, as OpenCV does.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
Model = Literal["translation", "similarity", "affine", "homography"]
Size = tuple[int, int]  # width, height

MODELS: tuple[Model, ...] = ("translation", "similarity", "affine", "homography")
MIN_POINTS: dict[Model, int] = {"translation": 1, "similarity": 2, "affine": 3, "homography": 4}
FREEDOMS: dict[Model, int] = {"translation": 2, "similarity": 4, "affine": 6, "homography": 8}

_CENTERS = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
_CORNERS = np.linalg.inv(_CENTERS)


def to_centers(matrix: Matrix) -> Matrix:
    """From coordinates that count from corners to those that count from pixel centers."""
    return normalize(_CENTERS @ matrix @ _CORNERS)


def to_corners(matrix: Matrix) -> Matrix:
    """The inverse of :func:`to_centers`."""
    return normalize(_CORNERS @ matrix @ _CENTERS)


def normalize(matrix: Matrix) -> Matrix:
    """The same transform with 1 in the last place."""
    return np.asarray(matrix / matrix[2, 2], np.float64)


def invert(matrix: Matrix) -> Matrix:
    """The way back, with 1 in the last place."""
    return normalize(np.asarray(np.linalg.inv(matrix), np.float64))


def scale_matrix(x: float, y: float) -> Matrix:
    """A stretch of both axes."""
    return np.diag([x, y, 1.0])


def transform_points(matrix: Matrix, points: Points) -> Points:
    """Where points (N, 2) go."""
    lifted = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(lifted[:, :2] / lifted[:, 2:], np.float64)


def image_corners(size: Size) -> Points:
    """The four corners of an image, (4, 2), clockwise from the upper left."""
    width, height = size
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def homogeneous_depths(matrix: Matrix, size: Size) -> NDArray[np.float64]:
    """The homogeneous coordinate of each corner; the image is torn apart if one is not positive."""
    return np.asarray(image_corners(size) @ matrix[2, :2] + matrix[2, 2], np.float64)


def scale_at(matrix: Matrix, point: Points) -> float:
    """How much longer lengths become around a point (2,)."""
    lifted = matrix[:, :2] @ point + matrix[:, 2]
    local = (matrix[:2, :2] - np.outer(lifted[:2] / lifted[2], matrix[2, :2])) / lifted[2]
    return float(np.sqrt(abs(np.linalg.det(local))))


def find_implausibility(matrix: Matrix, thermal: Size, visible: Size) -> str:
    """Why a matrix cannot place a thermal image on a visible one; empty if it can.

    Args:
        matrix: (3, 3), thermal to visible, either kind of coordinates.
        thermal: width and height.
        visible: width and height.
    """
    if not np.isfinite(matrix).all():
        return "it holds numbers that are not finite"
    if abs(matrix[2, 2]) < 1e-9 or (homogeneous_depths(matrix / matrix[2, 2], thermal) < 0.2).any():
        return "its perspective tears the thermal image apart"
    corners = transform_points(matrix, image_corners(thermal))
    sides = np.roll(corners, -1, axis=0) - corners
    turns = sides[:, 0] * np.roll(sides[:, 1], -1) - sides[:, 1] * np.roll(sides[:, 0], -1)
    if (turns <= 0).any():
        return "it mirrors or folds the thermal image"
    lengths = side_scales(corners, thermal)
    if lengths.max() > 100 or lengths.min() < 0.01 or lengths.max() > 4 * lengths.min():
        return f"it stretches the sides of the thermal image by {lengths.min():.3g} to {lengths.max():.3g}"
    share = overlap_fraction(corners, visible)
    if share < 0.02:
        return "it places the thermal image outside of the visible one"
    return ""


def side_scales(corners: Points, size: Size) -> NDArray[np.float64]:
    """How much longer each side of an image has become whose ``corners`` (4, 2) were moved."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return np.asarray(sides / np.array([*size, *size]), np.float64)


def overlap_fraction(corners: Points, visible: Size) -> float:
    """Area that both images show, in parts of the smaller one; ``corners`` (4, 2) are the thermal's."""
    area, inside = polygon_area(corners), polygon_area(clip_polygon(corners, visible))
    return inside / max(min(area, float(visible[0] * visible[1])), 1e-9)


def clip_polygon(polygon: Points, size: Size) -> Points:
    """A convex polygon (N, 2) cut off at the borders of an image; (0, 2) if nothing is left.

    Source: Sutherland & Hodgman 1974.
    """
    for axis, limit, keep in ((0, 0.0, 1), (0, float(size[0]), -1), (1, 0.0, 1), (1, float(size[1]), -1)):
        if not len(polygon):
            break
        inside = (polygon[:, axis] - limit) * keep >= 0
        out = []
        for a, b, a_in, b_in in zip(
            polygon, np.roll(polygon, -1, 0), inside, np.roll(inside, -1), strict=True
        ):
            if a_in:
                out.append(a)
            if a_in != b_in:
                out.append(a + (b - a) * ((limit - a[axis]) / (b[axis] - a[axis])))
        polygon = np.array(out).reshape(-1, 2)
    return polygon


def polygon_area(polygon: Points) -> float:
    """Area of a polygon (N, 2) that does not cross itself."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def corner_distance(a: Matrix, b: Matrix, thermal: Size) -> float:
    """Mean distance between where two matrices put the corners of the thermal, in visible pixels."""
    corners = image_corners(thermal)
    return float(np.linalg.norm(transform_points(a, corners) - transform_points(b, corners), axis=1).mean())


def fit_transform(thermal: Points, visible: Points, model: Model, base: Matrix | None = None) -> Matrix:
    """The transform that brings thermal points nearest to visible ones, by least squares in visible pixels.

    Args:
        thermal: (N, 2), N at least ``MIN_POINTS[model]``.
        visible: (N, 2).
        model: what the transform may do.
        base: for ``translation``: the stretch that is not estimated; identity if ``None``.

    Returns:
        (3, 3); not finite where the points do not determine it.
    """
    if model == "translation":
        base = np.eye(3) if base is None else base
        shift = (visible - transform_points(base, thermal)).mean(axis=0)
        return np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ base
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
    """The homography that takes four points, (4, 2), to four others, no three in a line."""
    source, target = np.asarray(thermal, np.float32), np.asarray(visible, np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, target), np.float64)


def _fit_homography(thermal: Points, visible: Points) -> Matrix:
    """Direct linear transform on normalized points (Hartley & Zisserman 2004, alg. 4.2), Gauss-Newton."""
    a, b = _conditioned(thermal), _conditioned(visible)
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
    _, values, right = np.linalg.svd(rows, full_matrices=True)
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


def _conditioned(points: Points) -> Matrix:
    """The shift and scale that center points at 0 with mean distance sqrt(2)."""
    center = points.mean(axis=0)
    spread = np.linalg.norm(points - center, axis=1).mean()
    scale = np.sqrt(2) / max(float(spread), 1e-9)
    return np.array([[scale, 0, -scale * center[0]], [0, scale, -scale * center[1]], [0, 0, 1]])
