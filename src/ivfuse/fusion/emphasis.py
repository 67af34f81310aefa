"""What a fused image is to bring out: targets, detail, or the natural tones of the visible image.

Whatever the method, its result is the visible image and a change of it. The change of whole areas is what
their level becomes; what differs from it in place is edges, texture and small warm targets. Scaling both
parts by themselves shifts what one network emphasizes, at no cost that matters.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ivfuse.image.arrays import Gray
from ivfuse.image.color import resize_to
from ivfuse.image.upsampling import add_enlarged

EmphasisName = Literal["balanced", "natural", "detail", "targets", "none"]

Part = tuple[slice, slice]  # rows and columns of an image
WHOLE: Part = (slice(None), slice(None))

GRID = 80  # cells along the longer side of what the thermal covers, by which areas are told from detail
WINDOW = 5  # cells; what fills less than half of such a square is detail
DARK = 0.25  # luma; a visible image that is darker has less and less of a level that is worth keeping
SURROUNDINGS = 11  # cells; side of the square whose mean luma tells day from lit windows by night
NIGHT, DAY = 0.4, 0.65  # that mean; by night a shade is left as it is, by day it counts less
WHITE, CLIPPED = 0.92, 0.98  # luma; where it is clipped, a shade is all that can show the thermal


class Emphasis(NamedTuple):
    """Factors of what a method changes of the visible image.

    Attributes:
        level: of the change of whole areas; towards 1 where the visible image is dark.
        detail: of what the change differs from that of its area.
        shade: besides, of such detail that darkens whole cells, by day: dark halos beside what is warm.
    """

    level: float
    detail: float
    shade: float = 1.0


EMPHASES: dict[EmphasisName, Emphasis] = {
    "balanced": Emphasis(0.6, 1.2, shade=0.3),
    "natural": Emphasis(0.4, 1.0),
    "detail": Emphasis(0.6, 1.5),
    "targets": Emphasis(1.1, 1.5),
    "none": Emphasis(1.0, 1.0),
}


def covered_part(coverage: Gray) -> Part:
    """Return the rows and columns of a coverage, (H, W), that are not all 0."""
    import cv2

    left, top, width, height = cv2.boundingRect((coverage > 0).view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def emphasize(fused: Gray, vi: Gray, emphasis: Emphasis) -> Gray:
    """Scale what a method changed of the visible image, levels and detail apart.

    The change of an area is the median over the cells around. The edges of large areas stay sharp in it, so
    that what the interpolation between cells makes of them, a halo, is one cell wide; targets that fill less
    than half of the window are no part of it. In the dark the level is what the method makes of it, so that
    people who come near by night do not fade. A method darkens the sky around what is warm, which is a dark
    halo where it is narrower than an area; by day the shade is less, by night it makes people seen, and over
    what is clipped nothing else does.

    Args:
        fused: fused luma, (H, W) float32 in [0, 1], in C order, or a part of such; the result is written to
            it.
        vi: luma of the visible image, of the same shape and range.
        emphasis: the factors.

    Returns:
        ``fused``, clipped to [0, 1].
    """
    import cv2

    level, detail, shade = emphasis
    if level == detail == shade == 1 or not fused.size:
        return fused
    height, width = fused.shape
    cell = max(1.0, max(height, width) / GRID)
    cells = max(1, round(height / cell)), max(1, round(width / cell))
    light = resize_to(vi, *cells)
    change = resize_to(fused, *cells) - light
    area = np.asarray(cv2.medianBlur(change, WINDOW), np.float32)
    halo = np.minimum(change - area, 0)
    halo *= _rise(np.asarray(cv2.blur(light, (SURROUNDINGS, SURROUNDINGS)), np.float32), NIGHT, DAY)
    halo *= 1 - _rise(light, WHITE, CLIPPED)
    area *= 1 - np.float32(detail) + _rise(light, 0, DARK) * np.float32(level - 1)
    area += halo * np.float32((shade - 1) * detail)
    cv2.addWeighted(fused, detail, vi, 1 - detail, 0, dst=fused)
    add_enlarged(fused, area)
    return np.clip(fused, 0, 1, out=fused)


def _rise(values: Gray, start: float, end: float) -> Gray:
    """From 0 at the start to 1 at the end, linearly."""
    share: Gray = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    return share
