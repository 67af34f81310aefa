"""Targets and naturalness as metrics: what is seen in a fused image, not how alike it is to its sources.

The measures are functions on arrays in ``targets`` and ``naturalness``; here their work is shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from ivfuse.metrics import naturalness
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.naturalness import ColorChange
from ivfuse.metrics.registry import metric
from ivfuse.metrics.targets import (
    TargetContrast,
    Targets,
    TargetShares,
    find_targets,
    measure_targets,
    target_shares,
)
from ivfuse.metrics.triple import CachedImage, Gray, Levels, Sources, Triple, shared

TARGETS = "This project: docs/metrics.md, Targets"
NATURALNESS = "This project: docs/metrics.md, Naturalness"

Share = Literal["kept", "seen", "lost", "bright"]


@shared
def targets_of(sources: Sources) -> Targets:
    """Return the targets of a pair's infrared."""
    return find_targets(sources.ir.levels)


@shared
def contrasts(triple: Triple) -> tuple[TargetContrast, ...]:
    """Return how each target shows in the fused image."""
    return measure_targets(targets_of(triple.sources), triple.vi.levels, triple.fused.levels)


@shared
def _shares(triple: Triple, hidden: bool) -> TargetShares:
    return target_shares(contrasts(triple), hidden=hidden)


def _count(hidden: bool) -> Callable[[Triple], int]:
    return lambda triple: _shares(triple, hidden).count


def _share(share: Share, higher: bool, text: str) -> None:
    """Register a share of all targets and the same share of those that the visible hides."""
    for hidden in (False, True):

        def function(triple: Triple, hidden: bool = hidden) -> float:
            found = _shares(triple, hidden)
            if not found.count:
                raise Undefined(targets_of(triple.sources).reason or "the visible hides no target")
            return float(getattr(found, share))

        which = "warm targets that the visible hides" if hidden else "warm targets of the infrared"
        function.__doc__ = f"Share of the {which} that are {text}"
        metric(
            f"{'hidden' if hidden else 'targets'}_{share}",
            higher_is_better=higher,
            range=(0.0, 1.0),
            needs="sources",
            source=TARGETS,
            family="targets",
            count=_count(hidden),
        )(function)


_share(
    "lost",
    False,
    "lost: not to be told from their ring (0.35 < AUC < 0.65).\n\n"
    "AUC is the probability that a pixel of the target is brighter than one of its surroundings; contrast"
    "\nstretching does not change it. The value of a set is over its targets, not a mean of images.",
)
_share(
    "seen",
    True,
    "seen: told from their ring (AUC at least 0.8, or at most 0.2).\n\n"
    "A target may be darker than its surroundings and be seen. Read it beside naturalness: painting targets"
    "\nwhite over anything reaches 1.",
)
_share(
    "kept",
    True,
    "kept: at least half the contrast to their ring that can be asked for.\n\n"
    "That is the infrared's, as far as a target can rise above a ring as bright as the visible's. Contrast"
    "\nstretching raises it.",
)
_share(
    "bright",
    True,
    "brighter than their ring.\n\nWhat is darker may be seen too, yet a reader expects warm to be bright.",
)


@shared
def _tones(image: CachedImage) -> Gray:
    return naturalness.low_frequencies(image.levels)


@shared
def _deviation(image: CachedImage) -> Gray:
    return naturalness.local_deviation(image.levels)


@shared
def _color_change(triple: Triple) -> ColorChange:
    before, after = triple.sources.color, triple.color
    if before is None:
        raise Undefined("the visible is gray: it has no color that could change")
    if after is None:
        raise Undefined("the fused image is gray: its colors cannot be compared")
    return naturalness.color_change(after, before)


@metric(
    "tone_correlation",
    higher_is_better=True,
    range=(-1.0, 1.0),
    needs="sources",
    source=NATURALNESS,
    family="naturalness",
)
def tone_correlation(triple: Triple) -> float:
    """Correlation (r) of the low frequencies of fused and visible luma by daylight.

    Low frequencies are those left by a Gaussian of 2 % of the width. A white sky that turns gray, a dark road
    that turns bright lower it. It has no value where the visible's mean is below 70: by night the thermal may
    be the only tone there is.
    """
    naturalness.check_daylight(triple.vi.levels)
    return naturalness.correlation_of_tones(_tones(triple.fused), _tones(triple.vi))


@metric(
    "tone_distance",
    higher_is_better=False,
    range=(0.0, 255.0),
    needs="sources",
    source=NATURALNESS,
    family="naturalness",
)
def tone_distance(triple: Triple) -> float:
    """Mean distance (d) of the low frequencies of fused and visible luma by daylight, in levels.

    The same low frequencies as tone_correlation, which does not see an image that is brighter or flatter as a
    whole; this does.
    """
    naturalness.check_daylight(triple.vi.levels)
    return naturalness.distance_of_tones(_tones(triple.fused), _tones(triple.vi))


@metric(
    "hue_change",
    higher_is_better=False,
    range=(0.0, 180.0),
    needs="color",
    source=NATURALNESS,
    family="naturalness",
)
def hue_change(triple: Triple) -> float:
    """Mean change of hue of the visible's colors, in degrees.

    Over the pixels whose CIELAB chroma is at least 8 in the visible, weighted with the root of both chromas.
    It needs visible and fused image in color.
    """
    hue = _color_change(triple).hue
    if math.isnan(hue):
        raise Undefined("the fused image has no color where the visible has one")
    return hue


@metric(
    "saturation_change",
    higher_is_better=False,
    range=(0.0, 1.0),
    needs="color",
    source=NATURALNESS,
    family="naturalness",
)
def saturation_change(triple: Triple) -> float:
    """Mean change of saturation of the visible's colors: a red car that turns pink or gray.

    Saturation is chroma over root(chroma^2 + lightness^2) in CIELAB. Over the pixels whose chroma is at least
    8 in the visible. It needs visible and fused image in color.
    """
    return _color_change(triple).saturation


@metric(
    "clipped",
    higher_is_better=False,
    range=(0.0, 1.0),
    needs="fused",
    source=NATURALNESS,
    family="naturalness",
)
def clipped(triple: Triple) -> float:
    """Share of pixels of the fused luma at level 0 or 255, where detail may be lost.

    Sources may be clipped themselves: compare with theirs.
    """
    return naturalness.clipped(triple.fused.levels)


@metric(
    "overshoot",
    higher_is_better=False,
    range=(0.0, 1.0),
    needs="sources",
    source=NATURALNESS,
    family="naturalness",
)
def overshoot(triple: Triple) -> float:
    """Share of pixels more than 10 levels outside the range of both sources within 5 pixels: halos.

    The range is from the least to the greatest level of both sources in 11x11 pixels. An image that lies
    between its sources everywhere has 0.
    """
    least, greatest = _range(triple.sources)
    return naturalness.share_outside(triple.fused.levels, least, greatest)


@metric(
    "local_contrast",
    higher_is_better=True,
    range=(0.0, math.inf),
    needs="sources",
    source=NATURALNESS,
    family="naturalness",
)
def local_contrast(triple: Triple) -> float:
    """Local contrast of the fused image over that of the source that has more of it.

    The sum over all pixels of the standard deviation in 9x9 pixels, over the sum of the larger of both
    sources'. About 1 keeps all; much more than 1 is contrast that was invented, or noise.
    """
    return naturalness.contrast_ratio(_deviation(triple.fused), _larger_deviation(triple.sources))


@shared
def _range(sources: Sources) -> tuple[Levels, Levels]:
    return naturalness.source_range(sources.ir.levels, sources.vi.levels)


@shared
def _larger_deviation(sources: Sources) -> Gray:
    return np.asarray(np.maximum(_deviation(sources.ir), _deviation(sources.vi)), np.float64)
