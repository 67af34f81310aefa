"""Batches for learning to see: crops with their warm targets, as they are and as a camera may see them.

All images lie on the training's device as bytes, so that a batch is one gather; with crops drawn on the CPU a
fast accelerator would wait. Every batch is a function of (seed, stage, step) alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ivfuse.image.arrays import Levels, to_levels
from ivfuse.image.color import luma
from ivfuse.metrics.targets import find_targets
from ivfuse.synthetic.scenery.setting import Time
from ivfuse.synthetic.street import street_scene
from ivfuse.training.batch_weather import WEATHERS, Dice, smoothed, thermal_faults
from ivfuse.training.pairs import PairImages, Sets
from ivfuse.training.recipe import Augment, See

MOST = 12  # targets of a picture
RING = 100  # what is added to a target's number in its ring
STRETCH = 1.7  # the most that a picture is enlarged


@dataclass(frozen=True)
class Views:
    """A batch, (B, 1, S, S) each.

    Attributes:
        ir, vi: the sources as they are seen, float32 in [0, 1].
        clean_ir, clean_vi: what the losses are about: the same without faults, and with as much of the
            weather's level as nobody could take away.
        regions: uint8; 1 to 12 in a warm target, 101 to 112 in its ring, 0 elsewhere.
    """

    ir: Tensor
    vi: Tensor
    clean_ir: Tensor
    clean_vi: Tensor
    regions: Tensor

    def to(self, device: torch.device) -> Views:
        """The same there."""
        return Views(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True)
class _Shelf:
    """Pictures of one set in all their sizes, end to end: (3, pixels) bytes and where each begins."""

    planes: Tensor
    offsets: NDArray[np.int64]
    shapes: NDArray[np.int64]
    share: float


class ViewSampler:
    """Random crops of random pairs, some of them seen through weather.

    Args:
        sets: weighted sets of pairs.
        how: sizes, weather and faults.
        crop: side of the crops.
        batch: crops in a batch, over all ranks.
        seed: two integers (the recipe's seed, the stage).
        augment: random changes of exposure and range, which the losses see too: another setting of the
            camera, not a fault.
        device: where batches are drawn.
    """

    def __init__(
        self,
        sets: Sets,
        how: See,
        *,
        crop: int,
        batch: int,
        seed: tuple[int, int],
        augment: Augment,
        device: torch.device,
    ) -> None:
        """Bring all images to the device, in all sizes."""
        self.how, self.crop, self.batch, self.seed = how, crop, batch, seed
        self.augment, self.device = augment, device
        if how.streets:
            sets = [*sets, (how.streets_weight, _streets(how.streets))]
        total = sum(weight for weight, _ in sets)
        self.shelves = [_shelf(pairs, weight / total, how.sides, crop, device) for weight, pairs in sets]

    def draw(self, step: int, rank: int = 0, world: int = 1) -> tuple[Views]:
        """The batch of ``step``, a function of it, the rank and the seed alone."""
        rng = np.random.default_rng((*self.seed, step, rank))
        count = self.batch // world
        planes, height = self._crops(rng, count)
        ir, vi = planes[:, :1].float() / 255, planes[:, 1:2].float() / 255
        dice = Dice(int(rng.integers(2**62)), self.device)
        clean_ir, clean_vi = self._settings(ir, dice), self._settings(vi, dice)
        seen_vi, goal_vi = self._weather(clean_vi, height, dice, rng)
        seen_ir = thermal_faults(clean_ir, dice, self.how.thermal)
        return (Views(seen_ir, seen_vi, clean_ir, goal_vi, planes[:, 2:]),)

    def _crops(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) bytes of infrared, visible and regions, and each row's height in its picture."""
        size = self.crop
        shelves = rng.choice(len(self.shelves), count, p=[shelf.share for shelf in self.shelves])
        crops, heights = [], []
        for number in sorted(set(shelves.tolist())):
            shelf, some = self.shelves[number], int((shelves == number).sum())
            which = rng.integers(len(shelf.offsets), size=some)
            h, w = shelf.shapes[which].T
            top, left = rng.integers(np.maximum(h - size, 0) + 1), rng.integers(np.maximum(w - size, 0) + 1)
            rows = _mirrored(top[:, None] + np.arange(size), h[:, None])
            columns = _mirrored(left[:, None] + np.arange(size), w[:, None])
            if self.augment.flip:
                turned = rng.random(some) < 0.5
                columns[turned] = columns[turned, ::-1]
            start = (shelf.offsets[which][:, None] + rows * w[:, None])[:, :, None] + columns[:, None, :]
            crops.append(shelf.planes[:, torch.from_numpy(start).to(self.device)].transpose(0, 1))
            heights.append(torch.from_numpy((rows / h[:, None]).astype(np.float32)))
        return torch.cat(crops), torch.cat(heights).to(self.device)[:, None, :, None]

    def _settings(self, x: Tensor, dice: Dice) -> Tensor:
        how, count = self.augment, len(x)
        if how.exposure:
            gamma = dice.chance(count, how.chance) * dice.uniform(count, -1, 1)
            x = x.clamp(min=1e-4) ** ((1 + how.exposure) ** gamma)
        if how.gain:
            lost = dice.chance(count, how.chance) * dice.uniform(count, 0, how.gain)
            x = x * (1 - lost) + lost * dice.uniform(count, 0, 1)
        return x

    def _weather(
        self, vi: Tensor, height: Tensor, dice: Dice, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """The visible through weather, one kind for each that has some, and what to ask for instead."""
        names = [*self.how.weather]
        shares = np.array([*self.how.weather.values()])
        kinds = rng.choice(len(names) + 1, len(vi), p=[*shares, max(0.0, 1 - shares.sum())])
        seen, goal = vi.clone(), vi.clone()
        for number, name in enumerate(names):
            where = torch.from_numpy(np.flatnonzero(kinds == number)).to(self.device)
            if len(where):
                weather = WEATHERS[name]
                seen[where] = weather.apply(vi[where], height[where], dice)
                knowable = self.how.knowable.get(name, weather.knowable)
                goal[where] = _asked_for(vi[where], seen[where], knowable)
        return seen, goal


def _asked_for(vi: Tensor, seen: Tensor, knowable: float) -> Tensor:
    """The detail of ``vi`` on a level between its own and that of what is seen."""
    if knowable == 1:
        return vi
    if knowable == 0:  # another exposure, less its grain
        return smoothed(seen, torch.full_like(seen[:, :1, :1, :1], 0.7)).clamp(0, 1)
    wide = torch.full_like(seen[:, :1, :1, :1], 12.0)
    return (vi + (1 - knowable) * smoothed(seen - vi, wide)).clamp(0, 1)


def _mirrored(index: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices beyond the end come back."""
    index = index % (2 * length)
    return np.asarray(np.minimum(index, 2 * length - 1 - index), np.int64)


def _shelf(
    pairs: list[PairImages], share: float, sides: list[int], crop: int, device: torch.device
) -> _Shelf:
    held = [planes for pair in pairs for planes in in_all_sizes(pair, sides, crop)]
    sizes = np.array([planes[0].size for planes in held], np.int64)
    shapes = np.array([planes.shape[1:] for planes in held], np.int64)
    together = np.concatenate([planes.reshape(3, -1) for planes in held], 1)
    return _Shelf(torch.from_numpy(together).to(device), np.cumsum(sizes) - sizes, shapes, share)


def in_all_sizes(pair: PairImages, sides: list[int], crop: int) -> list[Levels]:
    """Infrared, visible and regions of a pair, (3, h, w), in every size that suits it."""
    regions = regions_of(pair.ir)
    held = []
    for height, width in _sizes(pair.ir.shape, sides, crop):
        sources = [_resized(x, height, width) for x in (pair.ir, pair.vi)]
        held.append(
            np.stack((*sources, cv2.resize(regions, (width, height), interpolation=cv2.INTER_NEAREST)))
        )
    return held


def _sizes(shape: tuple[int, ...], sides: list[int], crop: int) -> list[tuple[int, int]]:
    """The sizes that a picture is held in: as it is if no side suits it."""
    short = min(shape)
    factors = [side / short for side in sides if crop <= side <= STRETCH * short] or [max(1.0, crop / short)]
    return [(round(shape[0] * factor), round(shape[1] * factor)) for factor in factors]


def _resized(x: Levels, height: int, width: int) -> Levels:
    method = cv2.INTER_AREA if height < x.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(x, (width, height), interpolation=method), np.uint8)


def regions_of(ir: Levels) -> Levels:
    """Numbers of the warm targets and of their rings, (H, W), as in :class:`Views`.

    Where rings meet, the smaller target has the pixel: its ring is the smaller one too.
    """
    regions = np.zeros(ir.shape, np.uint8)
    found = sorted(enumerate(find_targets(ir).targets[:MOST], 1), key=lambda each: -each[1].area)
    for number, target in found:
        place = _place(regions, target.top, target.left, target.ring.shape)
        place[target.ring] = RING + number
    for number, target in found:
        place = _place(regions, target.top, target.left, target.mask.shape)
        place[target.mask] = number
    return regions


def _place(regions: Levels, top: int, left: int, shape: tuple[int, ...]) -> Levels:
    return regions[top : top + shape[0], left : left + shape[1]]


def _streets(count: int) -> list[PairImages]:
    """Synthetic streets, half of them by night."""
    return [street(seed) for seed in range(count)]


def street(seed: int) -> PairImages:
    """One of them."""
    times: tuple[Time, ...] = ("night", "day", "night", "dusk")
    scene = street_scene(360, 480, seed=10_000 + seed, time=times[seed % 4])
    return PairImages(f"street-{seed}", to_levels(scene.ir), to_levels(luma(scene.vi)))
