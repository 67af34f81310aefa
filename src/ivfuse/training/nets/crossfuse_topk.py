"""Variant ``fixed`` of crossfuse-topk: separate fusion of a low and a high band (Shi et al. 2025).

The structure follows the paper: one encoder for both modalities, a head and a fusion layer for each band, and
a decoder. Differences from the release:

- **Bands by construction.** The low head works at half the resolution and cannot represent fine detail; the
  decomposition loss is not the only means of separating the bands.
- **Bounded coupling.** Exponents pass through tanh, so that a coupling step scales by 1/e to e.
- **Source-aware fusion.** A learned 1x1 convolution mixes both modalities and is initialized to their mean.
  The sum used by the release is symmetric, so that subsequent layers cannot distinguish the sources.
- **Bounded output without min-max normalization.** The head predicts a weight between the sources and a step
  towards black or white, and receives the difference between each thermal pixel and the image mean.
- **No leakage.** Stage 1 reconstructs an image from its bands alone; the release adds the image itself.
- **Cost.** Features are computed on a grid of ``stride`` pixels; a small head works at full resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import UsageError
from ivfuse.training.nets.blocks import (
    Bands,
    ConvAct,
    compose,
    crop_border,
    pad_border,
)
from ivfuse.training.nets.restormer import restormer_blocks

POOL = 2  # size of a low-band pixel, in pixels of the grid
DETAIL = 8  # channels of the head at full resolution


class CouplingNode(nn.Module):
    """One invertible step, in which the halves of the channels shift and scale each other within limits."""

    def __init__(self, channels: int) -> None:
        """``channels`` must be even."""
        super().__init__()
        half = channels // 2
        self.shuffle = nn.Conv2d(channels, channels, 1)
        self.phi = _local(half, half)
        self.rho_eta = _local(half, 2 * half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        first, second = self.shuffle(x).chunk(2, 1)
        second = second + self.phi(first)
        rho, eta = self.rho_eta(second).chunk(2, 1)
        first = first * torch.exp(torch.tanh(rho)) + eta
        return torch.cat((first, second), 1)


class LowHead(nn.Module):
    """A transformer block at half the resolution of the grid."""

    def __init__(self, width: int, heads: int) -> None:
        """Create the head for maps with ``width`` channels and even sides."""
        super().__init__()
        self.block = restormer_blocks(1, width, heads)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w) without fine detail."""
        x = self.block(F.avg_pool2d(x, POOL))
        return F.interpolate(x, scale_factor=float(POOL), mode="bilinear", align_corners=False)


class Encoder(nn.Module):
    """Encoder for both modalities: shared features on the grid, and a head for each band."""

    def __init__(self, width: int, blocks: int, heads: int, nodes: int, stride: int) -> None:
        """See :class:`CrossFuseTopk`."""
        super().__init__()
        # Equivalent to a pixel unshuffle and a 3x3 convolution.
        self.stem = nn.Conv2d(1, width, 3 * stride, stride=stride, padding=stride)
        self.blocks = restormer_blocks(blocks, width, heads)
        self.low = LowHead(width, heads)
        self.high = nn.Sequential(*(CouplingNode(width) for _ in range(nodes)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1], H and W multiples of 2 * stride -> low and high, (B, C, H/s, W/s) each."""
        x = self.blocks(self.stem(x))
        return self.low(x), self.high(x)


class BandFusion(nn.Module):
    """Fusion of one band of both modalities."""

    def __init__(self, width: int, refine: nn.Module) -> None:
        """``refine`` is applied after the mix."""
        super().__init__()
        self.mix = nn.Conv2d(2 * width, width, 1)
        with torch.no_grad():  # initialized to the mean: the decoder was trained on single modalities
            self.mix.weight.copy_(0.5 * torch.eye(width).repeat(1, 2)[..., None, None])
            self.mix.bias.zero_()  # type: ignore[union-attr]
        self.refine = refine

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        """(B, C, h, w) each -> (B, C, h, w)."""
        out: Tensor = self.refine(self.mix(torch.cat((ir, vi), 1)))
        return out


class Decoder(nn.Module):
    """Decoder from two bands to features on the grid."""

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        """See :class:`CrossFuseTopk`."""
        super().__init__()
        self.reduce = nn.Conv2d(2 * width, width, 1)
        self.blocks = restormer_blocks(blocks, width, heads)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """(B, C, h, w) each -> (B, C, h, w)."""
        out: Tensor = self.blocks(self.reduce(torch.cat((low, high), 1)))
        return out


class Head(nn.Module):
    """Head that predicts a weight between the sources and a step from features and both images."""

    def __init__(self, width: int, stride: int) -> None:
        """See :class:`CrossFuseTopk`."""
        super().__init__()
        self.up = _shuffled(width, DETAIL, stride)
        self.mix = ConvAct(DETAIL + 3, DETAIL)
        self.out = nn.Conv2d(DETAIL, 2, 3, padding=1)

    def forward(self, x: Tensor, ir: Tensor, vi: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Predict a weight in [0, 1] and a step in [-1, 1], (B, 1, H, W) each.

        Args:
            x: features, (B, C, H/s, W/s).
            ir: thermal image, (B, 1, H, W).
            vi: visible image, (B, 1, H, W).
            level: mean of the whole thermal image, (B, 1, 1, 1), the reference between warm and cold.
        """
        pixels = torch.cat((self.up(x), ir, vi, ir - level), 1)
        weight, step = self.out(self.mix(pixels)).chunk(2, 1)
        return torch.sigmoid(weight), torch.tanh(step)


class CrossFuseTopk(nn.Module):
    """The complete network, variant ``fixed``.

    Args:
        width: number of channels; even, and a multiple of ``heads``.
        blocks: number of transformer blocks in the encoder and in the decoder.
        heads: number of attention heads.
        nodes: number of coupling steps in the high head of the encoder.
        stride: stride of the features in pixels: 1 (full resolution, as in the paper), 2 or 4.
    """

    variant = "fixed"
    takes_level = True

    def __init__(
        self, width: int = 48, blocks: int = 2, heads: int = 4, nodes: int = 2, stride: int = 4
    ) -> None:
        """See above; the attribute ``align`` is the size of a low-band pixel."""
        super().__init__()
        if width % 2:
            raise UsageError(f"width={width}, expected an even number")
        if stride not in (1, 2, 4):
            raise UsageError(f"stride={stride}, expected 1, 2 or 4")
        self.align = POOL * stride
        self.encoder = Encoder(width, blocks, heads, nodes, stride)
        self.fuse_low = BandFusion(width, LowHead(width, heads))
        self.fuse_high = BandFusion(width, CouplingNode(width))
        self.decoder = Decoder(width, blocks, heads)
        self.head = Head(width, stride)
        self.reconstructor = _shuffled(width, 1, stride)

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """Fuse two images, (B, 1, H, W) in [0, 1] with any H, W >= 1, into one of the same shape and range.

        ``level`` is the mean of the whole thermal image, (B, 1, 1, 1), also for a tile; the default is the
        mean of ``ir``.
        """
        return self.forward_bands(ir, vi, level)[0]

    def forward_bands(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> tuple[Tensor, Bands]:
        """Fuse like :meth:`forward`, and return the bands of both (padded) images on the grid."""
        h, w = ir.shape[-2:]
        if level is None:
            level = ir.mean((2, 3), keepdim=True)
        ir, vi = pad_border(ir, self.align), pad_border(vi, self.align)
        bands = self._bands(ir, vi)
        low = self.fuse_low(bands.low_ir, bands.low_vi)
        high = self.fuse_high(bands.high_ir, bands.high_vi)
        weight, step = self.head(self.decoder(low, high), ir, vi, level)
        return crop_border(compose(ir, vi, weight, step), h, w), bands

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own bands (stage 1), (B, 1, H, W) each, unbounded."""
        return self.reconstruct_bands(ir, vi)[0]

    def reconstruct_bands(self, ir: Tensor, vi: Tensor) -> tuple[tuple[Tensor, Tensor], Bands]:
        """Reconstruct like :meth:`reconstruct`, and return the bands of both modalities."""
        h, w = ir.shape[-2:]
        bands = self._bands(pad_border(ir, self.align), pad_border(vi, self.align))
        images = (
            crop_border(self.reconstructor(self.decoder(low, high)), h, w)
            for low, high in ((bands.low_ir, bands.high_ir), (bands.low_vi, bands.high_vi))
        )
        return (next(images), next(images)), bands

    def _bands(self, ir: Tensor, vi: Tensor) -> Bands:
        """Encode both images with the shared encoder."""
        return Bands(*self.encoder(ir), *self.encoder(vi))


def _local(inputs: int, outputs: int) -> nn.Sequential:
    """Create a 1x1 convolution to twice the channels, a depthwise 3x3 and a 1x1 convolution."""
    wide = 2 * inputs
    return nn.Sequential(
        nn.Conv2d(inputs, wide, 1),
        nn.ReLU6(),
        nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
        nn.ReLU6(),
        nn.Conv2d(wide, outputs, 1),
    )


def _shuffled(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Create a 3x3 convolution and pixel shuffle, (B, inputs, h, w) -> (B, outputs, h * stride, w * stride).

    The weights of the pixels of one grid cell are initialized to be equal (Aitken et al. 2017), which avoids
    a pattern in flat areas.
    """
    conv = nn.Conv2d(inputs, outputs * stride**2, 3, padding=1)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[:outputs].repeat_interleave(stride**2, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(stride))
