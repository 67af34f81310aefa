"""Variant ``fixed`` of crossfuse-cam: cross attention to uncorrelated features (Li & Wu 2024).

The structure follows the paper: an auto-encoder per modality, self attention in regular and in shifted
windows, cross attention in both directions, and a decoder with weighted skips. Differences from the release:

- **Attention to uncorrelated features.** Negating the similarity of two independently learned projections has
  no effect, because training can invert the sign. Here queries and keys come from *one* shared projection and
  are normalized, so that their product is a cosine with a meaningful sign. The weights are
  softmax(-t * cosine) with a positive learned temperature t: the less a token of the other modality resembles
  the query, the larger its weight.
- **Effective shift.** The map is shifted by half a window before it is divided, and positions have a learned
  bias.
- **Activations** follow the convolutions; energy weights are per channel, from magnitudes, in [0, 1].
- **A third skip** at half resolution provides detail that the decoder of the paper has to generate.
- **Bounded output without min-max normalization.** The network predicts a weight between the sources and a
  step towards black or white, so that the output is in [0, 1] and no single pixel changes the contrast.
- **Reference level.** A thermal image has no absolute scale, so the decoder also receives the difference
  between each pixel and the mean of the image. Without it, the meaning of a value would depend on the
  neighborhood: the same sky would appear cold beside a hill and neutral elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import UsageError
from ivfuse.training.nets.blocks import (
    ConvAct,
    DenseBlock,
    RelativeBias,
    box3,
    compose,
    crop_border,
    from_windows,
    pad_border,
    to_windows,
)

STRIDE = 8  # stride of the deep features, in pixels


class Encoder(nn.Module):
    """Encoder of one modality: features at full, half and an eighth of the resolution."""

    def __init__(self, shallow: int, middle: int, deep: int, growth: int) -> None:
        """See :class:`CrossFuseCam` for the widths."""
        super().__init__()
        self.stem = ConvAct(1, shallow)
        self.block1 = DenseBlock(shallow, growth, middle)
        self.block2 = DenseBlock(middle, growth + growth // 2, deep)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, H, W) -> shallow (B, s, H, W), middle (B, m, H/2, W/2), deep (B, d, H/8, W/8)."""
        shallow = self.stem(x)
        middle = self.block1(F.max_pool2d(shallow, 2))
        deep = F.max_pool2d(self.block2(F.max_pool2d(middle, 2)), 2)
        return shallow, middle, deep


class Reconstructor(nn.Module):
    """Decoder of stage 1, which reconstructs the image from the features; not used in inference."""

    def __init__(self, shallow: int, middle: int, deep: int) -> None:
        """See :class:`CrossFuseCam` for the widths."""
        super().__init__()
        self.up1 = ConvAct(deep, deep)
        self.up2 = ConvAct(deep, middle)
        self.up3 = ConvAct(middle, shallow)
        self.out = nn.Conv2d(shallow, 1, 3, padding=1)

    def forward(self, shallow: Tensor, middle: Tensor, deep: Tensor) -> Tensor:
        """Features of the encoder -> (B, 1, H, W), unbounded."""
        x = _up(self.up1(deep))
        x = _up(self.up2(x)) + middle
        x = _up(self.up3(x)) + shallow
        out: Tensor = self.out(x)
        return out


class Attention(nn.Module):
    """Multi-head attention within windows, of a map with itself or with that of the other modality.

    ``uncorrelated=True`` selects the cross attention described in the docstring of this module.
    """

    def __init__(self, dim: int, heads: int, window: int, *, uncorrelated: bool) -> None:
        """Create the layer for tokens with ``dim`` values in windows of ``window`` x ``window``."""
        super().__init__()
        if heads < 1 or dim % heads:
            raise UsageError(f"heads={heads}, expected a divisor of deep={dim}")
        self.heads, self.uncorrelated = heads, uncorrelated
        self.query = nn.Linear(dim, dim)
        self.key = self.query if uncorrelated else nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.bias = RelativeBias(window, heads)
        self.log_temperature = nn.Parameter(torch.zeros(heads, 1, 1)) if uncorrelated else None

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Queries from ``x``, keys and values from ``other``; both (N, T, C)."""
        q, k, v = (
            self._split(layer(t)) for layer, t in ((self.query, x), (self.key, other), (self.value, other))
        )
        if self.log_temperature is not None:
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
            q = q * -self.log_temperature.exp()
        else:
            q = q * q.shape[-1] ** -0.5
        weights = torch.softmax(q @ k.transpose(-1, -2) + self.bias(), dim=-1)
        out: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        return x.reshape(n, t, self.heads, c // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm attention and MLP over windows of a map; the residual connection starts at ``base``."""

    def __init__(
        self, dim: int, heads: int, window: int, *, shift: bool = False, uncorrelated: bool = False
    ) -> None:
        """``shift`` moves the windows by half their side; see :class:`Attention` for the other arguments."""
        super().__init__()
        self.window, self.shift = window, window // 2 if shift else 0
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.attention = Attention(dim, heads, window, uncorrelated=uncorrelated)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, query: Tensor, base: Tensor) -> Tensor:
        """Add to ``base`` (B, C, H, W) the result of attention with queries from ``query``."""
        h, w = base.shape[-2:]
        below, right = -(h + self.shift) % self.window, -(w + self.shift) % self.window
        pad = (self.shift, right, self.shift, below)
        x = to_windows(F.pad(base, pad, mode="replicate"), self.window)
        q = x if query is base else to_windows(F.pad(query, pad, mode="replicate"), self.window)
        normed = self.norm(x)
        x = x + self.attention(normed if query is base else self.norm(q), normed)
        x = x + self.mlp(x)
        x = from_windows(x, self.window, self.shift + h + below, self.shift + w + right)
        return x[..., self.shift : self.shift + h, self.shift : self.shift + w]


class CrossAttentionModule(nn.Module):
    """CAM: self attention, shifted self attention, and the sum of cross attention in both directions."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        """Create the module for maps with ``dim`` channels, a multiple of ``heads``."""
        super().__init__()
        self.self_ir = Block(dim, heads, window)
        self.self_vi = Block(dim, heads, window)
        self.shifted_ir = Block(dim, heads, window, shift=True)
        self.shifted_vi = Block(dim, heads, window, shift=True)
        self.cross_ir = Block(dim, heads, window, uncorrelated=True)
        self.cross_vi = Block(dim, heads, window, uncorrelated=True)

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Two deep maps (B, C, H, W) -> one."""
        ir, vi = self.self_ir(ir, ir), self.self_vi(vi, vi)
        ir, vi = self.shifted_ir(ir, ir), self.shifted_vi(vi, vi)
        out: Tensor = self.cross_ir(vi, ir) + self.cross_vi(ir, vi)
        return out


class CrossFuseCam(nn.Module):
    """The complete network, variant ``fixed``.

    Args:
        shallow: channels at full resolution.
        middle: channels at half the resolution.
        deep: channels at an eighth of the resolution.
        growth: channels added by each layer of the first dense block; the second adds 1.5 times as many.
        heads: number of attention heads, a divisor of ``deep``.
        window: side of an attention window, in pixels of the deep features.
    """

    variant = "fixed"
    takes_level = True

    def __init__(
        self,
        shallow: int = 16,
        middle: int = 48,
        deep: int = 64,
        growth: int = 24,
        heads: int = 4,
        window: int = 8,
    ) -> None:
        """See above; the attribute ``align`` is the side of a window in pixels."""
        super().__init__()
        self.align = window * STRIDE
        self.encoder_ir = Encoder(shallow, middle, deep, growth)
        self.encoder_vi = Encoder(shallow, middle, deep, growth)
        self.reconstructor_ir = Reconstructor(shallow, middle, deep)
        self.reconstructor_vi = Reconstructor(shallow, middle, deep)
        self.cam = CrossAttentionModule(deep, heads, window)
        self.decoder = Decoder(shallow, middle, deep)

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """Fuse two images, (B, 1, H, W) in [0, 1] with any H, W >= 1, into one of the same shape and range.

        ``level`` is the mean of the whole thermal image, (B, 1, 1, 1), also for a tile; the default is the
        mean of ``ir``.
        """
        h, w = ir.shape[-2:]
        if level is None:
            level = ir.mean((2, 3), keepdim=True)
        ir, vi = pad_border(ir, STRIDE), pad_border(vi, STRIDE)
        features_ir, features_vi = self.encoder_ir(ir), self.encoder_vi(vi)
        pixels = torch.cat((ir, vi, ir - level), 1)
        cam = self.cam(features_ir[2], features_vi[2])
        weight, step = self.decoder(cam, features_ir, features_vi, pixels)
        return crop_border(compose(ir, vi, weight, step), h, w)

    def reconstruct(self, ir: Tensor, vi: Tensor, *, deep_only: bool = False) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own features (stage 1), (B, 1, H, W) each.

        Args:
            ir: see :meth:`forward`.
            vi: see :meth:`forward`.
            deep_only: whether to pass only the deep features to the decoder. With the shallow features the
                reconstruction is almost linear, and the deep layers would learn nothing.
        """
        h, w = ir.shape[-2:]
        out = []
        for x, encoder, decoder in (
            (ir, self.encoder_ir, self.reconstructor_ir),
            (vi, self.encoder_vi, self.reconstructor_vi),
        ):
            shallow, middle, deep = encoder(pad_border(x, STRIDE))
            if deep_only:
                shallow, middle = torch.zeros_like(shallow), torch.zeros_like(middle)
            out.append(crop_border(decoder(shallow, middle, deep), h, w))
        return out[0], out[1]


class Decoder(nn.Module):
    """Decoder from fused deep features and three weighted skips to a weight and a step per pixel."""

    def __init__(self, shallow: int, middle: int, deep: int) -> None:
        """See :class:`CrossFuseCam` for the widths."""
        super().__init__()
        self.deep = ConvAct(deep, deep)
        self.up1 = ConvAct(deep, middle)
        self.up2 = ConvAct(middle, middle)
        self.mix = ConvAct(middle, middle)
        self.up3 = ConvAct(middle, shallow)
        self.last = ConvAct(shallow + 3, shallow)
        self.head = nn.Conv2d(shallow, 2, 3, padding=1)

    def forward(
        self,
        cam: Tensor,
        ir: tuple[Tensor, Tensor, Tensor],
        vi: tuple[Tensor, Tensor, Tensor],
        pixels: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict a weight in [0, 1] and a step in [-1, 1], (B, 1, H, W) each.

        Args:
            cam: output of the cross attention module.
            ir: features of the thermal encoder.
            vi: features of the visible encoder.
            pixels: both sources and the difference of the thermal image from its level, (B, 3, H, W).
        """
        x = self.deep(cam + _blend(ir[2], vi[2], _energy))
        x = self.up1(_up(x))
        x = self.up2(_up(x)) + _blend(ir[1], vi[1], _detail)
        x = self.up3(_up(self.mix(x))) + _blend(ir[0], vi[0], _detail)
        weight, step = self.head(self.last(torch.cat((x, pixels), 1))).chunk(2, 1)
        return torch.sigmoid(weight), torch.tanh(step)


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _energy(x: Tensor) -> Tensor:
    return box3(x.abs())


def _detail(x: Tensor) -> Tensor:
    return (x - box3(x)).abs()


def _blend(ir: Tensor, vi: Tensor, activity: Callable[[Tensor], Tensor]) -> Tensor:
    """Compute the average of two maps weighted by their activity per channel."""
    a, b = activity(ir), activity(vi)
    return vi + (a + 1e-4) / (a + b + 2e-4) * (ir - vi)
