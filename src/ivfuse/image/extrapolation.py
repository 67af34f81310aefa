"""Continue an image smoothly beyond the area in which it has values.

Networks and pyramids look at the surroundings of a pixel. Whatever stands where a thermal image has ended,
be it black or the visible image, is an edge to them, which they fuse into a dark or bright frame.

Source: pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4). Means of what is known are
taken on coarser and coarser levels, and each is filled from the next coarser one where it knows nothing.
"""

from __future__ import annotations

import numpy as np

from ivfuse.image.arrays import Gray, strips
from ivfuse.image.color import resize_to

KNOWN = np.float32(8)  # a value counts in full from a weight of one over this
TRUST = np.float32(4)  # and a mean from one over this of its pixels
FINEST = 256  # longest side of the finest level; nothing finer is known beyond a border
LEAST = np.float32(1e-6)


def extrapolate(values: Gray, weight: Gray) -> Gray:
    """Replace values by a smooth continuation of the others where they have no weight.

    Args:
        values: (H, W) float32.
        weight: of each value, (H, W) float32 in [0, 1]: from 1/8 it is kept, at 0 replaced, between blended.

    Returns:
        (H, W) float32, a new array; all zeros if no value has weight.
    """
    height, width = values.shape
    step = max(height, width) // (4 * FINEST) + 1  # of a large image some pixels are enough
    known, trust = values[::step, ::step], np.minimum(weight[::step, ::step] * KNOWN, 1)
    scale = min(1.0, FINEST / max(known.shape))
    shape = max(1, round(known.shape[0] * scale)), max(1, round(known.shape[1] * scale))
    out = resize_to(_filled(*_means(known, trust, shape)), height, width, bounded=False)
    for rows in strips(height, width):
        share = np.minimum(weight[rows] * KNOWN, 1)
        out[rows] *= 1 - share
        out[rows] += share * values[rows]
    return out


def _filled(values: Gray, trust: Gray) -> Gray:
    """Values where they are trusted, else those of the next coarser level."""
    height, width = values.shape
    trust = np.minimum(trust * TRUST, 1)
    if trust.min() >= 1:
        return values
    if height == width == 1:
        return values * (trust > 0)
    coarser = _filled(*_means(values, trust, (-(-height // 2), -(-width // 2))))
    out = resize_to(coarser, height, width, bounded=False)
    out += trust * (values - out)
    return out


def _means(values: Gray, weight: Gray, shape: tuple[int, int]) -> tuple[Gray, Gray]:
    """Weighted means over the pixels of a smaller image of (height, width), and the means of the weight."""
    weights, means = (resize_to(each, *shape, bounded=False) for each in (weight, values * weight))
    means /= np.maximum(weights, LEAST)
    return means, weights
