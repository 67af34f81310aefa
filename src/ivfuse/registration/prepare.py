"""Preparation of a pair for registration: input checks, downscaling, and the mask of valid thermal pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.image.black_frame import frame_mask
from ivfuse.registration.geometry import Matrix, Size, normalize, scale_matrix

MAX_SIDE = 900  # square root of the pixel count that images are registered at
MIN_SIDE = 48  # pixels
_MIN_STD = 1e-3  # gray levels in [0, 1]; below, an image is constant for all purposes


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
