"""Variant ``paper`` of crossfuse-topk: an exact equivalent of the release of Shi et al. (2025).

It loads the authors' weights and reproduces their images. The following properties of the release are kept
deliberately, including its mistakes:

- the bands are not separated by construction: two heads, one with attention ("low") and one with coupling
  layers ("high"), receive the same full-resolution features, and only the decomposition loss separates them;
- the exponents of the coupling layers are unbounded;
- the bands of both modalities are added, so that subsequent layers cannot distinguish the sources;
- the image is sigmoid(residual + visible), so that black becomes about 0.5 unless the residual compensates
  for it; the release stretches each result from its minimum to its maximum, which is omitted here;
- reconstruction also receives the image that it should reconstruct.

Source: Y. Shi et al., "CrossFuse", IEEE TCSVT 2025 (arXiv 2502.14493), and a description of the release.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import ShapeError, UsageError
from ivfuse.training.nets.blocks import Bands
from ivfuse.training.nets.restormer import (
    ChannelAttention,
    GatedFeedForward,
    TransformerBlock,
    restormer_blocks,
)


@dataclass(frozen=True)
class Features:
    """Intermediate results and output of the network.

    Attributes:
        bands: low and high features of both modalities, (B, width, H, W) each.
        fused_low: fused low features, (B, width, H, W).
        fused_high: fused high features, (B, width, H, W).
        fused: the fused image, (B, 1, H, W) in (0, 1), not stretched.
    """

    bands: Bands
    fused_low: Tensor
    fused_high: Tensor
    fused: Tensor


class InvertedResidual(nn.Sequential):
    """1x1 convolution to twice the channels, reflection-padded depthwise 3x3, 1x1 back; without biases."""

    def __init__(self, channels: int) -> None:
        """``channels`` is the number of input and output channels."""
        wide = 2 * channels
        super().__init__(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.ReLU6(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(wide, wide, 3, groups=wide, bias=False),
            nn.ReLU6(),
            nn.Conv2d(wide, channels, 1, bias=False),
        )


class CouplingNode(nn.Module):
    """One invertible step, in which the halves of the channels shift and scale each other."""

    def __init__(self, channels: int) -> None:
        """``channels`` must be even."""
        super().__init__()
        half = channels // 2
        self.shuffle = nn.Conv2d(channels, channels, 1)
        self.phi = InvertedResidual(half)
        self.rho = InvertedResidual(half)
        self.eta = InvertedResidual(half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        first, second = self.shuffle(x).chunk(2, 1)
        second = second + self.phi(first)
        first = first * torch.exp(self.rho(second)) + self.eta(second)
        return torch.cat((first, second), 1)


class Encoder(nn.Module):
    """Encoder for both modalities: shared features, and a head for each band."""

    def __init__(self, width: int, blocks: int, heads: int, nodes: int) -> None:
        """See :class:`CrossFuseTopkPaper`."""
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.blocks = restormer_blocks(blocks, width, heads)
        self.low = _low_head(width, heads)
        self.high = _high_head(width, nodes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1] -> low and high, (B, width, H, W) each."""
        x = self.blocks(self.stem(x))
        return self.low(x), self.high(x)


class Decoder(nn.Module):
    """Decoder from two bands to an image, as a residual to a base image."""

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        """See :class:`CrossFuseTopkPaper`."""
        super().__init__()
        self.reduce = nn.Conv2d(2 * width, width, 1, bias=False)
        self.blocks = restormer_blocks(blocks, width, heads)
        self.out = nn.Sequential(
            nn.Conv2d(width, width // 2, 3, padding=1, bias=False),
            nn.LeakyReLU(0.01),
            nn.Conv2d(width // 2, 1, 3, padding=1, bias=False),
        )

    def forward(self, base: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """``base`` (B, 1, H, W) and bands (B, width, H, W) -> (B, 1, H, W) in (0, 1)."""
        residual = self.out(self.blocks(self.reduce(torch.cat((low, high), 1))))
        return F.sigmoid(residual + base)


class CrossFuseTopkPaper(nn.Module):
    """The complete network, variant ``paper``, with 1,188,272 parameters in the size of the release.

    Args:
        width: number of channels, at full resolution; even, and a multiple of ``heads``.
        blocks: number of Restormer blocks in the encoder and in the decoder.
        heads: number of attention heads.
        nodes: number of coupling steps in the high head of the encoder.
    """

    variant = "paper"
    align = 1

    def __init__(self, width: int = 64, blocks: int = 4, heads: int = 8, nodes: int = 3) -> None:
        """See above."""
        super().__init__()
        if width % 2:
            raise UsageError(f"width={width}, expected an even number")
        self.encoder = Encoder(width, blocks, heads, nodes)
        self.fuse_low = _low_head(width, heads)
        self.fuse_high = _high_head(width, 1)
        self.decoder = Decoder(width, blocks, heads)

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse two images (B, 1, H, W) in [0, 1], H, W >= 2, into one of the same shape and range.

        Raises:
            ShapeError: if an image is too small.
        """
        return self.forward_features(ir, vi).fused

    def forward_bands(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Bands]:
        """Fuse like :meth:`forward`, and return the bands of both modalities."""
        found = self.forward_features(ir, vi)
        return found.fused, found.bands

    def forward_features(self, ir: Tensor, vi: Tensor) -> Features:
        """Fuse like :meth:`forward`, and return all intermediate results."""
        bands = self._bands(ir, vi)
        low = self.fuse_low(bands.low_vi + bands.low_ir)
        high = self.fuse_high(bands.high_vi + bands.high_ir)
        return Features(bands, low, high, self.decoder(vi, low, high))

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own bands (stage 1), (B, 1, H, W) each."""
        return self.reconstruct_bands(ir, vi)[0]

    def reconstruct_bands(self, ir: Tensor, vi: Tensor) -> tuple[tuple[Tensor, Tensor], Bands]:
        """Reconstruct like :meth:`reconstruct`, and return the bands of both modalities."""
        bands = self._bands(ir, vi)
        out = (
            self.decoder(ir, bands.low_ir, bands.high_ir),
            self.decoder(vi, bands.low_vi, bands.high_vi),
        )
        return out, bands

    def _bands(self, ir: Tensor, vi: Tensor) -> Bands:
        h, w = ir.shape[-2:]
        if min(h, w) < 2:
            raise ShapeError(f"images of {h}x{w}, the paper variant needs 2 or more on both sides")
        return Bands(*self.encoder(ir), *self.encoder(vi))


def _low_head(width: int, heads: int) -> nn.Module:
    return TransformerBlock(
        ChannelAttention(width, heads, full=True), GatedFeedForward(width, expansion=1, groups=width)
    )


def _high_head(width: int, nodes: int) -> nn.Module:
    return nn.Sequential(*(CouplingNode(width) for _ in range(nodes)))
