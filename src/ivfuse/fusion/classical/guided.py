"""Fusion with guided filters (Li, Kang & Hu 2013)."""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.errors import UsageError
from ivfuse.fusion.classical import filters
from ivfuse.fusion.classical.filters import window_mean
from ivfuse.fusion.classical.planes import (
    TIE,
    as_planes,
    check_range,
    larger,
    mix,
    to_range,
)
from ivfuse.fusion.method import classical_method
from ivfuse.image.arrays import Gray

BASE_RADIUS, DETAIL_RADIUS = 45, 7  # default radii of the guided filters; 45 is also the maximum


@classical_method(
    "guided-filter",
    summary="two scales, weighted by saliency maps refined with guided filters",
    paper="Li, Kang & Hu, Image Fusion with Guided Filtering, IEEE Trans. Image Processing, 2013",
    reach=2 * BASE_RADIUS + 6,
)
def guided_filter(
    ir: Gray,
    vi: Gray,
    *,
    base_radius: int = BASE_RADIUS,
    base_eps: float = 0.3,
    detail_radius: int = DETAIL_RADIUS,
    detail_eps: float = 1e-6,
) -> Gray:
    """Fuse base and detail layers weighted by saliency, with weight maps refined by guided filters.

    The base layer is the mean over 31x31 pixels, the detail layer the remainder. Saliency is the magnitude of
    the Laplacian, smoothed by an 11x11 Gaussian with a sigma of 5 pixels. Where both images are equally
    salient (flat areas), the weights are equal. Strong noise in one image counts as salient and can hide the
    content of the other.

    Args:
        ir: thermal image, (H, W) float32 in [0, 1].
        vi: luma of the visible image, of the same shape and range.
        base_radius: radius of the guided filter for the base weights, 1..45 pixels.
        base_eps: regularization of that filter in squared gray values, above 0.
        detail_radius: radius of the guided filter for the detail weights, 1..45 pixels.
        detail_eps: regularization of that filter, above 0.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if an option is out of range.

    Source: IEEE Transactions on Image Processing 22(7), 2864-2875, eqs. 10-19, parameters of section IV.
    """
    ir, vi = as_planes(ir, vi)
    for name, radius in (("base_radius", base_radius), ("detail_radius", detail_radius)):
        check_range(name, radius, 1, BASE_RADIUS)
    for name, eps in (("base_eps", base_eps), ("detail_eps", detail_eps)):
        if not eps > 0:
            raise UsageError(f"{name}: found {eps}, expected a number above 0")
    first = larger(_saliency(ir), _saliency(vi), TIE)
    base_ir, base_vi = window_mean(ir, 15), window_mean(vi, 15)
    weight = _guided_weight(first, ir, vi, base_radius, base_eps)
    fused = mix(base_ir, base_vi, weight)
    weight = _guided_weight(first, ir, vi, detail_radius, detail_eps)
    return to_range(fused + mix(ir - base_ir, vi - base_vi, weight))


def _saliency(image: Gray) -> Gray:
    """Compute the smoothed magnitude of the 4-neighbor Laplacian (eqs. 12, 13)."""
    edges = np.abs(cv2.Laplacian(image, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE))
    smooth = cv2.GaussianBlur(edges, (11, 11), sigmaX=5, sigmaY=5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, dtype=np.float32)


def _guided_weight(first: Gray, ir: Gray, vi: Gray, radius: int, eps: float) -> Gray:
    """Compute the weight of the thermal image from both selections, each filtered with its image as guide."""
    a = np.clip(filters.guided_filter(first, ir, radius, eps), 0, 1)
    b = np.clip(filters.guided_filter(1 - first, vi, radius, eps), 0, 1)
    total = a + b
    return np.asarray(np.divide(a, total, out=np.full_like(a, 0.5), where=total > TIE), np.float32)
