"""Two-scale fusion by saliency: of mean against median, and of gray values against the image."""

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
    summary="mean of the bases, details weighted by a saliency of mean against median; fast",
    paper="Bavirisetti & Dhuli, Two-Scale Image Fusion Using Saliency Detection, Infrared Phys. Tech., 2016",
    reach=17,
)
def two_scale(ir: Gray, vi: Gray) -> Gray:
    """Mean of the bases plus the details in proportion to their saliency.

    Base: mean over 35x35 pixels. Saliency: the difference of that mean and a 3x3 median, without its sign.

    Args: two (H, W) float32 planes in [0, 1].
    Returns: (H, W) float32 in [0, 1].
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
    summary="bases weighted by how much they stand out, stronger detail of four edge-keeping scales",
    paper="after Ma, Zhou, Wang & Zong, Infrared Phys. Tech., 2017 (visual saliency map)",
    reach=None,  # the saliency of a gray value depends on the whole image
    tile=2048,
)
def visual_saliency(ir: Gray, vi: Gray, *, eps: float = 0.04) -> Gray:
    """Weigh the bases by how much their gray values stand out; take the stronger detail at each scale.

    Bases and details: guided smoothing with radii 2, 4, 8 and 16 pixels, each of the result of the one
    before. Base weight of the infrared: ``0.5 + (S(ir) - S(vi)) / 2`` with the saliency S (global contrast of
    the base). Detail: that of the larger magnitude, the choice smoothed by a Gaussian of sigma 2 pixels.

    Differences from the paper: guided filters take the place of the rolling guidance filter (a tenth of the
    time); the saliency is that of the base, not of the image (less noise); there is no least-squares
    step on the details (its weights make it a pixelwise pull to the visible, which lost contrast).

    Args:
        ir: infrared, (H, W) float32 in [0, 1].
        vi: luma of the visible, the same.
        eps: edges higher than its root belong to the base, 0.001..1 (gray values squared).

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
