"""Training pairs in memory and the batches drawn from them.

Every batch is a function of (seed, stage, step) alone, so a resumed training sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.image.arrays import Gray, Levels, to_float, to_levels
from ivfuse.image.color import luma, resize_to
from ivfuse.image.listing import list_images
from ivfuse.image.read import read_visible
from ivfuse.registration.geometry import four_point_homography, image_corners, to_centers
from ivfuse.thermal.read import read_thermal
from ivfuse.training.alignment import Options, align, measure_target
from ivfuse.training.color_pairs import ColorPair, list_pairs, read_color_pairs, spread_evenly, stems_of
from ivfuse.training.recipe import Augment, Data, External, Offset, PairSet, PhotoSet


@dataclass(frozen=True)
class PairImages:
    """One pair as 8-bit luma, (H, W) each."""

    name: str
    ir: Levels
    vi: Levels

    def as_float(self) -> tuple[Gray, Gray]:
        """Both as float32 in [0, 1]."""
        return to_float(self.ir), to_float(self.vi)


Sets = list[tuple[float, list[PairImages]]]


def load_set(root: Path, spec: PairSet, exclude: frozenset[str] = frozenset()) -> list[PairImages]:
    """Read a folder of pairs into memory; thermal images are brought to the visible's grid."""
    out = []
    for pair in list_pairs(root / spec.path, exclude, spec.limit):
        vi = luma(read_visible(pair.vi).pixels)
        if spec.size:
            vi = resize_to(vi, *spec.size[::-1])
        ir = resize_to(read_thermal(pair.ir).pixels, *vi.shape)
        if spec.corners:
            ir = _straightened(ir, spec.corners)
        out.append(PairImages(pair.name, to_levels(ir), to_levels(vi)))
    return out


def _straightened(ir: Gray, corners: Sequence[Offset]) -> Gray:
    """Put the infrared's corners where they belong."""
    height, width = ir.shape
    old = image_corners((width, height))
    matrix = to_centers(four_point_homography(old, old + np.array(corners) * width / 100))
    moved = cv2.warpPerspective(ir, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def load_training(root: Path, data: Data) -> Sets:
    """All training sets with their weights, less the stems that are kept for validation."""
    exclude = stems_of([root / folder for folder in data.exclude_stems_of])
    sets = [(spec.weight, load_set(root, spec, exclude)) for spec in data.train]
    if data.external:
        sets.append((data.external.weight, load_external(root, data, data.external, exclude)))
    return sets


def load_photos(root: Path, data: Data) -> Sets:
    """Sets of photographs as pairs of an image with itself, for stages that look at one of both.

    Raises:
        InputError: a folder that is missing or without images, or a file that cannot be read.
    """
    return [(spec.weight, _load_photo_set(root / spec.path, spec)) for spec in data.photos]


def _load_photo_set(folder: Path, spec: PhotoSet) -> list[PairImages]:
    files = list_images(folder)
    if not files:
        raise InputError(f"{folder}: no images to use")
    out = []
    for file in spread_evenly(files, spec.limit):
        image = to_levels(luma(read_visible(file).pixels))
        out.append(PairImages(file.stem, image, image))
    return out


def load_external(root: Path, data: Data, how: External, exclude: frozenset[str]) -> list[PairImages]:
    """Patches of another set, aligned in color to the training sets and then reduced to luma."""
    names = ("k", "patch", "stride", "distance", "gamma", "clusters", "bounds", "truncate")
    options = Options(**{name: getattr(how, name) for name in names})

    def wanted() -> Iterator[ColorPair]:
        for spec in data.train:
            if not how.target or spec.path in how.target:
                yield from read_color_pairs(list_pairs(root / spec.path, exclude, spec.limit))

    target = measure_target(wanted(), options)
    found = align(read_color_pairs(list_pairs(root / how.path, exclude, how.limit)), target, options)
    return [
        PairImages(f"{p.source}-y{p.top}-x{p.left}", p.ir, to_levels(luma(to_float(found.corrected(p)))))
        for p in found.patches
    ]


class Mixture:
    """Sets of pairs that are drawn from by their weights."""

    def __init__(self, sets: Sets) -> None:
        """``sets``: weights and pairs."""
        weights = np.array([weight for weight, _ in sets])
        self._shares = weights / weights.sum()
        self._sets = [pairs for _, pairs in sets]

    def draw(self, rng: np.random.Generator) -> PairImages:
        """A pair of one of the sets."""
        pairs = self._sets[rng.choice(len(self._sets), p=self._shares)]
        return pairs[rng.integers(len(pairs))]


class Sampler:
    """Random crops of random pairs.

    Args:
        sets: weighted sets of pairs.
        crop: side of the crops; smaller images are mirrored outwards.
        batch: crops in a batch, over all ranks.
        seed: two integers (the recipe's seed, the stage).
        augment: random changes.
        resize: resize the whole image instead of cropping it.
    """

    def __init__(
        self,
        sets: Sets,
        *,
        crop: int,
        batch: int,
        seed: tuple[int, int],
        augment: Augment,
        resize: bool = False,
    ) -> None:
        """Nothing is drawn yet."""
        self.mixture = Mixture(sets)
        self.crop, self.batch, self.seed, self.augment, self.resize = crop, batch, seed, augment, resize

    def draw(self, step: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
        """The batch of ``step``: infrared and visible, (batch / world, 1, crop, crop) float32 in [0, 1]."""
        crops = []
        for index in range(rank, self.batch, world):
            rng = np.random.default_rng((*self.seed, step, index))
            crops.append(self._crop(self.mixture.draw(rng), rng))
        ir, vi = (np.stack(side)[:, None] for side in zip(*crops, strict=True))
        return torch.from_numpy(ir), torch.from_numpy(vi)

    def _crop(self, pair: PairImages, rng: np.random.Generator) -> tuple[Gray, Gray]:
        size = self.crop
        if self.resize:
            both = [cv2.resize(x, (size, size), interpolation=cv2.INTER_AREA) for x in (pair.ir, pair.vi)]
        else:
            h, w = pair.ir.shape
            top, left = rng.integers(max(h - size, 0) + 1), rng.integers(max(w - size, 0) + 1)
            grow = ((0, max(size - h, 0)), (0, max(size - w, 0)))
            both = [
                np.pad(x[top : top + size, left : left + size], grow, mode="symmetric")
                for x in (pair.ir, pair.vi)
            ]
        return augmented(to_float(both[0]), to_float(both[1]), self.augment, rng)


def augmented(ir: Gray, vi: Gray, how: Augment, rng: np.random.Generator) -> tuple[Gray, Gray]:
    """Change a pair at random: geometry alike in both modalities, values in each alone."""
    if how.flip:
        rows, columns = rng.choice((1, -1), 2)
        ir, vi = ir[::rows, ::columns], vi[::rows, ::columns]
    if how.turn:
        quarter = int(rng.integers(4))
        ir, vi = np.rot90(ir, quarter), np.rot90(vi, quarter)
    ir, vi = _revalued(ir, how, rng), _revalued(vi, how, rng)
    return np.ascontiguousarray(ir), np.ascontiguousarray(vi)


def _revalued(x: Gray, how: Augment, rng: np.random.Generator) -> Gray:
    do_exposure, do_gain, do_noise = rng.random(3) < how.chance
    if how.exposure and do_exposure:
        x = x ** np.float32((1 + how.exposure) ** rng.uniform(-1, 1))
    if how.gain and do_gain:
        gain = rng.uniform(1 - how.gain, 1)
        x = x * np.float32(gain) + np.float32(rng.uniform(0, 1 - gain))
    if how.noise and do_noise:
        x = x + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(0, how.noise))
        x = np.clip(x, 0, 1)
    return x
