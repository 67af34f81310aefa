"""Fusion weighted by saliency: the difference between mean and median, or the global contrast."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.errors import UsageError
from ivfuse.fusion.classical import filters
from ivfuse.fusion.classical.filters import window_mean
from ivfuse.fusion.classical.planes import (
    TIE,
    as_planes,
    larger,
    mix,
    to_range,
)
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray


@classical_method(
    "two-scale",
    summary="mean of the bases, details weighted by the difference between mean and median; fast",
    paper="Bavirisetti & Dhuli, Two-Scale Image Fusion Using Saliency Detection, Infrared Phys. Tech., 2016",
    reach=17,
)
def two_scale(ir: Gray, vi: Gray) -> Gray:
    """Average the base layers and add the detail layers weighted by their saliency.

    The base layer is the mean over 35x35 pixels. Saliency is the absolute difference between that mean and
    the median over 3x3 pixels.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.

    Returns:
        (H, W) float32 in [0, 1].

    Source: Infrared Physics & Technology 76 (2016), 52-64, sections 2 and 3.
    """
    ir, vi = as_planes(ir, vi)
    base_ir, base_vi = window_mean(ir, 17), window_mean(vi, 17)
    a = np.abs(base_ir - cv2.medianBlur(ir, 3))
    b = np.abs(base_vi - cv2.medianBlur(vi, 3))
    small = np.float32(TIE)  # equal weights where neither is salient
    weight = (a + small) / (a + b + 2 * small)
    return to_range((base_ir + base_vi) * np.float32(0.5) + mix(ir - base_ir, vi - base_vi, weight))


@classical_method(
    "visual-saliency",
    summary="bases weighted by visual saliency, stronger detail of four edge-preserving scales",
    paper="after Ma, Zhou, Wang & Zong, Infrared Phys. Tech., 2017 (visual saliency map)",
    reach=None,  # the saliency of a gray value depends on the whole image
    tile=2048,
)
def visual_saliency(ir: Gray, vi: Gray, *, eps: float = 0.04) -> Gray:
    """Weight the base layers by visual saliency and select the stronger detail at each scale.

    Base and detail layers result from repeated guided smoothing with radii of 2, 4, 8 and 16 pixels. The
    weight of the thermal base is ``0.5 + (S(ir) - S(vi)) / 2``, where the saliency S is the global contrast
    of the base. At each scale the detail with the larger magnitude is selected, and the selection is smoothed
    by a Gaussian with a sigma of 2 pixels.

    Differences from the paper: guided filters replace the rolling guidance filter (a tenth of the time); the
    saliency is computed from the base instead of the image (less noise); and the least-squares step on the
    details is omitted (its weights make it a pixelwise pull towards the visible image, which lost contrast).

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        eps: regularization in squared gray values, 0.001..1; edges above its square root belong to the base.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if ``eps`` is out of range.

    Source: Infrared Physics & Technology 82 (2017), 8-17, sections 3.1 to 3.3.
    """
    ir, vi = as_planes(ir, vi)
    if not 0.001 <= eps <= 1:
        raise UsageError(f"eps: found {eps}, expected 0.001..1")
    details = np.zeros_like(ir)
    for radius in (2, 4, 8, 16):
        base_ir, base_vi = (filters.guided_smooth(x, radius, eps) for x in (ir, vi))
        a, b = ir - base_ir, vi - base_vi
        stronger = larger(np.abs(a), np.abs(b), TIE)
        weight = cv2.GaussianBlur(stronger, (13, 13), 2, borderType=cv2.BORDER_REPLICATE)
        details += mix(a, b, np.asarray(weight, np.float32))
        ir, vi = base_ir, base_vi
    share = (filters.global_contrast(ir) - filters.global_contrast(vi) + 1) * np.float32(0.5)
    return to_range(mix(ir, vi, share) + details)
