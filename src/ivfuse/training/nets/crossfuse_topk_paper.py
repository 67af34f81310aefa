"""crossfuse-topk, the paper variant: what the release of Shi et al. (2025) computes, its mistakes included.

It exists so that the authors' weights load and give their images. Kept on purpose:

- "frequency" is a hope: two heads on the same full-resolution features, one of attention ("low"), one of
  coupling layers ("high"), which only the decomposition loss drives apart;
- the exponent of the coupling layers is not limited;
- bands are added across the modalities, so nothing behind the sum knows which of them a detail came from;
- the image is sigmoid(residual + visible): black comes out near 0.5 unless the residual says otherwise; the
  release stretches each result from its minimum to its maximum, which is left to the user here;
- reconstruction, too, is handed the image that it should give back.

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
    """What the network computes on the way.

    Attributes:
        bands: both modalities' low and high features, (B, width, H, W) each.
        fused_low, fused_high: the same after the fusion layers.
        fused: the image, (B, 1, H, W) in (0, 1), not stretched.
    """

    bands: Bands
    fused_low: Tensor
    fused_high: Tensor
    fused: Tensor


class InvertedResidual(nn.Sequential):
    """1x1 to twice the channels, depthwise 3x3 over mirrored borders, 1x1 back; no biases."""

    def __init__(self, channels: int) -> None:
        """``channels`` in and out."""
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
    """One invertible step: each half of the channels moves and scales the other."""

    def __init__(self, channels: int) -> None:
        """``channels`` is even."""
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
    """Both modalities' encoder: shared features, then a head for each band."""

    def __init__(self, width: int, blocks: int, heads: int, nodes: int) -> None:
        """As in :class:`CrossFuseTopkPaper`."""
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
    """Two bands -> an image, as a step away from a given one."""

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        """As in :class:`CrossFuseTopkPaper`."""
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
    """The whole network, variant ``paper``; 1,188,272 parameters in the release's size.

    Args:
        width: channels, at full resolution everywhere; a multiple of ``heads`` and of 2.
        blocks: Restormer blocks of the encoder, and of the decoder.
        heads: attention heads.
        nodes: coupling steps of the encoder's high head.
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
        """Fuse (B, 1, H, W) in [0, 1] with the same into the same; H, W >= 2 (``ShapeError`` below)."""
        return self.forward_features(ir, vi).fused

    def forward_bands(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Bands]:
        """As :meth:`forward`, with both modalities' bands."""
        found = self.forward_features(ir, vi)
        return found.fused, found.bands

    def forward_features(self, ir: Tensor, vi: Tensor) -> Features:
        """As :meth:`forward`, with all that was computed on the way."""
        bands = self._bands(ir, vi)
        low = self.fuse_low(bands.low_vi + bands.low_ir)
        high = self.fuse_high(bands.high_vi + bands.high_ir)
        return Features(bands, low, high, self.decoder(vi, low, high))

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 1: each image from its own bands, (B, 1, H, W) each."""
        return self.reconstruct_bands(ir, vi)[0]

    def reconstruct_bands(self, ir: Tensor, vi: Tensor) -> tuple[tuple[Tensor, Tensor], Bands]:
        """As :meth:`reconstruct`, with both modalities' bands."""
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
