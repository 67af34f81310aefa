"""Structural similarity to whichever source has more to say in each window: Qs, Qw, Qe, Qy and Qc.

The defaults follow the papers and treat windows of one level exactly. The convention ``liu`` follows
imageFusionMetrics: there the filtered variance of such a window is a rounding error, whose size and sign
decide which source counts, so that the variants filter in the very order of that program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics.filters import (
    Plane,
    bands,
    filter_in_order,
    filter_valid,
    flat_windows,
    gaussian,
    gaussian_in_order,
    multiply,
)
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Triple, shared

PIELLA = "Piella & Heijmans, IEEE Int. Conf. Image Processing, 2003"
ALIKE = 0.75  # Qy: above this similarity of the sources both count, below it the better one
Planes = tuple[Plane, Plane, Plane]


@dataclass(frozen=True)
class Kind:
    """How windows are weighed: a Gaussian of ``size`` with sigma 1.5 and the constants of the index.

    ``exact``: variances in windows of one level are 0; else whatever the ordered filter leaves there.
    """

    size: int
    c1: float
    c2: float
    exact: bool = True

    def filter(self, plane: Plane) -> Gray:
        """Return the weighted mean in each whole window."""
        if self.exact:
            return filter_valid(plane, gaussian(self.size, 1.5))
        return filter_in_order(plane, gaussian_in_order(self.size, 1.5))


SSIM_KIND = Kind(11, (0.01 * 255) ** 2, (0.03 * 255) ** 2)
YANG_KIND = Kind(7, 2e-16, 2e-16)


@dataclass(frozen=True, eq=False)
class Moments:
    """Some rows of an image, mean and variance in each window, and which windows hold one level."""

    plane: Plane
    mean: Gray
    variance: Gray
    flat: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Likeness:
    """Two images compared in each window: structural similarity and covariance."""

    similarity: Gray
    covariance: Gray


def _moments(planes: Planes, kind: Kind) -> Iterator[tuple[Moments, Moments, Moments]]:
    """Return the moments of both sources and of the fused image, band by band."""
    for rows in bands(planes[0].shape[0], kind.size):
        first, second, fused = (_moments_of(plane[rows], kind) for plane in planes)
        yield first, second, fused


def _moments_of(plane: Plane, kind: Kind) -> Moments:
    mean = kind.filter(plane)
    variance = kind.filter(multiply(plane, plane))
    variance -= mean * mean
    flat = None
    if kind.exact and plane.dtype == np.uint8:
        flat = flat_windows(np.asarray(plane, np.uint8), kind.size)
        np.maximum(variance, 0, out=variance)
        variance[flat] = 0
    return Moments(plane, mean, variance, flat)


def _compare(first: Moments, second: Moments, kind: Kind) -> Likeness:
    product = first.mean * second.mean
    covariance = kind.filter(multiply(first.plane, second.plane))
    covariance -= product
    for one in (first, second):
        if one.flat is not None:
            covariance[one.flat] = 0
    similarity = product
    similarity *= 2
    similarity += kind.c1
    similarity *= 2 * covariance + kind.c2
    scale = first.mean * first.mean
    scale += second.mean * second.mean
    scale += kind.c1
    spread = first.variance + second.variance
    spread += kind.c2
    scale *= spread
    similarity /= scale
    return Likeness(similarity, covariance)


def _check(name: str, triple: Triple, kind: Kind) -> None:
    if min(triple.fused.shape) < kind.size:
        raise Undefined(f"{name} needs {kind.size}x{kind.size} pixels, the image is {triple.fused.size}")


@dataclass(frozen=True)
class Quality:
    """Piella's two means over all windows: plain, and weighted by the greater variance (NaN if all are 0)."""

    plain: float
    weighted: float


def _quality(planes: Planes, kind: Kind) -> Quality:
    plain = weighted = weights = 0.0
    count = 0
    for *sources, fused in _moments(planes, kind):
        first, second = (one.variance for one in sources)
        one, two = (_compare(source, fused, kind).similarity for source in sources)
        weight = np.maximum(first, second)
        total = first + second
        silent = total == 0
        if not kind.exact:  # the program puts 0.5 into both variances, which are its weights too
            weight[silent] = 0.5
        total[silent] = 1
        share = first / total
        share[silent] = 0.5
        mixed = share * one + (1 - share) * two
        plain += float(mixed.sum())
        weighted += float(np.vdot(mixed, weight))
        weights += float(weight.sum())
        count += mixed.size
    return Quality(plain / count, weighted / weights if weights else math.nan)


@shared
def _edge_strength(image: CachedImage) -> Gray:
    """Return the strength of the Prewitt gradient (not divided), zeros outside."""
    kernel = np.array([[1.0, 0, -1]] * 3)
    across, down = (
        np.asarray(cv2.filter2D(image.levels, cv2.CV_64F, each, borderType=cv2.BORDER_CONSTANT), np.float64)
        for each in (kernel, np.ascontiguousarray(kernel.T))
    )
    strength: Gray = np.sqrt(across * across + down * down)
    return strength


@shared
def _of_levels(triple: Triple, kind: Kind) -> Quality:
    return _quality((triple.ir.levels, triple.vi.levels, triple.fused.levels), kind)


@shared
def _of_edges(triple: Triple, kind: Kind) -> Quality:
    first, second, fused = (_edge_strength(image) for image in triple.images)
    return _quality((first, second, fused), kind)


def _weighted(name: str, quality: Quality) -> float:
    if math.isnan(quality.weighted):
        raise Undefined(f"{name}: both sources are flat in every window")
    return quality.weighted


@metric("Qs", higher_is_better=True, range=(-1.0, 1.0), needs="sources", source=PIELLA)
def qs(triple: Triple) -> float:
    """Structural similarity to both sources, mixed in each window in the ratio of their variances.

    With the SSIM of L = 255 and Gaussian 11 / 1.5 where the paper has the UQI of flat 8x8 windows, as all
    programs do. Where both sources are flat they count alike; in the convention ``liu`` rounding decides.
    """
    _check("Qs", triple, SSIM_KIND)
    return _of_levels(triple, SSIM_KIND).plain


@metric("Qw", higher_is_better=True, range=(-1.0, 1.0), needs="sources", source=PIELLA)
def qw(triple: Triple) -> float:
    """Qs with windows weighted by the greater of the sources' variances, so that detail counts most.

    The programs agree on it; some papers print Qs or Qe under the name of Piella's index.
    """
    _check("Qw", triple, SSIM_KIND)
    return _weighted("Qw", _of_levels(triple, SSIM_KIND))


@metric("Qe", higher_is_better=True, range=(-1.0, 1.0), needs="sources", source=PIELLA)
def qe(triple: Triple) -> float:
    """Qw of the images times Qw of their edge maps (Prewitt strengths, zeros outside).

    The MATLAB program of Z. Liu stops here with an error; a mended copy that is in use multiplies the edge
    maps' Qw by itself and never looks at the images: convention ``liu``.
    """
    _check("Qe", triple, SSIM_KIND)
    return _weighted("Qe", _of_levels(triple, SSIM_KIND)) * _weighted("Qe", _of_edges(triple, SSIM_KIND))


def qs_ordered(triple: Triple) -> float:
    """Qs whose shares in flat windows are those of rounding errors, as in the program."""
    _check("Qs", triple, SSIM_KIND)
    return _of_levels(triple, replace(SSIM_KIND, exact=False)).plain


def qe_squared(triple: Triple) -> float:
    """Qw of the edge maps, squared; windows without any edge weigh 0.5, as in the program."""
    _check("Qe", triple, SSIM_KIND)
    return _weighted("Qe", _of_edges(triple, replace(SSIM_KIND, exact=False))) ** 2


Mix = Callable[[Moments, Moments, Likeness, Likeness], Gray]


def _similarity_by_window(name: str, triple: Triple, kind: Kind, mix: Mix) -> float:
    """Return the mean over windows of what ``mix`` makes of both sources' likeness to the fused image."""
    _check(name, triple, kind)
    total, count = 0.0, 0
    for first, second, fused in _moments((triple.ir.levels, triple.vi.levels, triple.fused.levels), kind):
        with np.errstate(divide="ignore", invalid="ignore"):
            mixed = mix(first, second, _compare(first, fused, kind), _compare(second, fused, kind))
        total += float(mixed.sum())
        count += mixed.size
    if not math.isfinite(total):
        raise Undefined(f"{name}: this convention's program divides 0 by 0 where images are flat")
    return total / count


def _qy(triple: Triple, kind: Kind) -> float:
    def mix(first: Moments, second: Moments, one: Likeness, two: Likeness) -> Gray:
        share = first.variance / (first.variance + second.variance)
        if kind.exact:
            share[np.isnan(share)] = 0.5
        mixed = share * one.similarity + (1 - share) * two.similarity
        alike = _compare(first, second, kind).similarity >= ALIKE
        return np.where(alike, mixed, np.maximum(one.similarity, two.similarity))

    return _similarity_by_window("Qy", triple, kind, mix)


@metric(
    "Qy",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source="Yang, Zhang, Wang & Liu, Information Fusion 9(2), 2008",
)
def qy(triple: Triple) -> float:
    """Structural similarity to both sources where they are alike (above 0.75), to the better one elsewhere.

    Gaussian 7 / 1.5 and vanishing constants, as in Z. Liu's program; flat windows are exact here and rounding
    errors there (convention ``liu``). A Python port (IVIF_ZOO) filters with a window that does not sum to 1
    and prints up to 0.14 more.
    """
    return _qy(triple, YANG_KIND)


def qy_ordered(triple: Triple) -> float:
    """Qy with the rounding errors of the program in flat windows; without a value where they cancel."""
    return _qy(triple, replace(YANG_KIND, exact=False))


def _covariance_share(one: Likeness, two: Likeness) -> Gray:
    share: Gray = one.covariance / (one.covariance + two.covariance)
    return share


@metric(
    "Qc",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source="Cvejic, Loza, Bull & Canagarajah, Int. J. Signal Processing 2(3), 2005",
)
def qc(triple: Triple) -> float:
    """Structural similarity to both sources, in the ratio of their covariances with the fused image.

    The ratio is cut to 0..1, and 1/2 where neither varies with the fused image. Gaussian 7 / 1.5 and
    vanishing constants. Z. Liu's program cuts the product instead: a window in which one source runs against
    the fused image scores 0 or 1, whatever the other says. Its values (``liu``) are about half as high.
    """

    def mix(first: Moments, second: Moments, one: Likeness, two: Likeness) -> Gray:
        share = _covariance_share(one, two)
        share[np.isnan(share)] = 0.5
        np.clip(share, 0, 1, out=share)
        return share * one.similarity + (1 - share) * two.similarity

    return _similarity_by_window("Qc", triple, YANG_KIND, mix)


def qc_cut_product(triple: Triple) -> float:
    """Qc that scores 0 or 1 where the ratio is outside 0..1; without a value where it is 0 / 0."""
    kind = replace(YANG_KIND, exact=False)

    def mix(first: Moments, second: Moments, one: Likeness, two: Likeness) -> Gray:
        share = _covariance_share(one, two)
        mixed = share * one.similarity + (1 - share) * two.similarity
        mixed[share < 0] = 0
        mixed[share > 1] = 1
        return mixed

    return _similarity_by_window("Qc", triple, kind, mix)
