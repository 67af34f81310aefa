"""Top-K channel alignment: the patches of another set that look most like the target's, made to look more so.

Shi et al. 2025, "Cross-Sensor Top-K Vision Alignment": cut both sets into patches, keep the K external ones
whose color channels are nearest the target's, and give each channel the gamma that brings it to the target.
Thermal patches follow their visible ones unchanged. Needs no torch; all of it works on 256-bin histograms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.training.scenes import Bytes, Scene

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats], Floats]
GAMMAS = ("set", "cluster", "none")
LEVELS = np.arange(256.0)


@dataclass(frozen=True)
class Options:
    """How to align.

    Attributes:
        k: patches to keep; None keeps all.
        patch, stride: side of the patches and of their grid from the top left corner, in pixels.
        distance: a key of :data:`DISTANCES`.
        gamma: one exponent per channel for the whole ``set``; for each ``cluster`` of the target's patches,
            so that dark and bright scenes have each their own; or ``none``, which only selects.
        clusters: how many, for ``cluster``.
        bounds: smallest and largest gamma.
        truncate: cut corrected levels off, as the release does, instead of rounding them.

    Raises:
        UsageError, UnknownNameError: a value out of range.
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
        """Check everything."""
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
    """What external patches should look like.

    Attributes:
        histograms: (groups, 3, 256), each channel's shares of the 256 levels; one group unless clustered.
        patches: (groups,), how many patches each was measured on.
    """

    histograms: Floats
    patches: NDArray[np.int64]


@dataclass(frozen=True)
class Patch:
    """One external patch.

    Attributes:
        source: the name of its pair.
        top, left: its place there, in pixels.
        distance: to the nearest group of the target.
        group: which one that is.
        ir, vi: (P, P) and (P, P, 3), as in the files.
    """

    source: str
    top: int
    left: int
    distance: float
    group: int
    ir: Bytes
    vi: Bytes


@dataclass(frozen=True)
class Aligned:
    """The patches that were kept, and how to correct them.

    Attributes:
        options: as given.
        target: as given.
        patches: nearest first.
        candidates: how many patches there were.
        gammas: (groups, 3), of R, G, B; 1 where a group has no patch.
    """

    options: Options
    target: Target
    patches: list[Patch]
    candidates: int
    gammas: Floats

    def corrected(self, patch: Patch) -> Bytes:
        """The patch's visible image after its gamma, (P, P, 3)."""
        tables = [gamma_table(gamma, truncate=self.options.truncate) for gamma in self.gammas[patch.group]]
        return np.stack([table[patch.vi[..., c]] for c, table in enumerate(tables)], axis=-1)


# ------------------------------------------------------------------ distances between histograms


def mean_distance(a: Floats, b: Floats) -> Floats:
    """Difference of the means, in levels (the paper); the last axis holds the 256 shares."""
    difference: Floats = np.abs(a @ LEVELS - b @ LEVELS)
    return difference


def wasserstein(a: Floats, b: Floats) -> Floats:
    """Wasserstein-1: how many levels the mass of one has to be moved on average to become the other."""
    total: Floats = np.abs(np.cumsum(a - b, axis=-1)).sum(-1)
    return total


def chi2(a: Floats, b: Floats) -> Floats:
    """Half the chi-squared distance: 0 for equal ones, 1 for such that share no level."""
    whole = a + b
    total: Floats = 0.5 * ((a - b) ** 2 / np.where(whole > 0, whole, 1)).sum(-1)
    return total


DISTANCES: dict[str, Distance] = {"mean": mean_distance, "wasserstein": wasserstein, "chi2": chi2}


# ------------------------------------------------------------------ the steps


def measure_target(scenes: Iterable[Scene], options: Options) -> Target:
    """The statistics of a training set's patches (never of images that are judged on).

    Raises:
        InputError: no image is as large as a patch.
    """
    parts = [patch_histograms(scene.vi, options)[1] for scene in scenes]
    histograms = np.concatenate(parts) if parts else np.zeros((0, 3, 256))
    if not len(histograms):
        raise InputError(f"target: no image holds a patch of {options.patch}x{options.patch} pixels")
    clusters = options.clusters if options.gamma == "cluster" else 1
    labels = k_means(histograms @ LEVELS, clusters)
    groups = [histograms[labels == group] for group in range(labels.max() + 1)]
    return Target(np.stack([group.mean(0) for group in groups]), np.array([len(group) for group in groups]))


def align(scenes: Iterable[Scene], target: Target, options: Options) -> Aligned:
    """Select the external patches nearest the target and find the gammas that bring them nearer.

    Scenes are read one at a time, and only patches that may be kept stay in memory.

    Raises:
        InputError: no image is as large as a patch.
    """
    kept: list[Patch] = []
    candidates = 0
    for scene in scenes:
        places, histograms = patch_histograms(scene.vi, options)
        candidates += len(places)
        kept += _near_patches(scene, places, histograms, target, options)
        kept.sort(key=lambda patch: patch.distance)  # stable: equal ones stay in the order of reading
        del kept[options.k or len(kept) :]
    if not kept:
        raise InputError(f"external: no image holds a patch of {options.patch}x{options.patch} pixels")
    return Aligned(options, target, kept, candidates, _gammas(kept, target, options))


def patch_histograms(vi: Bytes, options: Options) -> tuple[list[tuple[int, int]], Floats]:
    """Places (top, left) of an image's patches, and their histograms, (patches, 3, 256) shares."""
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
    scene: Scene, places: list[tuple[int, int]], histograms: Floats, target: Target, options: Options
) -> Iterator[Patch]:
    """The patches of a scene, with their nearest group; of more than k, the nearest k."""
    measure = DISTANCES[options.distance]
    groups = target.histograms
    distances = np.stack([measure(histograms, group).sum(-1) for group in groups], axis=-1)
    nearest = distances.min(-1) if len(places) else np.zeros(0)
    size = options.patch
    for index in np.argsort(nearest, kind="stable")[: options.k]:
        top, left = places[index]
        window = (slice(top, top + size), slice(left, left + size))
        group = int(distances[index].argmin())
        ir, vi = scene.ir[window].copy(), scene.vi[window].copy()
        yield Patch(scene.name, top, left, float(nearest[index]), group, ir, vi)


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


def pooled_histogram(images: Iterable[Bytes]) -> Floats:
    """Each channel's shares of the 256 levels over (P, P, 3) images: (3, 256)."""
    counts = sum(
        np.stack([np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)]) for image in images
    )
    counts = np.asarray(counts, np.float64)
    out: Floats = counts / counts.sum(-1, keepdims=True)
    return out


# ------------------------------------------------------------------ gamma


def gamma_table(gamma: float, *, truncate: bool = False) -> Bytes:
    """The 256 levels after 255 (x / 255)^(1 / gamma), rounded or truncated."""
    values = _powers(gamma)
    return (np.floor(values) if truncate else np.rint(values)).astype(np.uint8)


def solve_gamma(histogram: Floats, target: Floats, options: Options) -> float:
    """The gamma within the bounds that brings one channel nearest the target's.

    For ``mean`` the mean grows with gamma: bisection. For the others: the best of a grid, refined by golden
    section. Both find the same value on every machine.

    Args:
        histogram, target: (256,) shares.
        options: distance, bounds, and whether levels are truncated.

    Returns:
        The gamma; 1 where no gamma changes anything (levels 0 and 255 alone).
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
        return float(measure(_moved(histogram, levels), target))

    return _least(cost, low, high)


def _powers(gamma: float) -> Floats:
    out: Floats = 255 * (LEVELS / 255) ** (1 / gamma)
    return out


def _moved(histogram: Floats, levels: NDArray[Any]) -> Floats:
    """A histogram whose levels became others; a level between two bins is shared by them."""
    below = np.floor(levels).astype(np.int64)
    above = np.minimum(below + 1, 255)
    share = levels - below
    out = np.zeros(256)
    np.add.at(out, below, histogram * (1 - share))
    np.add.at(out, above, histogram * share)
    return out


def _bisect(rising: Callable[[float], float], low: float, high: float) -> float:
    """exp of where a rising function crosses 0, or of the bound that is nearer to it."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def _least(cost: Callable[[float], float], low: float, high: float) -> float:
    """exp of the argument with the least cost."""
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
    """Cluster labels of (N, D) points, 0 to at most ``count - 1``; the same on every run.

    Begins with the point nearest the mean and then, each time, the point furthest from all before (Gonzalez
    1985); no label is left out.
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
