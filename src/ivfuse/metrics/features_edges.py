"""Metrics of detail in the sources that reappears in the fused image: Qm, Qsf, EPI."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

Details = tuple[Gray, Gray, Gray]

DIAGONAL = math.sqrt(0.5)  # weight of the diagonal steps in Qsf: one over their length


@shared
def _haar(image: CachedImage) -> list[Details]:
    """Return the details of two levels of an orthonormal Haar pyramid, less a last odd row or column."""
    low, levels = image.values, []
    for _ in range(2):
        low = low[: low.shape[0] // 2 * 2, : low.shape[1] // 2 * 2]
        even, odd = low[::2], low[1::2]
        summed, stepped = even + odd, even - odd
        levels.append(
            (
                (stepped[:, ::2] + stepped[:, 1::2]) / 2,
                (summed[:, ::2] - summed[:, 1::2]) / 2,
                (stepped[:, ::2] - stepped[:, 1::2]) / 2,
            )
        )
        low = (summed[:, ::2] + summed[:, 1::2]) / 2
    return levels


def _details_kept(sources: tuple[Details, Details], fused: Details) -> float:
    kept = total = 0.0
    for source in sources:
        weight = sum(band * band for band in source)
        close = sum(np.exp(-np.abs(band - other)) for band, other in zip(source, fused, strict=True))
        kept += float(np.sum(weight * close))
        total += float(np.sum(weight))
    if total == 0:
        raise Undefined("Qm: the sources have no details")
    return kept / total


@metric(
    "Qm",
    higher_is_better=True,
    range=(0.0, 3.0),
    needs="sources",
    source="Wang & Liu, Proc. Int. Conf. Signal Processing (ICSP), 2008",
)
def qm(triple: Triple) -> float:
    """Likeness of the fused image's Haar details to those of the sources, weighted by the sources' energy.

    Two levels, Q1^(2/3) Q2^(1/3). As in Z. Liu's program the three orientations are added, so that a perfect
    image scores 3, not 1.
    """
    if min(triple.fused.shape) < 4:
        raise Undefined(f"Qm needs 4x4 pixels, the image is {triple.fused.size}")
    first, second, fused = (_haar(image) for image in triple.images)
    fine, coarse = (
        _details_kept((one, two), three) for one, two, three in zip(first, second, fused, strict=True)
    )
    return math.cbrt(fine * fine * coarse)


def _steps(values: Gray) -> tuple[Gray, Gray, Gray, Gray]:
    """Return the differences of neighbors along rows, columns and both diagonals."""
    return (
        values[:, 1:] - values[:, :-1],
        values[1:] - values[:-1],
        values[1:, 1:] - values[:-1, :-1],
        values[1:, :-1] - values[:-1, 1:],
    )


@metric(
    "Qsf",
    higher_is_better=True,
    range=(-1.0, math.inf),
    needs="sources",
    source="Zheng, Essock, Hansen & Haun, Information Fusion 8(2), 2007",
)
def qsf(triple: Triple) -> float:
    """Spatial frequency over four directions against that of the sources' stronger steps: (SF - R) / R.

    0 is best; below 0 the fused image is smoother than its sources, above 0 it has steps of its own. Fused
    images nearly always lie below, where higher is better. The diagonals weigh 1 / sqrt(2), inside the
    root, as in Z. Liu's program.
    """
    weights = (1.0, 1.0, DIAGONAL, DIAGONAL)
    first, second, fused = (_steps(image.values) for image in triple.images)
    wanted = found = 0.0
    for weight, one, two, step in zip(weights, first, second, fused, strict=True):
        strongest = np.maximum(np.abs(one), np.abs(two))
        wanted += weight * float(np.vdot(strongest, strongest))
        found += weight * float(np.vdot(step, step))
    if wanted == 0:
        raise Undefined("Qsf: both sources are constant")
    return math.sqrt(found / wanted) - 1


@shared
def _laplacian(image: CachedImage) -> Gray:
    """Return the Laplacian (corners 1, sides 1, center -8, over 3), zeros outside, less its mean."""
    kernel = np.array([[1.0, 1, 1], [1, -8, 1], [1, 1, 1]]) / 3
    result = np.asarray(
        cv2.filter2D(image.levels, cv2.CV_64F, kernel, borderType=cv2.BORDER_CONSTANT), np.float64
    )
    result -= result.mean()
    return result


@metric(
    "EPI",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source="Sattar, Floreby, Salomonsson & Lovstrom, IEEE Trans. Image Processing 6(6), 1997",
)
def epi(triple: Triple) -> float:
    """Edge preservation index: correlation of the Laplacians of fused image and source, the mean of both.

    Laplacian with alpha = 0.5 and zeros outside, as in H. Li's program; zeros outside make the frame an edge.
    """
    fused = _laplacian(triple.fused)
    energy = float(np.vdot(fused, fused))
    result = 0.0
    for source in (_laplacian(triple.ir), _laplacian(triple.vi)):
        product = energy * float(np.vdot(source, source))
        if product == 0:
            raise Undefined("EPI: an image has no edges")
        result += float(np.vdot(source, fused)) / math.sqrt(product)
    return max(-1.0, min(1.0, result / 2))
