"""Building blocks shared by the networks: convolutions, dense blocks, windows, borders, bounded outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BORDER = 8  # width of the replicated border, which keeps the effect of zero padding outside the image


class Bands(NamedTuple):
    """Low and high features of both modalities, (B, C, h, w) each."""

    low_ir: Tensor
    high_ir: Tensor
    low_vi: Tensor
    high_vi: Tensor


class ConvAct(nn.Sequential):
    """A 3x3 (or 1x1) convolution that preserves the size, followed by a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        """``kernel`` must be odd."""
        super().__init__(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())


class DenseBlock(nn.Module):
    """Three densely connected convolutions, followed by a 1x1 convolution."""

    def __init__(self, inputs: int, growth: int, outputs: int) -> None:
        """Each of the three convolutions adds ``growth`` channels."""
        super().__init__()
        self.layers = nn.ModuleList(ConvAct(inputs + i * growth, growth) for i in range(3))
        self.adjust = ConvAct(inputs + 3 * growth, outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        out: Tensor = self.adjust(x)
        return out


class Context(nn.Module):
    """Context of features at half the resolution, computed at a quarter of the resolution."""

    def __init__(self, width: int, deep: int, depth: int) -> None:
        """``depth`` layers of ``deep`` channels."""
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(width, deep, 3, stride=2, padding=1), nn.ReLU())
        self.layers = nn.Sequential(*(identity(ConvAct(deep, deep)) for _ in range(depth)))
        self.up = nn.Sequential(nn.Conv2d(deep, 4 * width, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) with even sides -> the same shape."""
        out: Tensor = self.up(self.layers(self.down(x)))
        return out


def identity(layer: ConvAct) -> ConvAct:
    """Initialize a layer to the identity plus half of its random weights."""
    convolution = layer[0]
    assert isinstance(convolution, nn.Conv2d)
    with torch.no_grad():
        convolution.weight.mul_(0.5).add_(nn.init.dirac_(torch.empty_like(convolution.weight)))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return layer


def box3(x: Tensor) -> Tensor:
    """Compute the mean over 3x3 pixels per channel, with the window clipped at the border."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def pad_border(x: Tensor, multiple: int) -> Tensor:
    """Add :data:`BORDER` replicated pixels on all sides, and more at the right and bottom up to a multiple.

    Args:
        x: (B, C, H, W).
        multiple: number of which both sides become multiples; must divide ``2 * BORDER``.
    """
    h, w = x.shape[-2:]
    return F.pad(x, (BORDER, BORDER + -w % multiple, BORDER, BORDER + -h % multiple), mode="replicate")


def crop_border(x: Tensor, height: int, width: int) -> Tensor:
    """Remove the border added by :func:`pad_border`."""
    return x[..., BORDER : BORDER + height, BORDER : BORDER + width]


def compose(ir: Tensor, vi: Tensor, weight: Tensor, step: Tensor) -> Tensor:
    """Blend two images, then move the result by a fraction towards white or black.

    Args:
        ir: thermal image in [0, 1].
        vi: visible image in [0, 1].
        weight: weight of ``ir``, in [0, 1].
        step: fraction of the way to white (above 0) or black (below 0), in [-1, 1].

    Returns:
        An image in [0, 1], for all weights and steps.
    """
    base = vi + weight * (ir - vi)
    return base * (1 - step.abs()) + F.relu(step)


def to_windows(x: Tensor, size: int) -> Tensor:
    """Divide a map into windows: (B, C, H, W), H and W multiples of ``size`` -> (B * windows, size^2, C)."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // size, size, w // size, size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, c)


def from_windows(tokens: Tensor, size: int, height: int, width: int) -> Tensor:
    """Invert :func:`to_windows` for a map of ``height`` x ``width``."""
    c = tokens.shape[2]
    x = tokens.reshape(-1, height // size, width // size, size, size, c)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, c, height, width)


class RelativeBias(nn.Module):
    """A learned bias per head and relative position within a window (Swin, Liu 2021)."""

    index: Tensor

    def __init__(self, size: int, heads: int) -> None:
        """Initialize to zero for windows of ``size`` x ``size`` tokens."""
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, (2 * size - 1) ** 2))
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        y, x = y.flatten(), x.flatten()
        index = (y[:, None] - y + size - 1) * (2 * size - 1) + (x[:, None] - x + size - 1)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        """(heads, size * size, size * size)."""
        return self.table[:, self.index]
