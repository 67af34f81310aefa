"""Fusion methods that need no training: each a function ``(ir, vi, **options) -> fused`` on luma planes.

The facts given at registration (reach, grid) hold for all options, so that large images can be cut exactly.
"""

from __future__ import annotations

import cv2
import numpy as np

from ivfuse.errors import ShapeError, UsageError
from ivfuse.fusion import filters
from ivfuse.fusion.filters import window_mean
from ivfuse.fusion.pyramids import collapse, laplacian_pyramid, wavelet_merge, wavelet_split
from ivfuse.fusion.registry import register
from ivfuse.image.read import Gray

LEVELS = 4  # of the Laplacian pyramid and of the wavelet transform, at most
BASE_RADIUS, DETAIL_RADIUS = 45, 7  # of the guided filters, at most

# Activities nearer than this are a tie: far below one gray level of 8 bits, far above rounding. Without it,
# rounding would decide where two images show equal structure, differently in a tile than in the whole.
_TIE = 1e-5


@register("average", summary="mean of both images", paper="baseline")
def average(ir: Gray, vi: Gray) -> Gray:
    """Mean of both.

    Args: two (H, W) float32 planes in [0, 1].
    Returns: (H, W) float32 in [0, 1].
    """
    ir, vi = _planes(ir, vi)
    return (ir + vi) * np.float32(0.5)


@register("maximum", summary="brighter of both images at each pixel", paper="baseline")
def maximum(ir: Gray, vi: Gray) -> Gray:
    """The brighter of both at each pixel.

    Args: two (H, W) float32 planes in [0, 1].
    Returns: (H, W) float32 in [0, 1].
    """
    ir, vi = _planes(ir, vi)
    return np.maximum(ir, vi)


@register(
    "laplacian",
    summary="Laplacian pyramid: stronger detail of each band, mean of the bases",
    paper="Burt & Adelson, The Laplacian Pyramid as a Compact Image Code, IEEE Trans. Communications, 1983",
    align=2**LEVELS,
    reach=5 * 2**LEVELS - 4,
)
def laplacian(ir: Gray, vi: Gray, *, levels: int = LEVELS) -> Gray:
    """Take in each band of a Laplacian pyramid the stronger detail, and the mean of the bases.

    Args:
        ir: infrared, (H, W) float32 in [0, 1].
        vi: luma of the visible, the same.
        levels: number of bands, 1..4; the base is smooth at the scale of ``2**levels`` pixels.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if ``levels`` is out of range.

    Source: the pyramid of Burt & Adelson 1983, eqs. 1-8; the choice by activity in a 3x3 window with a 3x3
        majority vote of Li, Manjunath & Mitra 1995, Graphical Models and Image Processing 57(3), 235-245.
    """
    ir, vi = _planes(ir, vi)
    _check_range("levels", levels, 1, LEVELS)
    *a, base_a = laplacian_pyramid(ir, levels)
    *b, base_b = laplacian_pyramid(vi, levels)
    bands = [
        _mix(x, y, _choice(_window_max(np.abs(x)), _window_max(np.abs(y)), radius=1))
        for x, y in zip(a, b, strict=True)
    ]
    return _to_range(collapse([*bands, (base_a + base_b) * np.float32(0.5)]))


@register(
    "wavelet",
    summary="stationary wavelet transform: stronger detail of each scale, mean of the approximations",
    paper="Li, Manjunath & Mitra, Multisensor Image Fusion Using the Wavelet Transform, GMIP, 1995",
    reach=9 * 2 ** (LEVELS - 1) - 3,
)
def wavelet(ir: Gray, vi: Gray, *, levels: int = LEVELS) -> Gray:
    """Take at each scale of a wavelet transform the stronger details, and the mean of the approximations.

    The transform is stationary (no subsampling), so the image does not depend on how it lies on a grid and
    shows no blocks. The three details of a place are taken from the same image: the one with the larger sum
    of their magnitudes in a window of ``2**(level + 1) + 1`` pixels, after a majority vote in such a window.

    Args:
        ir: infrared, (H, W) float32 in [0, 1].
        vi: luma of the visible, the same.
        levels: number of scales, 1..4.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UsageError: if ``levels`` is out of range.

    Source: Li, Manjunath & Mitra 1995, Graphical Models and Image Processing 57(3), 235-245, section 3, with
        the 5/3 transform of :func:`ivfuse.fusion.pyramids.wavelet_split` in place of the decimated one.
    """
    ir, vi = _planes(ir, vi)
    _check_range("levels", levels, 1, LEVELS)
    details = []
    for level in range(levels):
        ir, a = wavelet_split(ir, level)
        vi, b = wavelet_split(vi, level)
        weight = _choice(_strength(a, 2**level), _strength(b, 2**level), 2**level)
        details.append((_mix(a[0], b[0], weight), _mix(a[1], b[1], weight), _mix(a[2], b[2], weight)))
    fused = (ir + vi) * np.float32(0.5)
    for level in reversed(range(levels)):
        fused = wavelet_merge(fused, details.pop(), level)
    return _to_range(fused)


def _strength(details: tuple[Gray, Gray, Gray], radius: int) -> Gray:
    """Mean magnitude of the details in a window."""
    total = np.abs(details[0])
    for band in details[1:]:
        total += np.abs(band)
    return window_mean(total, radius)


@register(
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
    ir, vi = _planes(ir, vi)
    for name, radius in (("base_radius", base_radius), ("detail_radius", detail_radius)):
        _check_range(name, radius, 1, BASE_RADIUS)
    for name, eps in (("base_eps", base_eps), ("detail_eps", detail_eps)):
        if not eps > 0:
            raise UsageError(f"{name}: found {eps}, expected a number above 0")
    first = _larger(_saliency(ir), _saliency(vi), _TIE)
    base_ir, base_vi = window_mean(ir, 15), window_mean(vi, 15)
    weight = _guided_weight(first, ir, vi, base_radius, base_eps)
    fused = _mix(base_ir, base_vi, weight)
    weight = _guided_weight(first, ir, vi, detail_radius, detail_eps)
    return _to_range(fused + _mix(ir - base_ir, vi - base_vi, weight))


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
    return np.asarray(np.divide(a, total, out=np.full_like(a, 0.5), where=total > _TIE), np.float32)


@register(
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
    ir, vi = _planes(ir, vi)
    base_ir, base_vi = window_mean(ir, 17), window_mean(vi, 17)
    a = np.abs(base_ir - cv2.medianBlur(ir, 3))
    b = np.abs(base_vi - cv2.medianBlur(vi, 3))
    small = np.float32(_TIE)  # equal weights where neither is salient
    weight = (a + small) / (a + b + 2 * small)
    return _to_range((base_ir + base_vi) * np.float32(0.5) + _mix(ir - base_ir, vi - base_vi, weight))


@register(
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
    ir, vi = _planes(ir, vi)
    if not 0.001 <= eps <= 1:
        raise UsageError(f"eps: found {eps}, expected 0.001..1")
    details = np.zeros_like(ir)
    for radius in (2, 4, 8, 16):
        base_ir, base_vi = (filters.guided_smooth(x, radius, eps) for x in (ir, vi))
        a, b = ir - base_ir, vi - base_vi
        larger = _larger(np.abs(a), np.abs(b), _TIE)
        weight = cv2.GaussianBlur(larger, (13, 13), 2, borderType=cv2.BORDER_REPLICATE)
        details += _mix(a, b, np.asarray(weight, np.float32))
        ir, vi = base_ir, base_vi
    share = (filters.global_contrast(ir) - filters.global_contrast(vi) + 1) * np.float32(0.5)
    return _to_range(_mix(ir, vi, share) + details)


def _planes(ir: Gray, vi: Gray) -> tuple[Gray, Gray]:
    """Both images as contiguous float32.

    Raises:
        ShapeError: if they are not two (H, W) planes of one size.
    """
    if ir.ndim != 2 or ir.shape != vi.shape or ir.size == 0:
        raise ShapeError(f"infrared {ir.shape} and visible {vi.shape}: expected the same (H, W), H, W >= 1")
    return np.ascontiguousarray(ir, dtype=np.float32), np.ascontiguousarray(vi, dtype=np.float32)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name}: found {value}, expected {low}..{high}")


def _window_max(plane: Gray) -> Gray:
    """Maximum over 3x3 pixels."""
    return np.asarray(cv2.dilate(plane, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE))


def _larger(a: Gray, b: Gray | np.float32, tie: float) -> Gray:
    """1 where ``a`` exceeds ``b`` by ``tie``, 0 the other way round, and a straight line between."""
    lead = a - b
    lead *= np.float32(0.5 / tie)
    lead += np.float32(0.5)
    return np.clip(lead, 0, 1, out=lead)


def _choice(a: Gray, b: Gray, radius: int) -> Gray:
    """Which of two activities is larger, by a majority vote over the window: 1, 0, or between for a tie."""
    side = 2 * radius + 1
    votes = cv2.boxFilter(
        _larger(a, b, _TIE), -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101
    )
    return _larger(np.asarray(votes, np.float32), np.float32(side * side / 2), tie=0.25)


def _mix(a: Gray, b: Gray, weight: Gray) -> Gray:
    """``weight`` of the first and the rest of the second."""
    fused = a - b
    fused *= weight
    fused += b
    return fused


def _to_range(fused: Gray) -> Gray:
    return np.clip(fused, 0, 1, out=fused)
