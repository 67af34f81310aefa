"""crossfuse-topk, the fixed variant: two bands, fused band by band, for unfamiliar scenes.

The structure is that of Shi et al. (2025): one encoder for both modalities, a head for the low and one for
the high band, a fusion layer for each, a decoder. What the release got wrong is mended:

- **Bands by construction**: the low head works at half the resolution and cannot hold fine detail; the
  decomposition loss is a help, not the only thing that tells the bands apart.
- **Bounded coupling**: exponents pass through tanh, so a coupling step scales by 1/e to e.
- **Same-band fusion that knows its sources**: a learned 1x1 mix of both modalities that begins as their mean;
  the release's sum is the same for exchanged sources, so what is behind it cannot tell them apart.
- **Bounded output without min-max**: a weight between the sources and a step towards black or white. The
  head sees how far each thermal pixel lies from the image's mean.
- **No leakage**: stage 1 rebuilds an image from its bands alone; the release adds the image itself.
- **Cost**: features live on a grid of ``stride`` pixels; a small head works at full resolution.
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

POOL = 2  # the low band's pixels, in pixels of the grid
DETAIL = 8  # channels of the head at full resolution


class CouplingNode(nn.Module):
    """One invertible step: each half of the channels moves and scales the other, within limits."""

    def __init__(self, channels: int) -> None:
        """``channels`` is even."""
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
        """For maps of ``width`` channels whose sides are even."""
        super().__init__()
        self.block = restormer_blocks(1, width, heads)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w) without fine detail."""
        x = self.block(F.avg_pool2d(x, POOL))
        return F.interpolate(x, scale_factor=float(POOL), mode="bilinear", align_corners=False)


class Encoder(nn.Module):
    """Both modalities' encoder: shared features on the grid, then a head for each band."""

    def __init__(self, width: int, blocks: int, heads: int, nodes: int, stride: int) -> None:
        """As in :class:`CrossFuseTopk`."""
        super().__init__()
        # The same function as a pixel-unshuffle and a 3x3 convolution.
        self.stem = nn.Conv2d(1, width, 3 * stride, stride=stride, padding=stride)
        self.blocks = restormer_blocks(blocks, width, heads)
        self.low = LowHead(width, heads)
        self.high = nn.Sequential(*(CouplingNode(width) for _ in range(nodes)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1], H and W multiples of 2 * stride -> low and high, (B, C, H/s, W/s) each."""
        x = self.blocks(self.stem(x))
        return self.low(x), self.high(x)


class BandFusion(nn.Module):
    """One band of both modalities -> the fused one."""

    def __init__(self, width: int, refine: nn.Module) -> None:
        """``refine`` follows the mix."""
        super().__init__()
        self.mix = nn.Conv2d(2 * width, width, 1)
        with torch.no_grad():  # the decoder of stage 1 knows features of one modality: begin near them
            self.mix.weight.copy_(0.5 * torch.eye(width).repeat(1, 2)[..., None, None])
            self.mix.bias.zero_()  # type: ignore[union-attr]
        self.refine = refine

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        """(B, C, h, w) each -> (B, C, h, w)."""
        out: Tensor = self.refine(self.mix(torch.cat((ir, vi), 1)))
        return out


class Decoder(nn.Module):
    """Two bands -> features on the grid."""

    def __init__(self, width: int, blocks: int, heads: int) -> None:
        """As in :class:`CrossFuseTopk`."""
        super().__init__()
        self.reduce = nn.Conv2d(2 * width, width, 1)
        self.blocks = restormer_blocks(blocks, width, heads)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """(B, C, h, w) each -> (B, C, h, w)."""
        out: Tensor = self.blocks(self.reduce(torch.cat((low, high), 1)))
        return out


class Head(nn.Module):
    """Features on the grid and the images themselves -> a weight between the sources and a step."""

    def __init__(self, width: int, stride: int) -> None:
        """As in :class:`CrossFuseTopk`."""
        super().__init__()
        self.up = _shuffled(width, DETAIL, stride)
        self.mix = ConvAct(DETAIL + 3, DETAIL)
        self.out = nn.Conv2d(DETAIL, 2, 3, padding=1)

    def forward(self, x: Tensor, ir: Tensor, vi: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features into a weight in [0, 1] and a step in [-1, 1], (B, 1, H, W) each.

        Args:
            x: features, (B, C, H/s, W/s).
            ir, vi: the images, (B, 1, H, W).
            level: mean of the whole infrared, (B, 1, 1, 1): the zero between warm and cold.
        """
        pixels = torch.cat((self.up(x), ir, vi, ir - level), 1)
        weight, step = self.out(self.mix(pixels)).chunk(2, 1)
        return torch.sigmoid(weight), torch.tanh(step)


class CrossFuseTopk(nn.Module):
    """The whole network, variant ``fixed``.

    Args:
        width: channels; even, and a multiple of ``heads``.
        blocks: transformer blocks of the encoder, and of the decoder.
        heads: attention heads.
        nodes: coupling steps of the encoder's high head.
        stride: pixels of the grid that features live on; 1 is the paper's full resolution.
    """

    variant = "fixed"
    takes_level = True

    def __init__(
        self, width: int = 48, blocks: int = 2, heads: int = 4, nodes: int = 2, stride: int = 4
    ) -> None:
        """See above; ``align`` is the side of a pixel of the low band."""
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
        """Fuse (B, 1, H, W) in [0, 1] with the same, any H, W >= 1, into the same shape and range.

        ``level`` is the mean of the infrared, (B, 1, 1, 1); for a tile, that of the whole image. Without it
        the mean of ``ir`` is taken.
        """
        return self.forward_bands(ir, vi, level)[0]

    def forward_bands(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> tuple[Tensor, Bands]:
        """As :meth:`forward`, with both modalities' bands (of the padded images, on the grid)."""
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
        """Stage 1: each image from its own bands, (B, 1, H, W) each, not bounded."""
        return self.reconstruct_bands(ir, vi)[0]

    def reconstruct_bands(self, ir: Tensor, vi: Tensor) -> tuple[tuple[Tensor, Tensor], Bands]:
        """As :meth:`reconstruct`, with both modalities' bands."""
        h, w = ir.shape[-2:]
        bands = self._bands(pad_border(ir, self.align), pad_border(vi, self.align))
        images = (
            crop_border(self.reconstructor(self.decoder(low, high)), h, w)
            for low, high in ((bands.low_ir, bands.high_ir), (bands.low_vi, bands.high_vi))
        )
        return (next(images), next(images)), bands

    def _bands(self, ir: Tensor, vi: Tensor) -> Bands:
        """Both images pass the shared encoder."""
        return Bands(*self.encoder(ir), *self.encoder(vi))


def _local(inputs: int, outputs: int) -> nn.Sequential:
    """1x1 to twice the channels, depthwise 3x3, 1x1."""
    wide = 2 * inputs
    return nn.Sequential(
        nn.Conv2d(inputs, wide, 1),
        nn.ReLU6(),
        nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
        nn.ReLU6(),
        nn.Conv2d(wide, outputs, 1),
    )


def _shuffled(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3x3 convolution and pixel shuffle, (B, inputs, h, w) -> (B, outputs, h * stride, w * stride).

    Pixels that share a place of the grid begin equal (Aitken et al. 2017), so flat areas have no pattern.
    """
    conv = nn.Conv2d(inputs, outputs * stride**2, 3, padding=1)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(parameter[:outputs].repeat_interleave(stride**2, dim=0))
    return nn.Sequential(conv, nn.PixelShuffle(stride))
