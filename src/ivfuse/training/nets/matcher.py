"""The matcher: features in which an infrared and a visible image of one scene look alike, for registration.

One small network for each band, folded as swift is; no layer is shared, because the bands share no values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.training.nets.blocks import Context, ConvAct, crop_border, identity, pad_border

FOLD = 2  # pixels of a side that are folded into channels
SURROUNDINGS = 25  # pixels, side of the window that brightness and contrast are relative to
MOST = 4.0  # standard deviations from the surroundings' mean, at most


class Describer(nn.Module):
    """Features of one band.

    Args:
        width: channels at half the resolution.
        deep: channels at a quarter of it.
        depth: layers there.
        channels: of the features, at full resolution.
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
        """(B, 1, H, W) in [0, 1], any H, W >= 1 -> (B, channels, H, W); no pixel's vector is longer than 1.

        The length says how much a pixel has to tell: blocks are compared by sums over their pixels.
        """
        h, w = x.shape[-2:]
        x = F.pixel_unshuffle(local_contrast(pad_border(x, 2 * FOLD)), FOLD)
        x = self.stem(x)
        x = F.pixel_shuffle(self.head(F.relu(x + self.context(x))), FOLD)
        x = crop_border(x, h, w)
        return x / torch.sqrt(1 + (x * x).sum(1, keepdim=True))


class Matcher(nn.Module):
    """Both bands.

    Args:
        width, deep, depth, channels: of each :class:`Describer`.
    """

    variant = "fixed"
    outputs = ("ir_features", "vi_features")

    def __init__(self, width: int = 16, deep: int = 32, depth: int = 3, channels: int = 8) -> None:
        """See above."""
        super().__init__()
        self.ir = Describer(width, deep, depth, channels)
        self.vi = Describer(width, deep, depth, channels)

    def forward(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Features of (B, 1, H, W) in [0, 1] each; the two may differ in size."""
        return self.ir(ir), self.vi(vi)


def local_contrast(x: Tensor) -> Tensor:
    """Distance from the mean of the surroundings in their standard deviations; what is flat stays small."""
    difference = x - _surroundings(x)
    deviation = torch.sqrt(_surroundings(difference * difference) + 1e-9)
    floor = 0.5 * deviation.mean((2, 3), keepdim=True) + 1e-4
    return torch.clamp(difference / (deviation + floor), -MOST, MOST)


def _surroundings(x: Tensor) -> Tensor:
    """Mean over a square window; at the border over the pixels that exist."""
    half = SURROUNDINGS // 2
    for kernel, pad in (((SURROUNDINGS, 1), (half, 0)), ((1, SURROUNDINGS), (0, half))):
        x = F.avg_pool2d(x, kernel, stride=1, padding=pad, count_include_pad=False)
    return x
