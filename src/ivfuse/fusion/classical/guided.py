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

BASE_RADIUS, DETAIL_RADIUS = 45, 7  # of the guided filters, at most


@classical_method(
    "guided-filter",
    summary="two scales, each weighted by its saliency; weights follow the edges by guided filters",
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
    """Weigh base and detail by saliency, with weight maps that a guided filter fits to the images' edges.

    Base: mean over 31x31 pixels; detail: the rest. Saliency: magnitude of the Laplacian, smoothed by an 11x11
    Gaussian of sigma 5 pixels. Where both are equally salient (flat areas), both weigh the same. Strong noise
    in one image counts as salient: it can hide the other there.

    Args:
        ir: infrared, (H, W) float32 in [0, 1].
        vi: luma of the visible, the same.
        base_radius: of the guided filter of the base's weights, 1..45 pixels.
        base_eps: its regularization, gray values squared, above 0.
        detail_radius: of the guided filter of the detail's weights, 1..45 pixels.
        detail_eps: its regularization, above 0.

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
    """Smoothed magnitude of the 4-neighbor Laplacian (eqs. 12, 13)."""
    edges = np.abs(cv2.Laplacian(image, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE))
    smooth = cv2.GaussianBlur(edges, (11, 11), sigmaX=5, sigmaY=5, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, dtype=np.float32)


def _guided_weight(first: Gray, ir: Gray, vi: Gray, radius: int, eps: float) -> Gray:
    """Weight of the infrared: each choice filtered along the edges of its own image, their sum made 1."""
    a = np.clip(filters.guided_filter(first, ir, radius, eps), 0, 1)
    b = np.clip(filters.guided_filter(1 - first, vi, radius, eps), 0, 1)
    total = a + b
    return np.asarray(np.divide(a, total, out=np.full_like(a, 0.5), where=total > TIE), np.float32)
