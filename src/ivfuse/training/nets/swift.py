"""swift, a network of ivfuse's own for real time: few channels, low resolution, one look at the pixels.

Chosen by measurement on two cores at 640x480. What costs time there is full resolution and odd channel
counts, not depth: so images are folded to half the resolution (pixel-unshuffle) at once, most layers work
at a quarter, channels are multiples of 16, and the blend itself is done on the folded images, so that only
one image is unfolded. Layers of one width begin as the identity, which trains like a residual network and
costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.training.nets.blocks import Context, ConvAct, compose, crop_border, identity, pad_border

FOLD = 2  # pixels of a side that are folded into channels
KEPT = 0.2  # of the visible, at least: what is far colder than its image is darkened, not blotted out


class Swift(nn.Module):
    """The whole network.

    Args:
        width: channels at half the resolution.
        deep: channels at a quarter of the resolution.
        depth: layers there.
    """

    variant = "fixed"
    takes_level = True
    align = 2 * FOLD

    def __init__(self, width: int = 16, deep: int = 48, depth: int = 4) -> None:
        """See above."""
        super().__init__()
        self.stem = ConvAct(2 * FOLD**2 + 1, width)
        self.context = Context(width, deep, depth)
        self.head = nn.Sequential(
            identity(ConvAct(width, width)), nn.Conv2d(width, 2 * FOLD**2, 3, padding=1)
        )

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """Fuse (B, 1, H, W) in [0, 1] with the same, any H, W >= 1, into the same shape and range.

        ``level`` is the mean of the infrared, (B, 1, 1, 1); for a tile, that of the whole image. Without it
        the mean of ``ir`` is taken.
        """
        h, w = ir.shape[-2:]
        if level is None:
            level = ir.mean((2, 3), keepdim=True)
        ir, vi = (F.pixel_unshuffle(pad_border(x, self.align), FOLD) for x in (ir, vi))
        x = self.stem(torch.cat((ir, vi, torch.zeros_like(ir[:, :1]) + level), 1))
        weight, step = self.head(F.relu(x + self.context(x))).chunk(2, 1)
        fused = torch.maximum(compose(ir, vi, F.hardsigmoid(weight), F.hardtanh(step)), KEPT * vi)
        return crop_border(F.pixel_shuffle(fused, FOLD), h, w)
