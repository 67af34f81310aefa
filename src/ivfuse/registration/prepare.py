"""Preparation of a pair for registration: input checks, downscaling, and the mask of valid thermal pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.registration.geometry import Matrix, Size, normalize, scale_matrix

MAX_SIDE = 900  # square root of the pixel count that images are registered at
MIN_SIDE = 48  # pixels
_MIN_STD = 1e-3  # gray levels in [0, 1]; below, an image is constant for all purposes

_MIN_BORDER_SHARE = 0.02  # of the border's pixels must be black for there to be a frame
_MIN_CONVEXITY = 0.985  # area of the image inside a frame relative to its convex hull
_MIN_HULL = 0.3  # area of that hull relative to the whole image


@dataclass(frozen=True)
class PreparedPair:
    """A pair at the size it is registered at.

    Attributes:
        ir: thermal, (h, w) float32.
        vi: visible luma, (H, W) float32.
        mask: 1 where the thermal holds an image, 0 elsewhere, (h, w) float32.
        ir_scale: (3, 3), original thermal to ``ir``.
        vi_scale: (3, 3), original visible to ``vi``.
    """

    ir: Gray
    vi: Gray
    mask: Gray
    ir_scale: Matrix
    vi_scale: Matrix

    @property
    def sizes(self) -> tuple[Size, Size]:
        """Width and height of the prepared thermal and visible."""
        return (self.ir.shape[1], self.ir.shape[0]), (self.vi.shape[1], self.vi.shape[0])

    def to_original(self, matrix: Matrix) -> Matrix:
        """Convert a transform between the prepared images to one between the originals."""
        return normalize(np.linalg.inv(self.vi_scale) @ matrix @ self.ir_scale)

    def to_prepared(self, matrix: Matrix) -> Matrix:
        """Inverse of :meth:`to_original`."""
        return normalize(self.vi_scale @ matrix @ np.linalg.inv(self.ir_scale))


def prepare(ir: Gray, vi: Gray) -> PreparedPair:
    """Downscale the images of a pair that are larger than registration needs.

    Args:
        ir: thermal, (h, w) float32.
        vi: visible luma, (H, W) float32.
    """
    small = [rescale(x, min(1.0, MAX_SIDE / float(np.sqrt(x.size)))) for x in (ir, vi)]
    scales = [
        scale_matrix(after.shape[1] / before.shape[1], after.shape[0] / before.shape[0])
        for after, before in zip(small, (ir, vi), strict=True)
    ]
    return PreparedPair(small[0], small[1], frame_mask(small[0]), *scales)


def find_unusable(ir: Gray, vi: Gray) -> str:
    """Explain why a pair cannot be registered at all; empty if it may be."""
    for name, image in (("thermal", ir), ("visible", vi)):
        height, width = image.shape
        if min(height, width) < MIN_SIDE:
            return f"the {name} image is {width}x{height}, expected {MIN_SIDE} pixels or more on both sides"
        if float(image.std()) < _MIN_STD:
            return f"the {name} image is flat"
    return ""


def rescale(gray: Gray, factor: float) -> Gray:
    """Resize by a factor: area averages below 1, linear interpolation above; no side falls below 8 pixels."""
    size = (max(8, round(gray.shape[1] * factor)), max(8, round(gray.shape[0] * factor)))
    if size == gray.shape[::-1]:
        return gray
    interpolation = cv2.INTER_AREA if size[0] <= gray.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, size, interpolation=interpolation))


def frame_mask(gray: Gray) -> Gray:
    """Mask of the thermal pixels that hold an image, for images that were warped into a black frame.

    Black pixels connected to the border count as a frame only if the rest is (nearly) convex: a cold sky
    behind trees is not a frame.

    Args:
        gray: (H, W) float32.

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
