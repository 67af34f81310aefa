"""Thermal images that were warped into a black frame before, as in data sets that their makers registered."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.image.color import extended

NOTE = "the black frame of a thermal image that was warped before is left out"
MIN_SIDE = 48  # pixels; smaller images have too little border to tell a frame from a scene
_MIN_STEP = 0.1  # gray level beside the frame, below which a dark border is part of the scene
_FADE = 0.04  # width of the transition to the visible image, relative to the shorter side
_BESIDE = np.ones((7, 7), np.uint8)  # pixels beside the frame, in which the step to it is measured


def fill_frame(thermal: Gray) -> tuple[Gray, Gray] | None:
    """Continue a thermal image into its black frame, with a weight that fades away from the image.

    The frame would darken the fused image, and its edge would be seen as a bright line. Inside of it nothing
    changes, so that no target is lost if a cold sky is taken for a frame.

    Args:
        thermal: (H, W) float32 in [0, 1].

    Returns:
        The continued image and its weight, both (H, W) float32 in [0, 1]; ``None`` if there is no frame.
    """
    from ivfuse.registration.prepare import frame_mask

    if min(thermal.shape) < MIN_SIDE or thermal.min() > 0:
        return None
    mask = frame_mask(thermal)
    if mask.min() > 0:
        return None
    beside = (mask - cv2.erode(mask, _BESIDE)) > 0
    if not beside.any() or np.median(thermal[beside]) < _MIN_STEP:
        return None
    distance = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
    step = np.clip(1 - distance / (_FADE * min(thermal.shape)), 0, 1)
    return extended(thermal, mask > 0), np.asarray(step * step * (3 - 2 * step), np.float32)
