"""Transformer blocks with attention between channels (Restormer, Zamir et al. 2022, section 3).

The attention is a C x C matrix of correlations over the whole image, so that its cost is linear in the number
of pixels. The receptive field of each pixel is the whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import UsageError


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each pixel, with gain and bias."""

    def __init__(self, channels: int) -> None:
        """Initialize gain to one and bias to zero."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-5)
        return x.permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Multi-head attention between channels: queries and keys are whole feature maps of unit length.

    Args:
        channels: a multiple of ``heads``.
        heads: number of groups of channels that attend to each other.
        full: whether queries, keys and values pass a full instead of a depthwise 3x3 convolution.
    """

    def __init__(self, channels: int, heads: int, *, full: bool = False) -> None:
        """See above; temperatures are initialized to one."""
        super().__init__()
        if heads < 1 or channels % heads:
            raise UsageError(f"heads={heads}, expected a divisor of width={channels}")
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        groups = 1 if full else 3 * channels
        self.local = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=groups, bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        b, _, h, w = x.shape
        c = self.out.in_channels  # a constant in a traced graph, unlike a value from x.shape
        q, k, v = self.local(self.qkv(x)).reshape(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        weights = torch.softmax(q @ k.transpose(-1, -2) * self.temperature, dim=-1)
        out: Tensor = self.out((weights @ v).reshape(b, c, h, w))
        return out


class GatedFeedForward(nn.Module):
    """Two paths of local convolutions, one of which gates the other.

    Args:
        channels: number of input and output channels.
        expansion: width of each path, in multiples of ``channels``.
        groups: number of groups of the 3x3 convolution; ``None`` for a depthwise convolution.
    """

    def __init__(self, channels: int, expansion: int = 2, groups: int | None = None) -> None:
        """See above."""
        super().__init__()
        hidden = channels * expansion
        self.enter = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.local = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=groups or 2 * hidden, bias=False)
        self.leave = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate, value = self.local(self.enter(x)).chunk(2, 1)
        out: Tensor = self.leave(F.gelu(gate) * value)
        return out


class TransformerBlock(nn.Module):
    """Pre-norm channel attention and gated feed-forward, each with a residual."""

    def __init__(self, attention: ChannelAttention, feed_forward: GatedFeedForward) -> None:
        """Attention and feed-forward must have the same number of channels."""
        super().__init__()
        channels = attention.out.out_channels
        self.norm1 = ChannelNorm(channels)
        self.attention = attention
        self.norm2 = ChannelNorm(channels)
        self.feed_forward = feed_forward

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.feed_forward(self.norm2(x))
        return out


def restormer_blocks(count: int, channels: int, heads: int) -> nn.Sequential:
    """Create ``count`` blocks with depthwise convolutions and twofold expansion."""
    return nn.Sequential(
        *(
            TransformerBlock(ChannelAttention(channels, heads), GatedFeedForward(channels))
            for _ in range(count)
        )
    )
