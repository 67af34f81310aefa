"""Variant ``paper`` of crossfuse-cam: an exact equivalent of the authors' release (Li & Wu 2024).

It loads the authors' weights and reproduces their images. The following properties of the release are kept
deliberately, including its mistakes:

- encoders and decoders have no activation; cross attention is softmax(-S), followed by an extra LayerNorm;
- the shift by half a window stays within the window, where attention is global and independent of positions,
  so that it has no effect;
- the 3x3 box filters of the skip weights sum over all channels, so that all channels share one weight map,
  and the weights of signed features can leave [0, 1]; the thermal shallow skip is halved;
- each output image is stretched from its minimum to its maximum;
- windows do not overlap; for sizes that are not a multiple of 8, the decoded map is padded by reflection.

Source: H. Li, X.-J. Wu, "CrossFuse", Information Fusion 103 (2024) 102147, and a description of the release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import ShapeError, UsageError

PATCH = 2  # side of a token, in deep pixels
WINDOW = 32  # side of an attention window, in deep pixels
STRIDE = 8  # stride of the deep features, in pixels
SMALLEST = (WINDOW // 2 + 1) * STRIDE  # smallest side for which reflection can fill a window
TINY = 1e-6  # added to the denominators of the skip weights and of the final stretch


@dataclass(frozen=True)
class Features:
    """Intermediate results and output of the network.

    Attributes:
        shallow_ir: first map of the thermal encoder, (B, shallow, H, W).
        deep_ir: last map of the thermal encoder, (B, deep, H // 8, W // 8).
        shallow_vi: first map of the visible encoder, (B, shallow, H, W).
        deep_vi: last map of the visible encoder, (B, deep, H // 8, W // 8).
        cam: output of the cross attention module, (B, deep, H // 8, W // 8).
        fused: the fused image, (B, 1, H, W) in [0, 1].
    """

    shallow_ir: Tensor
    deep_ir: Tensor
    shallow_vi: Tensor
    deep_vi: Tensor
    cam: Tensor
    fused: Tensor


class DenseBlock(nn.Module):
    """Three densely connected convolutions, followed by a further convolution."""

    def __init__(self, inputs: int, growth: int, outputs: int) -> None:
        """Each of the three convolutions adds ``growth`` channels."""
        super().__init__()
        self.layers = nn.ModuleList(_conv(inputs + i * growth, growth) for i in range(3))
        self.adjust = _conv(inputs + 3 * growth, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        out: Tensor = self.adjust(x)
        return out


class Encoder(nn.Module):
    """Encoder of one modality; only the pooling layers are non-linear."""

    def __init__(self, shallow: int, growth: int, deep: int) -> None:
        """See :class:`CrossFuseCamPaper` for the widths."""
        super().__init__()
        self.stem = _conv(1, shallow)
        self.block1 = DenseBlock(shallow, growth, deep)
        self.block2 = DenseBlock(deep, growth, deep)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1] -> shallow (B, shallow, H, W), deep (B, deep, H // 8, W // 8)."""
        shallow = self.stem(x)
        x = self.block1(F.max_pool2d(shallow, 2))
        x = self.block2(F.max_pool2d(x, 2))
        return shallow, F.max_pool2d(x, 2)


class ReconstructionDecoder(nn.Module):
    """Decoder of stage 1, which reconstructs the image from the features of one modality."""

    def __init__(self, shallow: int, growth: int, deep: int) -> None:
        """See :class:`CrossFuseCamPaper` for the widths."""
        super().__init__()
        self.conv1 = _conv(deep, growth)
        self.conv2 = _conv(growth, growth)
        self.conv3 = _conv(growth, shallow)
        self.out = nn.Conv2d(shallow, 1, 1)

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Maps of the encoder -> (B, 1, H, W), unbounded; the release multiplies the result by 255."""
        x = _up(self.conv1(deep))
        x = _up(self.conv2(x))
        x = _mirror_to(_up(self.conv3(x)), shallow)
        out: Tensor = self.out(x + shallow)
        return out


class SelfAttentionBlock(nn.Module):
    """Pre-norm multi-head self attention and an MLP."""

    def __init__(self, dim: int, heads: int) -> None:
        """Create the block for tokens with ``dim`` values, a multiple of ``heads``."""
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = _mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, dim) -> (N, T, dim)."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        x = x + self.proj(_attend(q, k, v, self.heads))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class CrossAttentionBlock(nn.Module):
    """Attention to the least similar tokens of the other modality, followed by a LayerNorm.

    Both inputs share one norm.
    """

    def __init__(self, dim: int, heads: int) -> None:
        """Create the block for tokens with ``dim`` values, a multiple of ``heads``."""
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = _mlp(dim)
        self.norm3 = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, query: Tensor, base: Tensor) -> Tensor:
        """Compute attention with queries from ``query``, and keys, values and residual from ``base``.

        All tensors are (N, T, dim).
        """
        normed = self.norm1(base)
        q, k, v = self.query(self.norm1(query)), self.key(normed), self.value(normed)
        x = base + self.proj(_attend(-q, k, v, self.heads))  # softmax(-S), the paper's "re-softmax"
        x = x + self.mlp(self.norm2(x))
        out: Tensor = self.norm3(x)
        return out


class CrossAttentionModule(nn.Module):
    """CAM: two self attentions per modality, and the sum of cross attention in both directions."""

    def __init__(self, deep: int, heads: int) -> None:
        """Create the module for maps with ``deep`` channels; ``heads`` must divide ``4 * deep``."""
        super().__init__()
        dim = deep * PATCH**2
        if heads < 1 or dim % heads:
            raise UsageError(f"heads={heads}, expected a divisor of 4 * deep = {dim}")
        self.first_ir = SelfAttentionBlock(dim, heads)
        self.first_vi = SelfAttentionBlock(dim, heads)
        self.second_ir = SelfAttentionBlock(dim, heads)
        self.second_vi = SelfAttentionBlock(dim, heads)
        self.cross_ir = CrossAttentionBlock(dim, heads)
        self.cross_vi = CrossAttentionBlock(dim, heads)

    def forward(self, ir: Tensor, vi: Tensor, *, shift: bool | None = None) -> Tensor:
        """Fuse two deep maps window by window.

        Args:
            ir: thermal map, (B, deep, h, w) with h, w >= 17; padded to whole windows by reflection.
            vi: visible map of the same shape.
            shift: whether to shift the tokens within the windows for the second self attention, which has no
                effect on the result; ``None`` shifts in eval mode only, like the release.

        Returns:
            (B, deep, h, w).

        Raises:
            ShapeError: if a map is too small for the padding.
        """
        h, w = ir.shape[-2:]
        if min(h, w) <= WINDOW // 2:
            raise ShapeError(f"deep maps of {h}x{w}, expected at least {WINDOW // 2 + 1} on both sides")
        pad = (0, -w % WINDOW, 0, -h % WINDOW)
        ir, vi = (to_tokens(F.pad(x, pad, mode="reflect")) for x in (ir, vi))
        tokens = self.fuse_tokens(ir, vi, shift=not self.training if shift is None else shift)
        return from_tokens(tokens, h + pad[3], w + pad[1])[..., :h, :w]

    def fuse_tokens(self, ir: Tensor, vi: Tensor, *, shift: bool) -> Tensor:
        """Fuse the tokens of windows, (N, 256, 4 * deep) each, into a tensor of the same shape."""
        ir, vi = self.first_ir(ir), self.first_vi(vi)
        if shift:
            ir, vi = (_roll(f(_roll(x, -1)), 1) for f, x in ((self.second_ir, ir), (self.second_vi, vi)))
        else:
            ir, vi = self.second_ir(ir), self.second_vi(vi)
        out: Tensor = self.cross_vi(ir, vi) + self.cross_ir(vi, ir)
        return out


class FusionDecoder(nn.Module):
    """Decoder from the CAM output and two weighted skips to the image, with BatchNorm after convolutions."""

    def __init__(self, shallow: int, growth: int, deep: int) -> None:
        """See :class:`CrossFuseCamPaper` for the widths."""
        super().__init__()
        self.conv1 = _conv(deep, growth, norm=True)
        self.conv2 = _conv(growth, growth, norm=True)
        self.conv3 = _conv(growth, shallow, norm=True)
        self.conv4 = _conv(shallow, shallow, norm=True)
        self.out = nn.Sequential(nn.Conv2d(shallow, 1, 1), nn.BatchNorm2d(1))

    def forward(self, cam: Tensor, ir: tuple[Tensor, Tensor], vi: tuple[Tensor, Tensor]) -> Tensor:
        """CAM output and (shallow, deep) maps of both encoders -> (B, 1, H, W) in [0, 1]."""
        weight_ir, weight_vi = _shares(ir[1], vi[1], summed_box)
        x = cam + weight_ir * ir[1] + weight_vi * vi[1]
        x = _up(self.conv1(x))
        x = _up(self.conv2(x))
        x = _mirror_to(self.conv4(_up(self.conv3(x))), ir[0])
        weight_ir, weight_vi = _shares(ir[0], vi[0], _contrast)
        x = x + 0.5 * weight_ir * ir[0] + weight_vi * vi[0]
        return _stretch(self.out(x))


class CrossFuseCamPaper(nn.Module):
    """The complete network, variant ``paper``."""

    variant = "paper"
    align = WINDOW * STRIDE

    def __init__(self, shallow: int = 32, growth: int = 64, deep: int = 128, heads: int = 16) -> None:
        """Create the network; the defaults are the sizes of the release.

        Args:
            shallow: channels at full resolution.
            growth: channels added by each layer of a dense block.
            deep: channels at an eighth of the resolution.
            heads: number of attention heads, a divisor of ``4 * deep``.
        """
        super().__init__()
        widths = (shallow, growth, deep)
        self.encoder_ir = Encoder(*widths)
        self.encoder_vi = Encoder(*widths)
        self.reconstructor_ir = ReconstructionDecoder(*widths)
        self.reconstructor_vi = ReconstructionDecoder(*widths)
        self.cam = CrossAttentionModule(deep, heads)
        self.decoder = FusionDecoder(*widths)

    def forward(self, ir: Tensor, vi: Tensor, *, shift: bool | None = None) -> Tensor:
        """Fuse two images (B, 1, H, W) in [0, 1], H, W >= 136, into one of the same shape and range.

        Raises:
            ShapeError: if an image is too small.
        """
        return self.forward_features(ir, vi, shift=shift).fused

    def forward_features(self, ir: Tensor, vi: Tensor, *, shift: bool | None = None) -> Features:
        """Fuse like :meth:`forward`, and return all intermediate results.

        See :meth:`CrossAttentionModule.forward` for ``shift``.
        """
        h, w = ir.shape[-2:]
        if min(h, w) < SMALLEST:
            raise ShapeError(f"images of {h}x{w}, the paper variant needs {SMALLEST} or more on both sides")
        shallow_ir, deep_ir = self.encoder_ir(ir)
        shallow_vi, deep_vi = self.encoder_vi(vi)
        cam = self.cam(deep_ir, deep_vi, shift=shift)
        fused = self.decoder(cam, (shallow_ir, deep_ir), (shallow_vi, deep_vi))
        return Features(shallow_ir, deep_ir, shallow_vi, deep_vi, cam, fused)

    def reconstruct(self, ir: Tensor, vi: Tensor, *, deep_only: bool = False) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own features (stage 1), (B, 1, H, W) each, unbounded.

        Args:
            ir: see :meth:`forward`.
            vi: see :meth:`forward`.
            deep_only: whether to omit the shallow features, which the release never does.
        """
        shallow_ir, deep_ir = self.encoder_ir(ir)
        shallow_vi, deep_vi = self.encoder_vi(vi)
        if deep_only:
            shallow_ir, shallow_vi = torch.zeros_like(shallow_ir), torch.zeros_like(shallow_vi)
        return self.reconstructor_ir(shallow_ir, deep_ir), self.reconstructor_vi(shallow_vi, deep_vi)


def to_tokens(x: Tensor) -> Tensor:
    """Divide into tokens of C x 2 x 2: (B, C, H, W), multiples of 32 -> (B * windows, 256, 4 * C)."""
    b, c, h, w = x.shape
    n = WINDOW // PATCH
    x = x.reshape(b, c, h // WINDOW, n, PATCH, w // WINDOW, n, PATCH)
    return x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(-1, n * n, c * PATCH**2)


def from_tokens(tokens: Tensor, height: int, width: int) -> Tensor:
    """Invert :func:`to_tokens` for a map of ``height`` x ``width``."""
    c, n = tokens.shape[2] // PATCH**2, WINDOW // PATCH
    x = tokens.reshape(-1, height // WINDOW, width // WINDOW, n, n, c, PATCH, PATCH)
    return x.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(-1, c, height, width)


def summed_box(x: Tensor) -> Tensor:
    """Compute the zero-padded 3x3 mean of the sum over all channels: (B, C, H, W) -> (B, 1, H, W)."""
    return F.avg_pool2d(x.sum(1, keepdim=True), 3, stride=1, padding=1)


def _contrast(x: Tensor) -> Tensor:
    """Compute the gradient measure of the release: difference of each channel from :func:`summed_box`."""
    return (x - summed_box(x)).abs()


def _shares(ir: Tensor, vi: Tensor, energy: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Compute the fraction of the energy in each modality, without gradients."""
    with torch.no_grad():
        a, b = energy(ir), energy(vi)
        return a / (a + b + TINY), b / (a + b + TINY)


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention without projections; all tensors are (N, T, dim)."""
    n, t, dim = q.shape
    q, k, v = (x.reshape(n, t, heads, dim // heads).transpose(1, 2) for x in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) * (dim // heads) ** -0.5, dim=-1)
    return (weights @ v).transpose(1, 2).reshape(n, t, dim)


def _roll(tokens: Tensor, sign: int) -> Tensor:
    """Shift tokens cyclically by half a window (8 tokens) along both axes."""
    n = WINDOW // PATCH
    grid = tokens.reshape(-1, n, n, tokens.shape[2])
    return grid.roll((sign * n // 2, sign * n // 2), (1, 2)).reshape(tokens.shape)


def _conv(inputs: int, outputs: int, *, norm: bool = False) -> nn.Module:
    """Create a 3x3 convolution with reflection padding, optionally with BatchNorm; no activation."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
    return nn.Sequential(conv, nn.BatchNorm2d(outputs)) if norm else conv


def _mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _mirror_to(x: Tensor, target: Tensor) -> Tensor:
    """Pad ``x`` at the right and bottom by reflection to the size of ``target``."""
    below, right = target.shape[-2] - x.shape[-2], target.shape[-1] - x.shape[-1]
    return F.pad(x, (0, right, 0, below), mode="reflect") if below or right else x


def _stretch(x: Tensor) -> Tensor:
    """Stretch each image so that its minimum becomes 0 and its maximum (almost) 1."""
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - low) / (high - low + TINY)
