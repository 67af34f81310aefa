"""swift, a network of ivfuse's own for real time: it decides small, with a wide view, and blends in full.

What costs time on a CPU is full resolution, not depth. So images are folded four by four into channels
(pixel-unshuffle) at once, and nothing but that and the unfolding of the one result touches full resolution:
the blend itself is done on folded images. What is warm *for this scene*, and whether the visible can be
trusted, is decided on a sixteenth of the size by dilated layers that see 128 pixels to each side; it is
carried up smoothly and meets layers at a quarter, which know the edges of both images. Their last one says
how much of the detail of either image to take, what level to put it on, and a step for every pixel.

A mere weight between the images would have to choose once for level and detail: where a warm trunk is bright
in one image and dark in the other, half of both is gray. Detail with gains of its own, of either image or of
both, stays sharp whatever becomes of the level.

Layers of one width begin as the identity, which trains like a residual network and costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.training.nets.blocks import ConvAct, crop_border, identity, pad_border

FOLD = 4  # pixels of a side that are folded into channels
COARSE = 16  # pixels of a side that share a decision
DILATIONS = (1, 2, 4, 1)
KEPT = 0.2  # of the visible, at least: what is far colder than its image is darkened, not blotted out
AT_FIRST = -2.0  # of the biases of the thermal's shares: training begins near the visible
SHARES = 2  # to a side of a fold: as many squares have a weight and gains of their own
MOST_GAIN = 2.0  # of detail; training begins with half of it for the visible's


class Swift(nn.Module):
    """The whole network.

    Args:
        width: channels at a quarter of the resolution.
        near: layers there before the wide view is added; as many follow it.
        deep: channels at a sixteenth of the resolution.
    """

    variant = "fixed"
    takes_level = True
    reducible = True
    emphasis = "balanced"
    align = COARSE
    fold: Tensor
    carry: Tensor
    square: Tensor

    def __init__(self, width: int = 32, near: int = 2, deep: int = 64) -> None:
        """See above."""
        super().__init__()
        self.stem = nn.Sequential(
            ConvAct(2 * FOLD**2 + 1, width), *(identity(ConvAct(width, width)) for _ in range(near - 1))
        )
        self.wide = Wide(width, deep)
        last = nn.Conv2d(width, FOLD**2 + 3 * SHARES**2, 1)
        with torch.no_grad():
            last.bias[FOLD**2 :] = torch.tensor([AT_FIRST, AT_FIRST, 0.0]).repeat_interleave(SHARES**2)  # type: ignore[index]
        self.head = nn.Sequential(*(identity(ConvAct(width, width)) for _ in range(near)), last)
        self.register_buffer("fold", torch.eye(FOLD**2).reshape(-1, 1, FOLD, FOLD), persistent=False)
        self.register_buffer("carry", _carry(), persistent=False)
        square = torch.arange(FOLD) * SHARES // FOLD
        self.register_buffer("square", (square[:, None] * SHARES + square).flatten(), persistent=False)

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """Fuse (B, 1, H, W) in [0, 1] with the same, any H, W >= 1, into the same shape and range.

        ``level`` is the mean of the infrared, (B, 1, 1, 1); for a tile, that of the whole image. Without it
        the mean of ``ir`` is taken.
        """
        h, w = ir.shape[-2:]
        if level is None:
            level = ir.mean((2, 3), keepdim=True)
        # Folded by a convolution of ones and zeros: exact, and on CPUs faster than to transpose.
        ir, vi = (F.conv2d(pad_border(x, COARSE), self.fold, stride=FOLD) for x in (ir, vi))
        x = self.stem(torch.cat((ir, vi, torch.zeros_like(ir[:, :1]) + level), 1))
        fused = self.blend(ir, vi, F.relu(x + self.wide(x)))
        return crop_border(F.pixel_shuffle(fused, FOLD), h, w)

    def blend(self, ir: Tensor, vi: Tensor, features: Tensor) -> Tensor:
        """Folded images (B, 16, h, w) and features (B, width, h, w) -> the folded result.

        On a mean of both bases comes the detail of either, which is what differs from its base, by its gain;
        and a step.
        """
        step, weight, gain_ir, gain_vi = self.decide(features)
        base_ir, base_vi = self.base(ir), self.base(vi)
        base = base_vi + weight * (base_ir - base_vi)
        detail = MOST_GAIN * (gain_vi * (vi - base_vi) + gain_ir * (ir - base_ir))
        return torch.maximum((base + detail + step).clamp(0, 1), KEPT * vi)

    def decide(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step, weight of the infrared's base, gains of infrared and visible detail; (B, 16, h, w) each.

        Each has a convolution of its own, which repeats the shares of a square for its pixels and holds the
        affine part of a hard sigmoid: to split and to repeat the channels of one would take as long as it.
        """
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        features, step = self.head[:-1](features), slice(FOLD**2)
        shares = []
        for first in range(FOLD**2, last.out_channels, SHARES**2):
            rows = first + self.square
            share = F.conv2d(features, last.weight[rows] / 6, last.bias[rows] / 6 + 0.5)
            shares.append(share.clamp(0, 1))
        weight, gain_ir, gain_vi = shares
        return F.conv2d(features, last.weight[step], last.bias[step]), weight, gain_ir, gain_vi

    def base(self, x: Tensor) -> Tensor:
        """The means over the folds of an image, carried bilinearly to the pixels; folded images both.

        Zeros count beyond the frame, which reaches into the border that is cut off only.
        """
        return F.conv2d(x.mean(1, keepdim=True), self.carry, padding=1)


def _carry() -> Tensor:
    """Bilinear interpolation from the centers of folds to their pixels, as a convolution: (16, 1, 3, 3)."""
    place = (torch.arange(FOLD) + 0.5) / FOLD - 0.5  # of a pixel, from the center of its fold, in folds
    taps = torch.stack(((-place).clamp(min=0), 1 - place.abs(), place.clamp(min=0)), 1)
    return torch.einsum("ai,bj->abij", taps, taps).reshape(FOLD**2, 1, 3, 3)


class Wide(nn.Module):
    """Features at a quarter of the resolution -> what a wide view adds to them."""

    def __init__(self, width: int, deep: int) -> None:
        """``deep`` channels at a sixteenth."""
        super().__init__()
        stride = COARSE // FOLD
        self.down = nn.Sequential(nn.Conv2d(width, deep, stride, stride=stride), nn.ReLU())
        self.layers = nn.ModuleList(identity(ConvAct(deep, deep)) for _ in DILATIONS)
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            layer[0].dilation, layer[0].padding = (dilation, dilation), (0, 0)  # type: ignore[index]
        self.up = nn.Conv2d(deep, width, 1)
        self.scale = float(stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) with sides that are multiples of 4 -> the same."""
        x = self.down(x)
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            # Beyond the border lies more of the same, not black.
            x = layer(F.pad(x, (dilation,) * 4, mode="replicate"))
        return F.interpolate(self.up(x), scale_factor=self.scale, mode="bilinear", align_corners=False)
