"""Top-K channel alignment: selection and color correction of external patches that resemble a target set.

Both sets are divided into patches. The K external patches whose color channels are nearest to those of the
target are kept, and each channel is corrected by the gamma that brings it nearest to the target. Thermal
patches are kept unchanged with their visible patches. All steps use 256-bin histograms and need no torch.

Source: Shi et al. 2025, "Cross-Sensor Top-K Vision Alignment".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.image.arrays import Levels
from ivfuse.training.color_pairs import ColorPair

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats], Floats]
GAMMAS = ("set", "cluster", "none")
LEVELS = np.arange(256.0)


@dataclass(frozen=True)
class Options:
    """Options of the channel alignment.

    Attributes:
        k: number of patches to keep; ``None`` keeps all.
        patch: side of the patches, in pixels.
        stride: distance between patches in a grid from the top left corner, in pixels.
        distance: a key of :data:`DISTANCES`.
        gamma: ``set`` for one exponent per channel; ``cluster`` for one per channel and cluster of target
            patches, so that dark and bright scenes are corrected separately; ``none`` to select only.
        clusters: number of clusters if ``gamma`` is ``cluster``.
        bounds: smallest and largest gamma.
        truncate: whether corrected levels are truncated, as in the release, instead of rounded.

    Raises:
        UsageError: if a number is out of range.
        UnknownNameError: if ``distance`` or ``gamma`` is unknown.
    """

    k: int | None = 1000
    patch: int = 64
    stride: int = 200
    distance: str = "mean"
    gamma: Literal["set", "cluster", "none"] = "set"
    clusters: int = 4
    bounds: tuple[float, float] = (0.2, 5.0)
    truncate: bool = False

    def __post_init__(self) -> None:
        """Validate the options."""
        for name in ("patch", "stride", "clusters", "k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name}: found {value}, expected 1 or more")
        if self.distance not in DISTANCES:
            raise UnknownNameError("distance", self.distance, DISTANCES)
        if self.gamma not in GAMMAS:
            raise UnknownNameError("gamma", self.gamma, GAMMAS)
        low, high = self.bounds
        if not 0 < low <= 1 <= high < float("inf"):
            raise UsageError(f"bounds: found {low:g} to {high:g}, expected 0 < low <= 1 <= high")


@dataclass(frozen=True)
class Target:
    """Color statistics of the target set.

    Attributes:
        histograms: (groups, 3, 256) normalized channel histograms; one group unless clustered.
        patches: (groups,) number of patches in each group.
    """

    histograms: Floats
    patches: NDArray[np.int64]


@dataclass(frozen=True)
class Patch:
    """One external patch.

    Attributes:
        source: name of its pair.
        top: first row in the image.
        left: first column in the image.
        distance: distance to the nearest group of the target.
        group: index of that group.
        ir: thermal patch, (P, P) uint8.
        vi: visible patch before the correction, (P, P, 3) uint8.
    """

    source: str
    top: int
    left: int
    distance: float
    group: int
    ir: Levels
    vi: Levels


@dataclass(frozen=True)
class Aligned:
    """The selected patches and their correction.

    Attributes:
        options: options of the alignment.
        target: statistics of the target set.
        patches: selected patches, nearest first.
        candidates: number of patches before the selection.
        gammas: (groups, 3) gamma of R, G and B; 1 for a group without patches.
    """

    options: Options
    target: Target
    patches: list[Patch]
    candidates: int
    gammas: Floats

    def corrected(self, patch: Patch) -> Levels:
        """Apply the gamma of its group to the visible image of a patch, (P, P, 3)."""
        tables = [gamma_table(gamma, truncate=self.options.truncate) for gamma in self.gammas[patch.group]]
        return np.stack([table[patch.vi[..., c]] for c, table in enumerate(tables)], axis=-1)


# ------------------------------------------------------------------ distances between histograms


def mean_distance(a: Floats, b: Floats) -> Floats:
    """Absolute difference of the means in levels, as in the paper; the last axis is the histogram."""
    difference: Floats = np.abs(a @ LEVELS - b @ LEVELS)
    return difference


def wasserstein(a: Floats, b: Floats) -> Floats:
    """Wasserstein-1 distance in levels; the last axis is the histogram."""
    total: Floats = np.abs(np.cumsum(a - b, axis=-1)).sum(-1)
    return total


def chi2(a: Floats, b: Floats) -> Floats:
    """Half the chi-squared distance, 0 for equal and 1 for disjoint histograms, along the last axis."""
    whole = a + b
    total: Floats = 0.5 * ((a - b) ** 2 / np.where(whole > 0, whole, 1)).sum(-1)
    return total


DISTANCES: dict[str, Distance] = {"mean": mean_distance, "wasserstein": wasserstein, "chi2": chi2}


# ------------------------------------------------------------------ the steps


def measure_target(pairs: Iterable[ColorPair], options: Options) -> Target:
    """Compute the color statistics of the patches of a training set; never use images of an evaluation set.

    Raises:
        InputError: if no image is as large as a patch.
    """
    parts = [patch_histograms(pair.vi, options)[1] for pair in pairs]
    histograms = np.concatenate(parts) if parts else np.zeros((0, 3, 256))
    if not len(histograms):
        raise InputError(f"target: no image is as large as a patch of {options.patch}x{options.patch} pixels")
    clusters = options.clusters if options.gamma == "cluster" else 1
    labels = k_means(histograms @ LEVELS, clusters)
    groups = [histograms[labels == group] for group in range(labels.max() + 1)]
    return Target(np.stack([group.mean(0) for group in groups]), np.array([len(group) for group in groups]))


def align(pairs: Iterable[ColorPair], target: Target, options: Options) -> Aligned:
    """Select the external patches nearest to the target and compute the gammas that correct them.

    Scenes are read one at a time, and only the nearest patches so far are kept in memory.

    Raises:
        InputError: if no image is as large as a patch.
    """
    kept: list[Patch] = []
    candidates = 0
    for pair in pairs:
        places, histograms = patch_histograms(pair.vi, options)
        candidates += len(places)
        kept += _near_patches(pair, places, histograms, target, options)
        kept.sort(key=lambda patch: patch.distance)  # stable: ties stay in the order of reading
        del kept[options.k or len(kept) :]
    if not kept:
        side = options.patch
        raise InputError(f"external: no image is as large as a patch of {side}x{side} pixels")
    return Aligned(options, target, kept, candidates, _gammas(kept, target, options))


def patch_histograms(vi: Levels, options: Options) -> tuple[list[tuple[int, int]], Floats]:
    """Compute positions (top, left) and normalized histograms (patches, 3, 256) of an image's patches."""
    places = list(_places(vi.shape[0], vi.shape[1], options))
    if not places:
        return [], np.zeros((0, 3, 256))
    size = options.patch
    pixels = np.stack([vi[top : top + size, left : left + size].reshape(-1, 3) for top, left in places])
    offsets = 256 * np.arange(3 * len(places)).reshape(-1, 1, 3)
    counts = np.bincount((pixels + offsets).ravel(), minlength=256 * 3 * len(places))
    return places, counts.reshape(-1, 3, 256) / size**2


def _places(height: int, width: int, options: Options) -> Iterator[tuple[int, int]]:
    for top in range(0, height - options.patch + 1, options.stride):
        for left in range(0, width - options.patch + 1, options.stride):
            yield top, left


def _near_patches(
    pair: ColorPair, places: list[tuple[int, int]], histograms: Floats, target: Target, options: Options
) -> Iterator[Patch]:
    """Yield the patches of a pair, at most the nearest k, with their nearest group."""
    measure = DISTANCES[options.distance]
    groups = target.histograms
    distances = np.stack([measure(histograms, group).sum(-1) for group in groups], axis=-1)
    nearest = distances.min(-1) if len(places) else np.zeros(0)
    size = options.patch
    for index in np.argsort(nearest, kind="stable")[: options.k]:
        top, left = places[index]
        window = (slice(top, top + size), slice(left, left + size))
        group = int(distances[index].argmin())
        ir, vi = pair.ir[window].copy(), pair.vi[window].copy()
        yield Patch(pair.name, top, left, float(nearest[index]), group, ir, vi)


def _gammas(patches: list[Patch], target: Target, options: Options) -> Floats:
    gammas = np.ones((len(target.histograms), 3))
    if options.gamma == "none":
        return gammas
    for group, wanted in enumerate(target.histograms):
        mine = [patch.vi for patch in patches if patch.group == group]
        if mine:
            found = pooled_histogram(mine)
            gammas[group] = [solve_gamma(found[c], wanted[c], options) for c in range(3)]
    return gammas


def pooled_histogram(images: Iterable[Levels]) -> Floats:
    """Compute the normalized channel histograms over several (P, P, 3) images: (3, 256)."""
    counts = sum(
        np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)]) for image in images
    )
    counts = np.asarray(counts, np.float64)
    out: Floats = counts / counts.sum(-1, keepdims=True)
    return out


# ------------------------------------------------------------------ gamma


def gamma_table(gamma: float, *, truncate: bool = False) -> Levels:
    """Compute the lookup table 255 (x / 255)^(1 / gamma) of the 256 levels, rounded or truncated."""
    values = _powers(gamma)
    return (np.floor(values) if truncate else np.rint(values)).astype(np.uint8)


def solve_gamma(histogram: Floats, target: Floats, options: Options) -> float:
    """Find the gamma within the bounds that brings one channel nearest to that of the target.

    For the distance ``mean``, bisection is used, since the mean increases with gamma. For the other
    distances, the best value of a grid is refined by golden-section search. Both are deterministic.

    Args:
        histogram: (256,) normalized histogram of the channel.
        target: (256,) normalized histogram of the target.
        options: options that give the distance, the bounds and whether levels are truncated.

    Returns:
        The gamma; 1 if no gamma has an effect, because only the levels 0 and 255 occur.
    """
    low, high = np.log(options.bounds)
    if not histogram[1:255].any():
        return 1.0
    if options.distance == "mean":
        table = (lambda g: np.floor(_powers(g))) if options.truncate else _powers
        return _bisect(lambda log: float(histogram @ table(np.exp(log)) - target @ LEVELS), low, high)
    measure = DISTANCES[options.distance]

    def cost(log: float) -> float:
        levels = gamma_table(np.exp(log), truncate=True) if options.truncate else _powers(np.exp(log))
        return float(measure(_remap(histogram, levels), target))

    return _minimize(cost, low, high)


def _powers(gamma: float) -> Floats:
    out: Floats = 255 * (LEVELS / 255) ** (1 / gamma)
    return out


def _remap(histogram: Floats, levels: NDArray[Any]) -> Floats:
    """Remap the levels of a histogram; a level between two bins is distributed linearly."""
    below = np.floor(levels).astype(np.int64)
    above = np.minimum(below + 1, 255)
    share = levels - below
    out = np.zeros(256)
    np.add.at(out, below, histogram * (1 - share))
    np.add.at(out, above, histogram * share)
    return out


def _bisect(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return exp of the zero of an increasing function, or of the bound nearest to it."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def _minimize(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return exp of the argument with the lowest cost."""
    grid = np.linspace(low, high, 161)
    best = int(np.argmin([cost(log) for log in grid]))
    a, b = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    ratio = (5**0.5 - 1) / 2
    for _ in range(40):
        c, d = b - ratio * (b - a), a + ratio * (b - a)
        a, b = (a, d) if cost(c) <= cost(d) else (c, b)
    return float(np.exp((a + b) / 2))


# ------------------------------------------------------------------ clusters


def k_means(points: Floats, count: int) -> NDArray[np.int64]:
    """Cluster (N, D) points by k-means; returns labels from 0 to at most ``count - 1`` without gaps.

    The result is deterministic: the first center is the point nearest to the mean, each further one the point
    farthest from all previous centers (Gonzalez 1985).
    """
    centers = points[[np.argmin(((points - points.mean(0)) ** 2).sum(-1))]]
    while len(centers) < count:
        away = ((points[:, None] - centers) ** 2).sum(-1).min(-1)
        if not away.max():
            break
        centers = np.concatenate((centers, points[[away.argmax()]]))
    labels = np.full(len(points), -1, np.int64)
    for _ in range(100):
        found = ((points[:, None] - centers) ** 2).sum(-1).argmin(-1)
        used, found = np.unique(found, return_inverse=True)
        if np.array_equal(found, labels):
            break
        labels = found
        centers = np.stack([points[labels == label].mean(0) for label in range(len(used))])
    return labels
