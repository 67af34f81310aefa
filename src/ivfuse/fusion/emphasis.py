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

GRID = 80  # cells along the longer side; areas are told from detail at this resolution
WINDOW = 5  # cells; what fills less than half of such a square is detail
DARK = 0.25  # luma; a visible image that is darker has less and less of a level that is worth keeping
SURROUNDINGS = 11  # cells; side of the square whose mean luma tells day from lit windows by night


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
    "natural": Emphasis(0.4, 1.0, shade=0.3),
    "detail": Emphasis(0.6, 1.5),
    "targets": Emphasis(1.1, 1.5),
    "none": Emphasis(1.0, 1.0),
}


def emphasize(fused: Gray, vi: Gray, emphasis: Emphasis) -> Gray:
    """Scale what a method changed of the visible image, levels and detail apart.

    The change of an area is the median over the cells around. The edges of large areas stay sharp in it, so
    that what the interpolation between cells makes of them, a halo, is one cell wide; targets that fill less
    than half of the window are no part of it. In the dark the level is what the method makes of it, so that
    people who come near by night do not fade. A method darkens the sky around what is warm, which is a dark
    halo where it is narrower than an area; by day the shade is less, by night it makes people seen.

    Args:
        fused: fused luma, (H, W) float32 in [0, 1], in C order; the result is written to it.
        vi: luma of the visible image, of the same shape and range.
        emphasis: the factors.

    Returns:
        ``fused``, clipped to [0, 1].
    """
    import cv2

    level, detail, shade = emphasis
    if level == detail == shade == 1:
        return fused
    height, width = fused.shape
    cell = max(1.0, max(height, width) / GRID)
    cells = max(1, round(height / cell)), max(1, round(width / cell))
    light = resize_to(vi, *cells)
    change = resize_to(fused, *cells) - light
    area = np.asarray(cv2.medianBlur(change, WINDOW), np.float32)
    halo = np.minimum(change - area, 0)
    halo *= np.clip(cv2.blur(light, (SURROUNDINGS, SURROUNDINGS)) / np.float32(DARK) - 1, 0, 1)
    light = np.clip(light / np.float32(DARK), 0, 1)
    area *= 1 - np.float32(detail) + light * np.float32(level - 1)
    area += halo * np.float32((shade - 1) * detail)
    cv2.addWeighted(fused, detail, vi, 1 - detail, 0, dst=fused)
    add_enlarged(fused, area)
    return np.clip(fused, 0, 1, out=fused)
