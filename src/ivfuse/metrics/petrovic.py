"""Petrovic's division of edge information into what is kept, lost and added (artifacts).

Unlike Qabf of the module ``gradient`` it weighs edges by strength^1.5 and mirrors the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ivfuse.metrics.filters import bands
from ivfuse.metrics.registry import metric
from ivfuse.metrics.triple import CachedImage, Gray, Levels, Triple, shared

WEAK = 2.0  # edges below this strength get the least weight
LEAST_WEIGHT = 0.001
SOURCE = "Petrovic & Xydeas, IEEE Int. Conf. Computer Vision, 2005"

Maps = tuple[Gray, Gray]
Sobel = Callable[[Levels], Maps]


@dataclass(frozen=True)
class Shares:
    """The parts of the sources' edge information; ``kept + lost + added`` is 1.

    Attributes:
        kept: what the fused image preserves.
        lost: what is missing where the fused edge is not stronger than both sources' edges.
        added: what differs where it is stronger than both: artifacts, in Kumar's form.
        added_petrovic: the same in Petrovic's form, which weighs both sources' misses with both weights.
    """

    kept: float
    lost: float
    added: float
    added_petrovic: float


def _sobel(levels: Levels) -> Maps:
    """Return the Sobel maps over 8 of an image: right less left, lower less upper."""
    across = cv2.Sobel(levels, cv2.CV_16S, 1, 0, borderType=cv2.BORDER_REFLECT_101)
    down = cv2.Sobel(levels, cv2.CV_16S, 0, 1, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(across, np.float64) * 0.125, np.asarray(down, np.float64) * 0.125


def _sobel_unit(levels: Levels) -> Maps:
    """Return the same maps of the image scaled to 0..1, each window summed column by column.

    The order of summation decides which edges come out exactly equal, and with that the third digit.
    """
    values = cv2.copyMakeBorder(levels, 1, 1, 1, 1, cv2.BORDER_REFLECT_101) / 255
    height, width = levels.shape

    def at(row: int, column: int) -> Gray:
        result: Gray = values[row : row + height, column : column + width]
        return result

    left, right = ((at(0, side) + 2 * at(1, side)) + at(2, side) for side in (0, 2))
    columns = [at(2, column) - at(0, column) for column in range(3)]
    return (right - left) * 0.125, ((columns[0] + 2 * columns[1]) + columns[2]) * 0.125


@dataclass(frozen=True)
class Edges:
    """Strength, orientation (in units of pi / 2, -1..1) and weight of an image's edges."""

    strength: Gray
    orientation: Gray
    weight: Gray


def _edges(maps: Maps) -> Edges:
    across, down = maps
    strength = np.sqrt(down * down + across * across)
    with np.errstate(divide="ignore", invalid="ignore"):
        orientation = np.arctan(across / down)
    orientation *= 2 / math.pi
    orientation[strength == 0] = 0
    weight = strength * np.sqrt(strength)
    weight[strength < WEAK] = LEAST_WEIGHT
    return Edges(strength, orientation, weight)


def _sigmoid(value: Gray, slope: float) -> Gray:
    """Return 1 + exp(-slope (value - 0.5)), the reciprocal of a sigmoid; spoils ``value``."""
    value -= 0.5
    value *= -slope
    result: Gray = np.asarray(cv2.exp(value), np.float64) + 1
    return result


def _missed(source: Edges, fused: Edges) -> Gray:
    """Return the share of the source's edge information that is not in the fused image, at each pixel."""
    ratio = np.minimum(source.strength, fused.strength)
    with np.errstate(invalid="ignore"):
        ratio /= np.maximum(source.strength, fused.strength)
    ratio[np.isnan(ratio)] = 0
    likeness = source.orientation - fused.orientation
    np.abs(likeness, out=likeness)
    likeness -= 1
    np.abs(likeness, out=likeness)  # a turn by pi is none
    quality = _sigmoid(ratio, 19)
    quality *= _sigmoid(likeness, 22)
    missed: Gray = 1 - np.sqrt(0.9999 * 0.9995 / quality)
    return missed


def _share_out(sources: tuple[CachedImage, CachedImage], fused: CachedImage, sobel: Sobel) -> Shares:
    lost = added = petrovic = total = 0.0
    height = fused.shape[0]
    for rows in bands(height):
        reach = slice(max(rows.start - 1, 0), rows.stop + 1)  # a Sobel row needs its neighbors
        inner = slice(rows.start - reach.start, rows.stop - reach.start)
        first, second, result = (
            _edges((across[inner], down[inner]))
            for across, down in (sobel(image.levels[reach]) for image in (*sources, fused))
        )
        missed = _missed(first, result), _missed(second, result)
        weights = first.weight + second.weight
        amount = missed[0] * first.weight
        amount += missed[1] * second.weight
        stronger = result.strength > np.maximum(first.strength, second.strength)
        total += float(weights.sum())
        everything = float(amount.sum())
        here = float(amount[stronger].sum())
        added += here
        lost += everything - here
        petrovic += float((missed[0] + missed[1])[stronger] @ weights[stronger])
    return Shares((total - lost - added) / total, lost / total, added / total, petrovic / total)


@shared
def shares(triple: Triple) -> Shares:
    """Divide the edge information of both sources, levels 0..255."""
    return _share_out((triple.ir, triple.vi), triple.fused, _sobel)


@metric("Qabf_petrovic", higher_is_better=True, range=(0.0, 1.0), needs="sources", source=SOURCE)
def qabf_petrovic(triple: Triple) -> float:
    """Edge information of both sources that the fused image keeps, in Petrovic's later form.

    Not the Qabf of most tables: weights are strength^1.5 (0.001 for edges weaker than 2), the frame is
    mirrored, orientations are compared modulo pi, and the root of both similarities is taken, so that values
    are higher. Together with Labf and Nabf it makes 1.
    """
    return shares(triple).kept


@metric("Labf", higher_is_better=False, range=(0.0, 1.0), needs="sources", source=SOURCE)
def labf(triple: Triple) -> float:
    """Edge information that is lost: missing where the fused edge is not stronger than both sources' edges.

    Programs that ask for an edge not stronger than EITHER source, or drop weak edges, print less.
    """
    return shares(triple).lost


@metric(
    "Nabf",
    higher_is_better=False,
    range=(0.0, 1.0),
    needs="sources",
    source="Shreyamsha Kumar, Signal, Image and Video Processing 7, 2013",
)
def nabf(triple: Triple) -> float:
    """Artifacts: edge information that differs where the fused edge is stronger than both sources' edges.

    Kumar's form on levels 0..255. The convention ``li`` runs it on 0..1, where every edge falls below the
    threshold 2 and counts the same: about five times more. The convention ``tang`` passes the images in the
    wrong order and judges the infrared image as if it were fused. Petrovic's own form is Nabf_petrovic.
    """
    return shares(triple).added


@metric("Nabf_petrovic", higher_is_better=False, range=(0.0, 2.0), needs="sources", source=SOURCE)
def nabf_petrovic(triple: Triple) -> float:
    """Artifacts in Petrovic's first form: the misses of both sources added, each with the weights of both.

    It counts a miss of one source with the other's weight too, so it is several times the Nabf of the tables
    and does not complement Qabf_petrovic and Labf to 1.
    """
    return shares(triple).added_petrovic


def nabf_unit_range(triple: Triple) -> float:
    """Nabf of images scaled to 0..1: all edges weigh the same, weak noise as much as outlines."""
    return _share_out((triple.ir, triple.vi), triple.fused, _sobel_unit).added


def nabf_wrong_order(triple: Triple) -> float:
    """Nabf of the infrared image, taken as the fusion of the visible and the fused image."""
    return _share_out((triple.vi, triple.fused), triple.ir, _sobel).added
