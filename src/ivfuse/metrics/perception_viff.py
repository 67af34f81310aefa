"""Visual information fidelity for fusion (VIFF): one fidelity to both sources, window by window."""

from __future__ import annotations

import math

import numpy as np

from ivfuse.metrics.filters import (
    Plane,
    bands,
    gaussian,
    local_covariance,
    local_mean,
    local_variance,
)
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.perception import VIF_LEAST_SIDE, VIF_LEAST_VARIANCE, VIF_WINDOWS, vif_plane
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import Gray, Triple

NOISE = 0.005 * 255 * 255  # variance of the eye's noise
SCALE_WEIGHTS = (1 / 2.15, 0.0, 0.15 / 2.15, 1 / 2.15)
FLOOR = 1e-7 * math.log(10)  # added to every window's information; the reference counts in decades


def _channel(source: Gray, fused: Gray, covariance: Gray) -> tuple[Gray, Gray]:
    """Return the gain from source to fused image in each window, and the information that passes (nats)."""
    flat = (source < VIF_LEAST_VARIANCE) | (fused < VIF_LEAST_VARIANCE)
    gain = np.maximum(covariance, 0)
    gain /= source + VIF_LEAST_VARIANCE
    gain[flat] = 0
    passed = fused - gain * covariance
    np.maximum(passed, VIF_LEAST_VARIANCE, out=passed)
    passed += NOISE
    np.divide(gain * gain * source, passed, out=passed)
    return gain, np.log1p(passed, out=passed)


def _scale(planes: list[Plane], window: Gray) -> float:
    """Return the information that passes over the information there is, over all windows of one scale."""
    passed = there = 0.0
    for rows in bands(planes[0].shape[0], len(window)):
        *sources, fused = (plane[rows] for plane in planes)
        mean = local_mean(fused, window)
        variance = local_variance(fused, mean, window)
        parts = []
        for source in sources:
            mean_source = local_mean(source, window)
            variance_source = local_variance(source, mean_source, window)
            covariance = local_covariance(source, fused, mean_source, mean, window)
            parts.append((*_channel(variance_source, variance, covariance), variance_source))
        (gain_ir, passed_ir, variance_ir), (gain_vi, passed_vi, variance_vi) = parts
        infrared = gain_ir < gain_vi
        passed += float(np.where(infrared, passed_ir, passed_vi).sum()) + FLOOR * mean.size
        chosen = np.where(infrared, variance_ir, variance_vi)
        there += float(np.log1p(chosen / NOISE).sum()) + FLOOR * mean.size
    return passed / there


@metric(
    "VIFF",
    higher_is_better=True,
    range=(0.0, math.inf),
    needs="sources",
    source="Han, Cai, Cao & Xu, Information Fusion 14(2), 2013",
)
def viff(triple: Triple) -> float:
    """Visual information fidelity for fusion: pixel-domain VIF in which each window follows one source.

    That is the source of the smaller gain, the visible where both are equal, so the order of the sources
    matters a little. Scales weigh 1, 0, 0.15, 1; the eye's noise is 0.005 * 255^2. What CDDFuse's evaluator
    calls VIFF is VIF.
    """
    if min(triple.fused.shape) < VIF_LEAST_SIDE:
        raise Undefined(f"VIFF needs sides of {VIF_LEAST_SIDE} pixels, the image is {triple.fused.size}")
    result = 0.0
    for number, (size, weight) in enumerate(zip(VIF_WINDOWS, SCALE_WEIGHTS, strict=True)):
        if weight:
            planes = [vif_plane(image, number) for image in triple.images]
            result += weight * _scale(planes, gaussian(size, size / 5))
    return result
