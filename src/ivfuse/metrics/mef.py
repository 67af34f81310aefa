"""Structural similarity to what a multi-exposure fusion of the sources should look like (MEF-SSIM).

Many papers print its multi-scale form as "MS-SSIM". All statistics come from filtered moments.
"""

from __future__ import annotations

import math

import numpy as np

from ivfuse.metrics.filters import Plane, bands, box_sums, filter_valid, gaussian, multiply, scaled
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import Gray, Triple, shared

SIDE = 11  # of the patches, in pixels
PATCH = SIDE * SIDE
EPS = float(np.finfo(np.float64).eps)
LEAST_CONTRAST = 0.001
CONSTANT = (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001)  # of the three scales; they are divided by their sum
SOURCE = "Ma, Zeng & Wang, IEEE Trans. Image Processing 24(11), 2015"


def _consistency(first: Gray, second: Gray, mixed: Gray) -> Gray:
    """Return how much two patches agree, |x + y| / (|x| + |y|), as the exponent tan(pi R / 2), at most 10.

    Args:
        first: squared norms of the first source's patches less their means.
        second: those of the second source.
        mixed: scalar products of both.
    """
    together = np.sqrt(np.maximum(first + second + 2 * mixed, 0))
    ratio = (together + EPS) / (np.sqrt(first) + np.sqrt(second) + EPS)
    ratio[ratio > 1] = 1 - EPS
    ratio *= math.pi / 2
    exponent: Gray = np.minimum(np.tan(ratio), 10)
    return exponent


def _desired(first: Plane, second: Plane) -> tuple[Gray, Gray]:
    """Return the factors of both sources in the desired patch, for each whole window."""
    sums = box_sums(first, SIDE), box_sums(second, SIDE)

    def product(one: int, two: int) -> Gray:
        planes = first, second
        result = box_sums(multiply(planes[one], planes[two]), SIDE)
        result -= sums[one] * sums[two] / PATCH
        return result

    norms = np.maximum(product(0, 0), 0), np.maximum(product(1, 1), 0)
    mixed = product(0, 1)
    exponent = _consistency(*norms, mixed)
    contrasts = [np.sqrt(norm) + LEAST_CONTRAST for norm in norms]
    weights = [(contrast / SIDE) ** exponent + EPS for contrast in contrasts]
    total = weights[0] + weights[1]
    parts = [weight / total / contrast for weight, contrast in zip(weights, contrasts, strict=True)]
    squared = parts[0] ** 2 * norms[0] + parts[1] ** 2 * norms[1] + 2 * parts[0] * parts[1] * mixed
    with np.errstate(divide="ignore"):
        stretch = np.maximum(*contrasts) / np.sqrt(squared)
    stretch[squared <= 0] = 1
    for part, norm in zip(parts, norms, strict=True):
        part *= stretch
        part[norm == 0] = 0  # a flat patch less its mean is nothing; filters leave rounding noise
    return parts[0], parts[1]


def _quality(first: Plane, second: Plane, fused: Plane) -> Gray:
    """Return contrast and structure of the fused patches compared with the desired ones."""
    window = gaussian(SIDE, 1.5)
    planes = first, second, fused
    means = [filter_valid(plane, window) for plane in planes]

    def moment(one: int, two: int) -> Gray:
        result = filter_valid(multiply(planes[one], planes[two]), window)
        result -= means[one] * means[two]
        return result

    left, right = _desired(first, second)
    desired = left * left * moment(0, 0) + right * right * moment(1, 1) + 2 * left * right * moment(0, 1)
    common = left * moment(0, 2) + right * moment(1, 2)
    result: Gray = (2 * common + CONSTANT) / (desired + moment(2, 2) + CONSTANT)
    return result


@shared
def _score(triple: Triple, scale: int) -> float:
    """Return the mean quality after ``scale`` halvings."""
    planes = [scaled(image, scale) for image in triple.images]
    total = 0.0
    count = 0
    for rows in bands(planes[0].shape[0], SIDE):
        first, second, fused = (plane[rows] for plane in planes)
        quality = _quality(first, second, fused)
        total += float(quality.sum())
        count += quality.size
    return total / count


@metric("MEF_SSIM", higher_is_better=True, range=(-1.0, 1.0), needs="sources", source=SOURCE)
def mef_ssim(triple: Triple) -> float:
    """Likeness of each 11x11 patch to the desired one: the sources' structure at the greater contrast.

    Contrast and structure only, no brightness; one value for both sources. This is the finest scale of
    MEF_MS_SSIM, which is what most papers print.
    """
    if min(triple.fused.shape) < SIDE:
        raise Undefined(f"MEF_SSIM needs sides of {SIDE} pixels, the image is {triple.fused.size}")
    return _score(triple, 0)


@metric("MEF_MS_SSIM", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def mef_ms_ssim(triple: Triple) -> float:
    """Product of MEF-SSIM at three scales, to the powers 0.0448, 0.2856 and 0.3001 over their sum.

    The tables of Li & Wu and those made with Tang's programs print it as "MS_SSIM" (values near 0.9), which
    it is not: both sources are taken for exposures of one scene. A negative scale counts as 0.
    """
    least = SIDE * 2 ** (len(WEIGHTS) - 1)
    if min(triple.fused.shape) < least:
        raise Undefined(f"MEF_MS_SSIM needs sides of {least} pixels, the image is {triple.fused.size}")
    powers = [weight / sum(WEIGHTS) for weight in WEIGHTS]
    return float(math.prod(max(_score(triple, scale), 0.0) ** power for scale, power in enumerate(powers)))
