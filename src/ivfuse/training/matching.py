"""Training of the matcher: warped pairs with known shifts, and losses on the likelihood of shifts.

The losses use the same likelihoods as registration (:mod:`ivfuse.registration.refine`): the network learns
one distinct maximum for blocks with structure, and a flat likelihood for blocks without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ivfuse.image.arrays import Gray
from ivfuse.registration.features import FLOOR
from ivfuse.registration.geometry import (
    Matrix,
    four_point_homography,
    image_corners,
    to_centers,
    transform_points,
    translation_matrix,
)
from ivfuse.registration.prepare import rescale
from ivfuse.training.pairs import Mixture, PairImages, Sets
from ivfuse.training.recipe import Augment, Match, MatchBatch

NEAR = 0.7  # sigma in pixels of the Gaussian tolerance around the true shift


@dataclass(frozen=True)
class Warped:
    """A batch of warped pairs.

    Attributes:
        ir: thermal images, (B, 1, S, S) float32 in [0, 1].
        vi: visible images, (B, 1, S, S) float32 in [0, 1].
        places: (B, blocks, 2) column and row of the upper left corners of blocks in the visible image.
        shifts: (B, blocks, 2) shifts of the block centers in the thermal image, in pixels.
        block: side of the blocks, in pixels.
    """

    ir: Tensor
    vi: Tensor
    places: Tensor
    shifts: Tensor
    block: int

    def to(self, device: torch.device) -> Warped:
        """Copy the batch to a device."""
        ir, vi, places, shifts = (x.to(device) for x in (self.ir, self.vi, self.places, self.shifts))
        return Warped(ir, vi, places, shifts, self.block)


class MatchSampler:
    """Draws random crops of random pairs with random scale and rotation, and warps the thermal crops.

    Args:
        sets: weighted sets of pairs; a photograph is a pair of an image with itself.
        how: strength of the warps, and the kinds of batches.
        seed: two integers, the seed of the recipe and the stage.
        augment: random changes of pixel values.
    """

    def __init__(self, sets: Sets, how: Match, seed: tuple[int, int], augment: Augment) -> None:
        """Store the settings."""
        self.mixture = Mixture(sets)
        self.how, self.seed, self.augment = how, seed, augment

    def draw(self, step: int, rank: int = 0, world: int = 1) -> tuple[Warped]:
        """Draw the batch of ``step``, which depends only on the step and the seed."""
        kinds = self.how.batches
        kind = kinds[np.random.default_rng((*self.seed, step)).integers(len(kinds))]
        crops = [self._draw_crop(kind, step, index) for index in range(rank, kind.batch, world)]
        ir, vi, places, shifts = (torch.from_numpy(np.stack(side)) for side in zip(*crops, strict=True))
        return (Warped(ir[:, None], vi[:, None], places, shifts, kind.block),)

    def _draw_crop(self, kind: MatchBatch, step: int, index: int) -> tuple[NDArray[Any], ...]:
        """Draw one crop of a batch: thermal, visible, places and shifts."""
        rng = np.random.default_rng((*self.seed, step, index))
        ir, vi, warp = self._crop_pair(self.mixture.draw(rng), kind.crop, rng)
        places = rng.integers(0, kind.crop - kind.block + 1, (kind.blocks, 2))
        middles = (places + kind.block / 2).astype(np.float64)
        return ir, vi, places, (transform_points(warp, middles) - middles).astype(np.float32)

    def _crop_pair(self, pair: PairImages, size: int, rng: np.random.Generator) -> tuple[Gray, Gray, Matrix]:
        """Crop both images, and return the transform from the visible to the thermal crop."""
        ir, vi = pair.as_float()
        if pair.ir is pair.vi:
            ir = recolored(ir, rng)
        side = math.sqrt(ir.size)
        smallest = size * max(0.9, 1.05 * side / min(ir.shape))
        scale = _log_uniform(rng, smallest, max(min(self.how.largest, 1.15 * side), smallest)) / side
        ir, vi = (rescale(x, min(1.0, scale)) for x in (ir, vi))
        source = self._draw_pose(vi.shape, size, max(1.0, scale), rng)
        warp = self._draw_warp(size, rng)
        ir = _cut(ir, source @ np.linalg.inv(warp), size)
        return degraded(ir, self.augment, rng), degraded(_cut(vi, source, size), self.augment, rng), warp

    def _draw_pose(self, shape: tuple[int, ...], size: int, zoom: float, rng: np.random.Generator) -> Matrix:
        """Draw the transform from a crop to the image: rotation, mirroring, slight scaling and position."""
        angle = math.radians(self.how.turn) * rng.standard_normal()
        zoom *= math.exp(0.05 * rng.standard_normal())
        cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
        half = size / 2 * (abs(cosine) + abs(sine))
        x, y = (rng.uniform(min(half, n / 2), max(n - half, n / 2)) for n in (shape[1], shape[0]))
        mirror = -1.0 if self.augment.flip and rng.random() < 0.5 else 1.0
        turned = np.array([[cosine, -sine, x], [sine, cosine, y], [0, 0, 1]]) @ np.diag([mirror, 1, 1])
        return np.asarray(turned @ translation_matrix(-size / 2, -size / 2), np.float64)

    def _draw_warp(self, size: int, rng: np.random.Generator) -> Matrix:
        """Draw a warp given by a different shift at each corner."""
        reach, corners = self.how.reach, image_corners((size, size))
        shift = rng.uniform(1 - reach, reach - 1, 2) + self.how.bend * size * rng.standard_normal((4, 2))
        return four_point_homography(corners, corners + shift.clip(-reach - 2, reach + 2))


def recolored(x: Gray, rng: np.random.Generator) -> Gray:
    """Simulate another spectral band by a random, non-monotonic tone curve."""
    curve = np.cumsum(rng.standard_normal(5))
    y = np.interp(x, np.linspace(0, 1, 5), curve)
    return np.asarray((y - y.min()) / (np.ptp(y) + 1e-6), np.float32)


def degraded(x: Gray, how: Augment, rng: np.random.Generator) -> Gray:
    """Simulate another camera or time of day by random exposure, darkness, blur, noise and a light source.

    Args:
        x: (H, W) float32 in [0, 1].
        how: the largest change of the gamma exponent (``exposure``), loss of light (``gain``) and standard
            deviation of the noise (``noise``), and the probability of each change (``chance``).
        rng: the random generator.
    """
    exposure, dark, blur, noise, lamp = rng.random(5) < np.array([1, 0.5, 1, 1, 0.3]) * how.chance
    if exposure:
        x = x ** np.float32((1 + how.exposure) ** rng.uniform(-1, 1))
    if blur:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.2)), np.float32)
    if dark:  # with shot noise and fewer levels
        x = x * np.float32(1 - how.gain * rng.random())
        x = x + rng.standard_normal(x.shape, np.float32) * np.sqrt(0.001 * np.maximum(x, 0.005))
    if noise:
        x = x + rng.standard_normal(x.shape, np.float32) * np.float32(how.noise * rng.random() ** 2)
    if lamp:
        y, column = (np.arange(n) - rng.uniform(0, n) for n in x.shape)
        glow = np.exp(-(y[:, None] ** 2 + column**2) / (2 * rng.uniform(3, 20) ** 2))
        x = x + np.float32(rng.uniform(0.5, 2)) * glow.astype(np.float32)
    return np.asarray(np.rint(np.clip(x, 0, 1) * 255) / 255, np.float32)


def surfaces(batch: Warped, ir: Tensor, vi: Tensor, reach: int) -> Tensor:
    """Correlate each block of the visible image with the thermal image for every shift.

    Args:
        batch: batch that gives the position of the blocks.
        ir: thermal features, (B, C, S, S).
        vi: visible features, (B, C, S, S).
        reach: largest shift along each axis, in pixels.

    Returns:
        (B, blocks, (2 reach + 1)^2) correlations in [-1, 1], with shifts row by row.
    """
    block, side = batch.block, batch.block + 2 * reach
    near = _cut_blocks(vi, batch.places, block)
    far = _cut_blocks(F.pad(ir, (reach,) * 4), batch.places, side)
    product = torch.fft.rfft2(far) * torch.fft.rfft2(near, s=(side, side)).conj()
    valid = 2 * reach + 1
    dot = torch.fft.irfft2(product.sum(1), s=(side, side))[:, :valid, :valid] / block**2
    power = F.avg_pool2d((far * far).sum(1, keepdim=True), block, 1)[:, 0]
    own = (near * near).sum(1).mean((1, 2))[:, None, None]
    match: Tensor = dot / torch.sqrt((power + FLOOR) * (own + FLOOR))
    return match.reshape(*batch.places.shape[:2], -1)


def shift_loss(match: Tensor, shifts: Tensor, reach: int, sharpness: float, outliers: float) -> Tensor:
    """Negative log-likelihood of the true shifts, with a uniform component for outliers.

    Args:
        match: (B, blocks, shifts) result of :func:`surfaces`.
        shifts: (B, blocks, 2) true shifts; blocks with a shift out of reach are ignored.
        reach: largest shift as in :func:`surfaces`.
        sharpness: factor in the likelihood exp(sharpness * match).
        outliers: weight of the uniform component, 0..1.
    """
    line = torch.arange(-reach, reach + 1, device=match.device, dtype=match.dtype)
    off = [(line - shifts[..., axis, None]) ** 2 for axis in (0, 1)]
    near = torch.exp(-(off[0][..., None, :] + off[1][..., :, None]) / (2 * NEAR**2)).flatten(2)
    chance = torch.softmax(sharpness * match, -1)
    found: Tensor = (1 - outliers) * (chance * near).sum(-1) + outliers * near.mean(-1)
    counts = (shifts.abs().amax(-1) <= reach - 0.5).to(match.dtype)
    loss: Tensor = -(torch.log(found.clamp(min=1e-12)) * counts).sum() / counts.sum().clamp(min=1)
    return loss


def unrelated_loss(match: Tensor, sharpness: float) -> Tensor:
    """Deviation of the likelihoods from uniform, for blocks of images of different scenes."""
    return -torch.log_softmax(sharpness * match, -1).mean() - math.log(match.shape[-1])


class MatchLoss:
    """The loss of a stage with the task ``match``."""

    def __init__(self, how: Match) -> None:
        """Store the settings, such as the sharpness of likelihoods and the weight of unrelated images."""
        self.how = how

    def __call__(self, net: Any, batch: Warped, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss and its unweighted parts."""
        how = self.how
        ir, vi = (x.float() for x in net(batch.ir, batch.vi))
        shift = shift_loss(
            surfaces(batch, ir, vi, how.reach), batch.shifts, how.reach, how.sharpness, how.outliers
        )
        unrelated = unrelated_loss(surfaces(batch, ir.roll(1, 0), vi, how.reach), how.sharpness)
        return shift + how.unrelated * unrelated, {"shift": shift, "unrelated": unrelated}


def _cut(x: Gray, matrix: Matrix, size: int) -> Gray:
    """Cut a square crop; ``matrix`` maps crop to image coordinates, measured from the corner."""
    cut = cv2.warpPerspective(
        x,
        to_centers(matrix),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(cut, np.float32)


def _cut_blocks(x: Tensor, places: Tensor, side: int) -> Tensor:
    """Cut blocks: (B, C, S, S) and corners (B, blocks, 2) -> (B * blocks, C, side, side)."""
    line = torch.arange(side, device=x.device)
    columns, rows = (places[..., axis, None] + line for axis in (0, 1))
    index = torch.arange(len(x), device=x.device)[:, None, None, None]
    blocks = x.permute(0, 2, 3, 1)[index, rows[..., :, None], columns[..., None, :]]
    return blocks.flatten(0, 1).permute(0, 3, 1, 2)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
