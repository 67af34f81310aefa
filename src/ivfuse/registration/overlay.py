"""An image to look at: the placed thermal over the visible, so that an eye can tell whether edges meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.image.arrays import Gray, Rgb
from ivfuse.registration.features import shrunk
from ivfuse.registration.geometry import corners_of, moved, scaling, to_centers, to_corners
from ivfuse.registration.transform import Registration, rows_of
from ivfuse.registration.warp import Placement

Style = Literal["edges", "checkerboard"]
STYLES: tuple[Style, ...] = ("edges", "checkerboard")

LONGEST = 1600  # pixels of a side
_EDGES = np.array([1.0, 0.25, 0.05], np.float32)
_OUTLINE = (0.1, 0.9, 1.0)
_TILES = 12  # along the longer side
_STRONG = 97  # percentile of gradients that is drawn in full


def overlay(ir: Gray, vi: Gray, registration: Registration, style: Style = "edges") -> Rgb:
    """Draw the thermal over the visible.

    Args:
        ir: thermal, (h, w) float32 in [0, 1].
        vi: visible luma, (H, W) float32 in [0, 1].
        registration: where the thermal lies.
        style: ``edges`` of the thermal in orange over the visible, or both as a ``checkerboard``.

    Returns:
        (H, W, 3) float32 in [0, 1], shrunk where a side is longer than 1600 pixels; the thermal's border is
            blue.
    """
    small = shrunk(vi, min(1.0, LONGEST / max(vi.shape)))
    size = (small.shape[1], small.shape[0])
    rig = registration.for_sizes((ir.shape[1], ir.shape[0]), (vi.shape[1], vi.shape[0]))
    corners = moved(to_corners(rig.array), corners_of(rig.thermal))
    placed = Placement(_rig_on(rig, size))
    thermal = _stretched(placed.apply(np.ascontiguousarray(ir, np.float32)))
    base = _stretched(small) ** 0.8
    inside = np.zeros(small.shape, np.uint8)
    outline = np.rint(corners * [size[0] / rig.visible[0], size[1] / rig.visible[1]]).astype(np.int32)
    cv2.fillConvexPoly(inside, outline, 1)
    draw = _edges_over if style == "edges" else _checkerboard
    shown = draw(base, thermal, inside)
    cv2.polylines(shown, [outline], True, _OUTLINE, 1, cv2.LINE_AA)
    return np.clip(shown, 0, 1, out=shown)


def _rig_on(rig: Registration, size: tuple[int, int]) -> Registration:
    """The rig on a grid of another size, whose aspect may differ by rounding."""
    scale = scaling(size[0] / rig.visible[0], size[1] / rig.visible[1])
    return replace(rig, matrix=rows_of(to_centers(scale @ to_corners(rig.array))), visible=size)


def _edges_over(base: Gray, thermal: Gray, inside: NDArray[np.uint8]) -> Rgb:
    blurred = cv2.GaussianBlur(thermal, (0, 0), 1.2)
    strength = cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    strength = strength * cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_REPLICATE)
    seen = strength[inside > 0]
    full = float(np.percentile(seen, _STRONG)) if seen.size else 1.0
    amount = np.clip(strength / max(full, 1e-6), 0, 1)[..., np.newaxis]
    return np.ascontiguousarray((1 - amount) * base[..., np.newaxis] + amount * _EDGES, np.float32)


def _checkerboard(base: Gray, thermal: Gray, inside: NDArray[np.uint8]) -> Rgb:
    tile = max(8, max(base.shape) // _TILES)
    y, x = np.indices(base.shape) // tile
    use = ((x + y) % 2 == 1) & (inside > 0)
    warm = thermal[..., np.newaxis] * np.array([1.0, 0.85, 0.6], np.float32)
    return np.ascontiguousarray(np.where(use[..., np.newaxis], warm, base[..., np.newaxis]), np.float32)


def _stretched(gray: Gray) -> Gray:
    low, high = np.percentile(gray, (1, 99))
    return np.asarray(np.clip((gray - low) / max(float(high - low), 1e-6), 0, 1), np.float32)
