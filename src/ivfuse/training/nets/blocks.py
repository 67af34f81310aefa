"""Parts that several networks share: convolutions, dense blocks, windows, borders, bounded outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BORDER = 8  # replicated pixels round an image, so that zero padding acts outside of it


class Bands(NamedTuple):
    """Low and high features of both modalities, (B, C, h, w) each."""

    low_ir: Tensor
    high_ir: Tensor
    low_vi: Tensor
    high_vi: Tensor


class ConvAct(nn.Sequential):
    """A 3x3 (or 1x1) convolution that keeps the size, and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        """``kernel`` is odd."""
        super().__init__(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())


class DenseBlock(nn.Module):
    """Three dense convolutions, each seeing all that came before, and a 1x1 convolution that sums them up."""

    def __init__(self, inputs: int, growth: int, outputs: int) -> None:
        """Each of the three adds ``growth`` channels."""
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
    """Features at half the resolution -> what their surroundings add, seen at a quarter of it."""

    def __init__(self, width: int, deep: int, depth: int) -> None:
        """``depth`` layers of ``deep`` channels."""
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(width, deep, 3, stride=2, padding=1), nn.ReLU())
        self.layers = nn.Sequential(*(identity(ConvAct(deep, deep)) for _ in range(depth)))
        self.up = nn.Sequential(nn.Conv2d(deep, 4 * width, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) with even sides -> the same."""
        out: Tensor = self.up(self.layers(self.down(x)))
        return out


def identity(layer: ConvAct) -> ConvAct:
    """Let a layer begin as the identity and a little of its random weights."""
    convolution = layer[0]
    assert isinstance(convolution, nn.Conv2d)
    with torch.no_grad():
        convolution.weight.mul_(0.5).add_(nn.init.dirac_(torch.empty_like(convolution.weight)))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return layer


def box3(x: Tensor) -> Tensor:
    """Mean over 3x3 pixels, each channel by itself; at the border over the pixels that exist."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def pad_border(x: Tensor, multiple: int) -> Tensor:
    """:data:`BORDER` replicated pixels all round, and more at the right and below up to a multiple.

    Args:
        x: (B, C, H, W).
        multiple: both sides become multiples of it; it divides ``2 * BORDER``.
    """
    h, w = x.shape[-2:]
    return F.pad(x, (BORDER, BORDER + -w % multiple, BORDER, BORDER + -h % multiple), mode="replicate")


def crop_border(x: Tensor, height: int, width: int) -> Tensor:
    """What was there before :func:`pad_border`."""
    return x[..., BORDER : BORDER + height, BORDER : BORDER + width]


def compose(ir: Tensor, vi: Tensor, weight: Tensor, step: Tensor) -> Tensor:
    """Blend by ``weight``, then go a fraction ``step`` of the way to white (above 0) or black (below 0).

    Args:
        ir, vi: images in [0, 1].
        weight: of ``ir``, in [0, 1].
        step: in [-1, 1].

    Returns:
        An image in [0, 1], whatever the weights and steps.
    """
    base = vi + weight * (ir - vi)
    return base * (1 - step.abs()) + F.relu(step)


def to_windows(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) with H, W multiples of ``size`` -> (B * windows, size * size, C) tokens."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // size, size, w // size, size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, c)


def from_windows(tokens: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse of :func:`to_windows` for a map of ``height`` x ``width``."""
    c = tokens.shape[2]
    x = tokens.reshape(-1, height // size, width // size, size, size, c)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, c, height, width)


class RelativeBias(nn.Module):
    """A learned bias for each head and each offset between two positions of a window (Swin, Liu 2021)."""

    index: Tensor

    def __init__(self, size: int, heads: int) -> None:
        """For windows of ``size`` x ``size`` tokens; all biases begin at zero."""
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, (2 * size - 1) ** 2))
        y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        y, x = y.flatten(), x.flatten()
        index = (y[:, None] - y + size - 1) * (2 * size - 1) + (x[:, None] - x + size - 1)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        """(heads, size * size, size * size)."""
        return self.table[:, self.index]
