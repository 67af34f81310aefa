"""Metrics that model human vision: visual information fidelity."""

from __future__ import annotations

import math

import numpy as np

from ivfuse.metrics.filters import (
    Plane,
    bands,
    filter_valid,
    gaussian,
    local_covariance,
    local_mean,
    local_variance,
)
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

VIF_WINDOWS = (17, 9, 5, 3)
VIF_NOISE = 2.0
VIF_LEAST_VARIANCE = 1e-10  # below it a window counts as flat
VIF_LEAST_SIDE = 41  # the smallest side at which the fourth scale still holds one whole window


@shared
def vif_plane(image: CachedImage, scale: int) -> Plane:
    """Return the image at one of VIF's four scales, 0 being the finest.

    Each is filtered with whole windows, of which every second row and column is kept.
    """
    if scale == 0:
        return image.levels
    size = VIF_WINDOWS[scale]
    finer, window = vif_plane(image, scale - 1), gaussian(size, size / 5)
    # bands start at even rows
    return np.vstack([filter_valid(finer[rows], window)[::2, ::2] for rows in bands(finer.shape[0], size)])


def _information(variance: Gray) -> float:
    """Return sum(ln(1 + variance / noise))."""
    variance *= 1 / VIF_NOISE
    return float(np.log1p(variance, out=variance).sum())


def _kept(source: Gray, fused: Gray, covariance: Gray) -> float:
    """Return the information about the source that is left in the fused image, summed over windows.

    With gain g = s12 / s1 and residual v = s2 - g s12, it is ln(1 + g^2 s1 / (v + n)), n being the
    variance of the eye's noise; a negative gain keeps none.

    Args:
        source: local variances s1 of the source.
        fused: local variances s2 of the fused image.
        covariance: local covariances s12.
    """
    gain = np.maximum(covariance, 0)
    gain /= source + VIF_LEAST_VARIANCE
    gain[source < VIF_LEAST_VARIANCE] = 0
    residual = fused - gain * covariance
    np.maximum(residual, VIF_LEAST_VARIANCE, out=residual)
    residual += VIF_NOISE
    gain *= gain
    gain *= source
    gain /= residual
    return float(np.log1p(gain, out=gain).sum())


def vifp(triple: Triple) -> tuple[float, float]:
    """Return pixel-domain VIF of the fused image with the infrared and with the visible as reference.

    Raises:
        Undefined: the image has no whole window at the last scale, or a source is constant.
    """
    if min(triple.fused.shape) < VIF_LEAST_SIDE:
        raise Undefined(f"VIF needs sides of {VIF_LEAST_SIDE} pixels, the image is {triple.fused.size}")
    if triple.ir.constant or triple.vi.constant:
        raise Undefined("VIF: a source is constant and holds no information")
    kept, there = [0.0, 0.0], [0.0, 0.0]
    for number, size in enumerate(VIF_WINDOWS):
        window = gaussian(size, size / 5)
        planes = [vif_plane(image, number) for image in triple.images]
        for rows in bands(planes[0].shape[0], size):
            *sources, fused = (plane[rows] for plane in planes)
            mean = local_mean(fused, window)
            variance = local_variance(fused, mean, window)
            for index, source in enumerate(sources):
                mean_source = local_mean(source, window)
                variance_source = local_variance(source, mean_source, window)
                covariance = local_covariance(source, fused, mean_source, mean, window)
                kept[index] += _kept(variance_source, variance, covariance)
                there[index] += _information(variance_source)
    return kept[0] / there[0], kept[1] / there[1]


@metric(
    "VIF",
    higher_is_better=True,
    range=(0.0, math.inf),
    needs="sources",
    source="Sheikh & Bovik, IEEE Trans. Image Processing 15(2), 2006",
)
def vif(triple: Triple) -> float:
    """Visual information fidelity of the fused image to each source, pixel domain, the two added.

    Two per identical triple; more where the fused image has more contrast than the sources. Tables that
    average the two sources print half of it.
    """
    return sum(vifp(triple))
