"""Metrics of edges: how strong they are and how many of the sources' edges the fused image keeps."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from ivfuse.metrics.filters import bands
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Levels, Triple, shared

Maps = tuple[Gray, Gray]


def _sobel(levels: Levels) -> Maps:
    """Return the horizontal (right less left) and vertical (upper less lower) Sobel maps, zero outside."""
    across = cv2.Sobel(levels, cv2.CV_16S, 1, 0, borderType=cv2.BORDER_CONSTANT)
    down = cv2.Sobel(levels, cv2.CV_16S, 0, 1, scale=-1, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(across).astype(np.float64), np.asarray(down).astype(np.float64)


def _sobel_unit(levels: Levels) -> Maps:
    """Return the same maps of the image scaled to 0..1, with the rounding of a plain 3x3 convolution.

    The order of summation (columns from the left, each from the bottom) decides which strengths come out
    exactly equal, and with that the third digit of the published Qabf of 0..1 images.
    """
    values = np.pad(levels / 255, 1)
    height, width = levels.shape

    def at(row: int, column: int) -> Gray:
        result: Gray = values[row : row + height, column : column + width]
        return result

    across = -at(2, 0) - 2 * at(1, 0) - at(0, 0) + at(2, 2) + 2 * at(1, 2) + at(0, 2)
    down = at(0, 0) - at(2, 0) - 2 * at(2, 1) + 2 * at(0, 1) - at(2, 2) + at(0, 2)
    return across, down


def _edges(maps: Maps) -> Maps:
    """Return strength and orientation of the edges, the orientation in units of pi / 2 in (-1, 1]."""
    across, down = maps
    strength = across * across
    strength += down * down
    np.sqrt(strength, out=strength)
    flat = across == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        down /= across
    orientation = np.arctan(down, out=down)
    orientation *= 2 / math.pi
    orientation[flat] = 1.0
    return strength, orientation


def _kept(source: Maps, fused: Maps) -> float:
    """Return the source's edge strength times the share that the fused image keeps, summed over pixels."""
    ratio = np.minimum(source[0], fused[0])
    with np.errstate(invalid="ignore"):
        ratio /= np.maximum(source[0], fused[0])
    np.copyto(ratio, source[0], where=source[0] == fused[0])
    turn = source[1] - fused[1]
    np.abs(turn, out=turn)
    # the sigmoids 1 / (1 + exp(-15 (ratio - .5))) and 1 / (1 + exp(-22 (1 - turn - .8))), multiplied
    ratio *= -15
    ratio += 7.5
    turn *= 22
    turn -= 4.4
    quality: Gray = np.asarray(cv2.exp(ratio), np.float64) + 1
    quality *= np.asarray(cv2.exp(turn), np.float64) + 1
    return 0.9994 * 0.9879 * float((source[0] / quality).sum())


def _qabf(triple: Triple, sobel: Callable[[Levels], Maps]) -> float:
    height = triple.fused.shape[0]
    kept = total = 0.0
    for rows in bands(height):
        reach = slice(max(rows.start - 1, 0), rows.stop + 1)  # a Sobel row needs its neighbors
        inner = slice(rows.start - reach.start, rows.stop - reach.start)
        *sources, fused = (
            _edges((across[inner], down[inner]))
            for across, down in (sobel(image.levels[reach]) for image in triple.images)
        )
        for source in sources:
            kept += _kept(source, fused)
            total += float(source[0].sum())
    if total == 0:
        raise Undefined("Qabf: the sources have no edges")
    return kept / total


@metric(
    "Qabf",
    higher_is_better=True,
    range=(0.0, 1.0),
    needs="sources",
    source="Xydeas & Petrovic, Electronics Letters 36(4), 2000",
)
def qabf(triple: Triple) -> float:
    """Edge information of both sources that the fused image preserves, weighted by edge strength.

    As in all common programs: Sobel with zeros outside the image (the frame counts as an edge), orientation
    differences not wrapped at pi, and equal strengths scored by the strength itself, which is full marks on
    levels 0..255. The convention ``li`` runs it on 0..1, where equal edges score almost nothing.
    """
    return _qabf(triple, _sobel)


def qabf_unit_range(triple: Triple) -> float:
    """Qabf of images scaled to 0..1: where both edges are equally strong the ratio falls far below 1."""
    return _qabf(triple, _sobel_unit)


@shared
def _summed_gradient(image: CachedImage) -> float:
    """Return the sum of sqrt((gx^2 + gy^2) / 2), central differences, one-sided at the frame."""
    down, across = np.gradient(image.values)
    return float(np.sqrt((down * down + across * across) * 0.5).sum())


@metric(
    "AG",
    higher_is_better=True,
    range=(0.0, 1020.0),
    needs="fused",
    source="Cui et al., Optics Communications 341, 2015",
)
def ag(triple: Triple) -> float:
    """Average gradient: sum of sqrt((gx^2 + gy^2) / 2) over (H - 1)(W - 1).

    The convention ``cddfuse`` divides by H * W.
    """
    height, width = triple.fused.shape
    if height < 2 or width < 2:
        raise Undefined(f"AG needs 2x2 pixels, the image is {triple.fused.size}")
    return _summed_gradient(triple.fused) / ((height - 1) * (width - 1))


def ag_per_pixel(triple: Triple) -> float:
    """Average gradient divided by the number of pixels."""
    height, width = triple.fused.shape
    return ag(triple) * (height - 1) * (width - 1) / (height * width)


NEAR_ZERO = 1e-5  # what Qg puts in place of a strength or a horizontal gradient of 0


def _edges_guarded(maps: Maps) -> Maps:
    """Return strength and orientation (units of pi / 2) with zeros replaced before they divide."""
    across, down = maps
    strength = np.sqrt(across * across + down * down)
    strength[strength == 0] = NEAR_ZERO
    across[across == 0] = NEAR_ZERO
    down /= across
    orientation = np.arctan(down, out=down)
    orientation *= 2 / math.pi
    return strength, orientation


def _kept_guarded(source: Maps, fused: Maps) -> Gray:
    """Return the share of the source's edge that the fused image keeps at each pixel, in Qg's constants."""
    ratio = np.minimum(source[0], fused[0])
    ratio /= np.maximum(source[0], fused[0])
    likeness = source[1] - fused[1]
    np.abs(likeness, out=likeness)
    likeness -= 1
    np.abs(likeness, out=likeness)  # a turn by pi is none
    # the sigmoids 1 / (1 + exp(-10 (ratio - .5))) and 1 / (1 + exp(-20 (likeness - .75))), multiplied
    ratio *= -10
    ratio += 5
    likeness *= -20
    likeness += 15
    quality: Gray = np.asarray(cv2.exp(ratio), np.float64) + 1
    quality *= np.asarray(cv2.exp(likeness), np.float64) + 1
    return np.reciprocal(quality, out=quality)


@metric(
    "Qg",
    higher_is_better=True,
    range=(0.0, 1.0),
    needs="sources",
    source="Xydeas & Petrovic, Proc. SPIE 4051, 2000; form of Liu et al., IEEE TPAMI 34(1), 2012",
)
def qg(triple: Triple) -> float:
    """Edges kept, as Z. Liu's imageFusionMetrics computes it: a relative of Qabf that is not equal to it.

    Other constants, orientations compared modulo pi, and the mean over pixels of locally weighted shares
    instead of a ratio of sums, so that flat regions count as much as outlines. Some leaderboards print plain
    Qabf under the name QG, others a form with mirrored borders.
    """
    height, width = triple.fused.shape
    total = 0.0
    for rows in bands(height):
        reach = slice(max(rows.start - 1, 0), rows.stop + 1)
        inner = slice(rows.start - reach.start, rows.stop - reach.start)
        first, second, fused = (
            _edges_guarded((across[inner], down[inner]))
            for across, down in (_sobel(image.levels[reach]) for image in triple.images)
        )
        share = _kept_guarded(first, fused)
        share *= first[0]
        other = _kept_guarded(second, fused)
        other *= second[0]
        share += other
        share /= first[0] + second[0]
        total += float(share.sum())
    return total / (height * width)


@metric(
    "EI",
    higher_is_better=True,
    range=(0.0, 255 * math.sqrt(20)),
    needs="fused",
    source="Rajalingam & Priya, Int. J. Engineering Science Invention 7(2), 2018",
)
def ei(triple: Triple) -> float:
    """Edge intensity: mean strength of the Sobel gradient (weights 1, 2, 1, not divided) of levels 0..255.

    The image's border is repeated, as in VIFB. Ports that mirror the border differ by some tenths of a
    percent, and those that put zeros outside add a frame of strong edges.
    """
    levels = triple.fused.levels
    total = 0.0
    for rows in bands(levels.shape[0]):
        reach = slice(max(rows.start - 1, 0), rows.stop + 1)
        inner = slice(rows.start - reach.start, rows.stop - reach.start)
        across, down = (
            np.asarray(cv2.Sobel(levels[reach], cv2.CV_64F, *order, borderType=cv2.BORDER_REPLICATE))[inner]
            for order in ((1, 0), (0, 1))
        )
        total += float(np.sqrt(across * across + down * down).sum())
    return total / levels.size
