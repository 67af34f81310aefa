"""Losses that look at a fused image twice, in a weak and in an aggressive view (Shi et al. 2025).

Each takes the network as a function, the fused batch, its sources and a random generator; all that is random
comes from the generator, which the stage seeds by the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ivfuse.training.loss_registry import loss

Fuse = Callable[[Tensor, Tensor], Tensor]


@loss("views")
def blur(
    fuse: Fuse,
    fused: Tensor,
    ir: Tensor,
    vi: Tensor,
    rng: np.random.Generator,
    *,
    crop: float = 32,
    weakest: float = 0.1,
    strongest: float = 5.0,
) -> Tensor:
    """MSE between a crop of the fused images and the same crop blurred, as released.

    The whole batch shares a place and a standard deviation, drawn between ``weakest`` and ``strongest``; the
    kernel is 9 wide and 21 high, and gradients flow through both views. It is a penalty on fine detail, of
    random strength; the network is not run again.
    """
    view = _cropped((fused,), int(crop), rng)[0]
    sigma = rng.uniform(weakest, strongest)
    return F.mse_loss(view, _gauss(view, sigma, (10, 4)))


@loss("views")
def consistency(
    fuse: Fuse,
    fused: Tensor,
    ir: Tensor,
    vi: Tensor,
    rng: np.random.Generator,
    *,
    crop: float = 0,
    exposure: float = 0.5,
    gain: float = 0.3,
    noise: float = 0.05,
    blur: float = 1.0,
) -> Tensor:
    """L1 between the fusion of spoilt sources and that of the plain ones, from which nothing is learned.

    Both sources are cropped, mirrored and, each by itself, changed in exposure, range, sharpness and noise;
    the target is the fused image of the ordinary step, cropped and mirrored alike, behind a stop-gradient.

    Args:
        fuse, fused, ir, vi, rng: the network, its output for ``ir`` and ``vi``, and what is random.
        crop: side of the views; 0: half of the images'.
        exposure: largest change of the gamma exponent, as a factor less 1.
        gain: largest shrinking of the value range, at a random offset.
        noise: largest standard deviation of Gaussian noise.
        blur: largest standard deviation of a Gaussian blur, in pixels.
    """
    size = int(crop) or max(1, min(fused.shape[-2:]) // 2)
    target, *views = _cropped((fused.detach(), ir, vi), size, rng)
    mirrored = [axis for axis in (2, 3) if rng.random() < 0.5]
    target, *views = (x.flip(mirrored) for x in (target, *views))
    spoilt = [_spoilt(x, rng, exposure, gain, noise, blur) for x in views]
    return F.l1_loss(fuse(*spoilt).float(), target)


def _spoilt(
    x: Tensor, rng: np.random.Generator, exposure: float, gain: float, noise: float, blur: float
) -> Tensor:
    """Change the values of (B, 1, H, W) images, each by itself; one blur for all of them."""

    def draw(low: float, high: float) -> Tensor:
        values = rng.uniform(low, high, (len(x), 1, 1, 1))
        return torch.from_numpy(values).to(x)

    sigma = rng.uniform(0, blur)
    x = _gauss(x, sigma, (math.ceil(3 * blur),) * 2) if sigma > 0.1 else x
    x = x.clamp(0, 1) ** (1 + exposure) ** draw(-1, 1)
    shrunk = draw(1 - gain, 1)
    x = x * shrunk + draw(0, 1) * (1 - shrunk)
    grain = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32)).to(x)
    return (x + grain * draw(0, noise)).clamp(0, 1)


def _cropped(images: tuple[Tensor, ...], size: int, rng: np.random.Generator) -> list[Tensor]:
    """The same square of all images; the whole side where it is shorter."""
    h, w = images[0].shape[-2:]
    top, left = (int(rng.integers(max(side - size, 0) + 1)) for side in (h, w))
    return [x[..., top : top + size, left : left + size] for x in images]


def _gauss(x: Tensor, sigma: float, radius: tuple[int, int]) -> Tensor:
    """Gaussian blur of (B, 1, H, W) with kernels of 2 * radius + 1 (rows, columns), mirrored borders."""
    for axis, reach in zip((2, 3), radius, strict=True):
        reach = min(reach, x.shape[axis] - 1)
        t = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
        taps = torch.exp(-(t**2) / (2 * sigma**2))
        shape = [1, 1, 1, 1]
        shape[axis] = len(taps)
        pad = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        x = F.conv2d(F.pad(x, pad, mode="reflect"), (taps / taps.sum()).reshape(shape))
    return x
