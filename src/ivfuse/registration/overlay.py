"""A picture for checking a registration by eye: the warped thermal over the visible."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray, Rgb
from ivfuse.registration.geometry import image_corners, scale_matrix, to_centers, to_corners, transform_points
from ivfuse.registration.prepare import rescale
from ivfuse.registration.transform import Registration, to_rows
from ivfuse.registration.warp import Warper

Style = Literal["edges", "checkerboard"]
STYLES: tuple[Style, ...] = ("edges", "checkerboard")

MAX_SIDE = 1600  # pixels
_EDGE_COLOR = np.array([1.0, 0.25, 0.05], np.float32)
_OUTLINE_COLOR = (0.1, 0.9, 1.0)
_TILES = 12  # along the longer side
_FULL_EDGE = 97  # percentile of the gradient magnitude that is drawn opaque


def overlay(ir: Gray, vi: Gray, registration: Registration, style: Style = "edges") -> Rgb:
    """Draw the thermal over the visible.

    Args:
        ir: thermal, (h, w) float32 in [0, 1].
        vi: visible luma, (H, W) float32 in [0, 1].
        registration: thermal to visible.
        style: ``edges`` of the thermal in orange over the visible, or ``checkerboard`` tiles of both.

    Returns:
        (H, W, 3) float32 in [0, 1], downscaled where a side is longer than 1600 pixels; the thermal's border
            is blue.
    """
    small = rescale(vi, min(1.0, MAX_SIDE / max(vi.shape)))
    size = (small.shape[1], small.shape[0])
    rig = registration.for_sizes((ir.shape[1], ir.shape[0]), (vi.shape[1], vi.shape[0]))
    corners = transform_points(to_corners(rig.array), image_corners(rig.thermal))
    warper = Warper(_on_grid(rig, size))
    thermal = _normalize(warper.apply(np.ascontiguousarray(ir, np.float32)))
    base = _normalize(small) ** 0.8
    inside = np.zeros(small.shape, np.uint8)
    outline = np.rint(corners * [size[0] / rig.visible[0], size[1] / rig.visible[1]]).astype(np.int32)
    cv2.fillConvexPoly(inside, outline, 1)
    draw = _edges_over if style == "edges" else _checkerboard
    image = draw(base, thermal, inside)
    cv2.polylines(image, [outline], True, _OUTLINE_COLOR, 1, cv2.LINE_AA)
    return np.clip(image, 0, 1, out=image)


def _on_grid(rig: Registration, size: tuple[int, int]) -> Registration:
    """The registration for a visible of another size, whose aspect may differ by rounding."""
    scale = scale_matrix(size[0] / rig.visible[0], size[1] / rig.visible[1])
    return replace(rig, matrix=to_rows(to_centers(scale @ to_corners(rig.array))), visible=size)


def _edges_over(base: Gray, thermal: Gray, inside: NDArray[np.uint8]) -> Rgb:
    blurred = cv2.GaussianBlur(thermal, (0, 0), 1.2)
    strength = cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    strength = strength * cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_REPLICATE)
    covered = strength[inside > 0]
    full = float(np.percentile(covered, _FULL_EDGE)) if covered.size else 1.0
    amount = np.clip(strength / max(full, 1e-6), 0, 1)[..., np.newaxis]
    return np.ascontiguousarray((1 - amount) * base[..., np.newaxis] + amount * _EDGE_COLOR, np.float32)


def _checkerboard(base: Gray, thermal: Gray, inside: NDArray[np.uint8]) -> Rgb:
    tile = max(8, max(base.shape) // _TILES)
    y, x = np.indices(base.shape) // tile
    use = ((x + y) % 2 == 1) & (inside > 0)
    warm = thermal[..., np.newaxis] * np.array([1.0, 0.85, 0.6], np.float32)
    return np.ascontiguousarray(np.where(use[..., np.newaxis], warm, base[..., np.newaxis]), np.float32)


def _normalize(gray: Gray) -> Gray:
    """Stretch the 1st to 99th percentile to 0..1."""
    low, high = np.percentile(gray, (1, 99))
    return np.asarray(np.clip((gray - low) / max(float(high - low), 1e-6), 0, 1), np.float32)
