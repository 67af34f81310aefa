"""The matcher: features that are similar for a thermal and a visible image of one scene, for registration.

Each band has a small network on folded pixels, like swift. No layer is shared between the bands, because
their pixel values are unrelated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.training.nets.blocks import Context, ConvAct, crop_border, identity, pad_border

FOLD = 2  # factor by which each side is folded into channels
SURROUNDINGS = 25  # side in pixels of the window for the normalization of brightness and contrast
MAX_CONTRAST = 4.0  # limit of the local contrast, in standard deviations


class Describer(nn.Module):
    """Features of one band.

    Args:
        width: channels at half the resolution.
        deep: channels at a quarter of the resolution.
        depth: number of layers at a quarter of the resolution.
        channels: channels of the features, at full resolution.
    """

    def __init__(self, width: int, deep: int, depth: int, channels: int) -> None:
        """See above."""
        super().__init__()
        self.stem = ConvAct(FOLD**2, width)
        self.context = Context(width, deep, depth)
        self.head = nn.Sequential(
            identity(ConvAct(width, width)), nn.Conv2d(width, channels * FOLD**2, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute features: (B, 1, H, W) in [0, 1], any H, W >= 1 -> (B, channels, H, W).

        The vector of each pixel has a length below 1, which is its weight in the comparison of blocks.
        """
        h, w = x.shape[-2:]
        x = F.pixel_unshuffle(local_contrast(pad_border(x, 2 * FOLD)), FOLD)
        x = self.stem(x)
        x = F.pixel_shuffle(self.head(F.relu(x + self.context(x))), FOLD)
        x = crop_border(x, h, w)
        return x / torch.sqrt(1 + (x * x).sum(1, keepdim=True))


class Matcher(nn.Module):
    """The networks of both bands.

    Args:
        width: see :class:`Describer`.
        deep: see :class:`Describer`.
        depth: see :class:`Describer`.
        channels: see :class:`Describer`.
    """

    variant = "fixed"
    outputs = ("ir_features", "vi_features")

    def __init__(self, width: int = 16, deep: int = 32, depth: int = 3, channels: int = 8) -> None:
        """See above."""
        super().__init__()
        self.ir = Describer(width, deep, depth, channels)
        self.vi = Describer(width, deep, depth, channels)

    def forward(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features of both images, (B, 1, H, W) in [0, 1] each, which may differ in size."""
        return self.ir(ir), self.vi(vi)


def local_contrast(x: Tensor) -> Tensor:
    """Normalize by the local mean and standard deviation; the contrast of flat areas stays small."""
    difference = x - _surroundings(x)
    deviation = torch.sqrt(_surroundings(difference * difference) + 1e-9)
    floor = 0.5 * deviation.mean((2, 3), keepdim=True) + 1e-4
    return torch.clamp(difference / (deviation + floor), -MAX_CONTRAST, MAX_CONTRAST)


def _surroundings(x: Tensor) -> Tensor:
    """Compute the mean over a square window, which is clipped at the border."""
    half = SURROUNDINGS // 2
    for kernel, pad in (((SURROUNDINGS, 1), (half, 0)), ((1, SURROUNDINGS), (0, half))):
        x = F.avg_pool2d(x, kernel, stride=1, padding=pad, count_include_pad=False)
    return x
