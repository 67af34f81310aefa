"""Variant ``fixed`` of maefuse: fusion of the codes of a masked auto-encoder (Li et al. 2025).

The structure follows the paper: a pre-trained encoder for both modalities, the cross fusion module (CFM), the
merge fusion module (MFM), and a decoder with few blocks. Differences from the release:

- **Attention over patches.** The release computes attention over the batch, which has no effect for one pair.
- **Pre-norm, and a residual to the mean of both codes.** Training starts where the alignment of the paper is
  meant to lead. Position codes are added to queries and keys only, so that they do not accumulate in the
  values.
- **Any height and width.** Images are padded to whole patches by replication, codes are computed for the
  grid, and the result is cropped.
- **No block artifacts.** Each patch is decoded to twice its side, weighted by a ramp, and neighbors are
  added, so that there are no steps at the grid. Since tokens do not represent fine detail, a few convolutions
  at full resolution also receive the sources. Their receptive field is a few pixels: the codes decide *what*
  to keep, and the pixels determine *where* an edge is.
- **Bounded output without min-max normalization.** The network predicts a weight between the sources and a
  step towards black or white.
- **guide="infrared"** (section 4.4). MFM uses the thermal codes as queries and CFM is omitted, which helps if
  the visible image is over-exposed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ivfuse.errors import ShapeError, UnknownNameError, UsageError
from ivfuse.training.nets.blocks import ConvAct, compose, crop_border, pad_border
from ivfuse.training.nets.maefuse_paper import DEVIATION, MEAN
from ivfuse.training.nets.vit import (
    EPS,
    PATCH,
    Decoder,
    Encoder,
    Mlp,
    attend,
    choose_patches,
    find_size,
    initialize,
    patchify,
    position_codes,
)

GUIDES = ("cross", "infrared")
CENTER, SPREAD = sum(MEAN) / 3, sum(DEVIATION) / 3  # normalization of gray images; see mae_weights


class CrossAttention(nn.Module):
    """Pre-norm attention from the patches of one code to those of another."""

    def __init__(self, dim: int, heads: int) -> None:
        """``heads`` must divide ``dim``."""
        super().__init__()
        self.heads = heads
        self.norm_query = nn.LayerNorm(dim, eps=EPS)
        self.norm_other = nn.LayerNorm(dim, eps=EPS)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, other: Tensor, places: Tensor) -> Tensor:
        """Two codes (B, T, C) and position codes (T, C) -> (B, T, C)."""
        q, other = self.norm_query(query) + places, self.norm_other(other)
        out: Tensor = self.proj(
            attend(self.query(q), self.key(other + places), self.value(other), self.heads)
        )
        return out


class CrossFusion(nn.Module):
    """CFM: cross attention between the modalities, with the same weights in both directions."""

    def __init__(self, dim: int, heads: int, *, residual: bool) -> None:
        """``residual`` adds the mean of both codes."""
        super().__init__()
        self.residual = residual
        self.attention = CrossAttention(dim, heads)
        initialize(self)
        if residual:
            _weaken(self.attention.proj)

    def forward(self, ir: Tensor, vi: Tensor, places: Tensor) -> Tensor:
        """(B, T, C) each -> (B, T, C)."""
        found: Tensor = self.attention(ir, vi, places) + self.attention(vi, ir, places)
        return found + (ir + vi) / 2 if self.residual else found


class MergeFusion(nn.Module):
    """MFM: attention with queries from a guide to both codes, followed by a feed-forward layer."""

    def __init__(self, dim: int, heads: int, *, residual: bool) -> None:
        """``residual`` adds the mean of both codes."""
        super().__init__()
        self.residual = residual
        self.attention = CrossAttention(dim, heads)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim)
        initialize(self)
        if residual:
            _weaken(self.attention.proj, self.mlp.fc2)

    def forward(self, guide: Tensor, ir: Tensor, vi: Tensor, places: Tensor) -> Tensor:
        """(B, T, C) each -> (B, T, C)."""
        x: Tensor = self.attention(guide, vi, places) + self.attention(guide, ir, places)
        x = x + (ir + vi) / 2 if self.residual else x
        out: Tensor = x + self.mlp(self.norm(x))
        return out


class Overlap(nn.Module):
    """Conversion of tokens to overlapping patches of twice the side, weighted by a ramp to zero at the edge.

    The weights of all pixels of a patch are initialized to be equal, so that the initial result is a bilinear
    interpolation between tokens; a random initialization per pixel would be visible as a repeated texture.
    """

    window: Tensor

    def __init__(self, dim: int, channels: int) -> None:
        """Use one bias per channel; a bias per pixel would be visible as a repeated texture."""
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(dim, channels, 1, 1).repeat(1, 1, 2 * PATCH, 2 * PATCH) * dim**-0.5
        )
        self.bias = nn.Parameter(torch.zeros(channels))
        ramp = (torch.arange(PATCH) + 0.5) / PATCH
        ramp = torch.cat((ramp, ramp.flip(0)))  # the ramps of neighbors sum to one
        self.register_buffer("window", ramp[:, None] * ramp, persistent=False)

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """Convert a grid of tokens (B, T, dim) to (B, channels, 16 rows, 16 columns).

        The outermost :data:`~ivfuse.training.nets.blocks.BORDER` pixels lack a neighbor and are cropped by
        the caller.
        """
        x = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], rows, columns)
        return F.conv_transpose2d(x, self.weight * self.window, self.bias, stride=PATCH, padding=PATCH // 2)


class PixelDecoder(nn.Module):
    """Decoder from codes to features at full resolution."""

    def __init__(self, trunk: Decoder, features: int) -> None:
        """``trunk`` decodes codes to tokens; ``features`` is the number of output channels."""
        super().__init__()
        self.trunk = trunk
        self.paint = Overlap(trunk.width, features)

    def forward(self, codes: Tensor, rows: int, columns: int) -> Tensor:
        """(B, T, dim) -> (B, features, 16 rows, 16 columns)."""
        out: Tensor = self.paint(self.trunk(codes, rows, columns), rows, columns)
        return out


class Head(nn.Module):
    """Head that predicts a weight between the sources and a step from decoded features and a detail path."""

    def __init__(self, features: int, detail: int) -> None:
        """``detail`` is the number of channels of the convolutions at full resolution."""
        super().__init__()
        self.detail = nn.Sequential(ConvAct(3, detail), ConvAct(detail, detail))
        self.mix = ConvAct(features + detail, detail)
        self.out = nn.Conv2d(detail, 2, 3, padding=1)

    def forward(self, x: Tensor, ir: Tensor, vi: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Predict a weight in [0, 1] and a step in [-1, 1], (B, 1, H, W) each.

        Args:
            x: decoded features, (B, features, H, W).
            ir: thermal image, (B, 1, H, W).
            vi: visible image, (B, 1, H, W).
            level: mean of the whole thermal image, (B, 1, 1, 1), the reference between warm and cold.
        """
        detail = self.detail(torch.cat((ir, vi, ir - level), 1))
        weight, step = self.out(self.mix(torch.cat((x, detail), 1))).chunk(2, 1)
        return torch.sigmoid(weight), torch.tanh(step)


class MaeFuse(nn.Module):
    """The complete network, variant ``fixed``.

    Args:
        size: size of the encoder: ``tiny``, ``small``, ``base`` or ``large``.
        dim: values per token of the encoder, instead of that of the size.
        depth: number of blocks of the encoder, instead of that of the size.
        heads: number of attention heads of the encoder, instead of that of the size.
        class_token: whether the encoder has MAE's class token, with which the official weights were trained.
        grid: number of patches per axis to which larger grids are scaled down, see
            :func:`~ivfuse.training.nets.vit.position_codes`: 14 for official weights; 0 for no scaling.
        decoder_dim: values per token of the decoder.
        decoder_depth: number of blocks of the decoder.
        decoder_heads: number of attention heads of the decoder.
        features: number of channels of the decoder at full resolution.
        detail: number of channels of the detail path.
        guide: queries of MFM: ``cross`` (the output of CFM) or ``infrared`` (the thermal codes).
        residual: whether CFM and MFM add the mean of both codes; ``False`` is for the ablation.
    """

    variant = "fixed"
    takes_level = True
    align = PATCH
    patch = PATCH

    def __init__(
        self,
        size: str = "tiny",
        dim: int | None = None,
        depth: int | None = None,
        heads: int | None = None,
        class_token: bool = False,
        grid: int = 0,
        decoder_dim: int = 128,
        decoder_depth: int = 2,
        decoder_heads: int = 4,
        features: int = 8,
        detail: int = 16,
        guide: str = "cross",
        residual: bool = True,
    ) -> None:
        """See above."""
        super().__init__()
        if guide not in GUIDES:
            raise UnknownNameError("guide", guide, GUIDES)
        found, width = find_size(size, dim=dim, depth=depth, heads=heads), decoder_dim
        self.grid, self.guide = grid, guide
        self.encoder = Encoder(found, 1, class_token=class_token, grid=grid)
        self.reconstructor_mask = Decoder(
            found.dim, width, decoder_depth, decoder_heads, PATCH**2, masked=True, grid=grid
        )
        if guide == "cross":
            self.cfm = CrossFusion(found.dim, found.heads, residual=residual)
        self.mfm = MergeFusion(found.dim, found.heads, residual=residual)
        trunk = Decoder(found.dim, width, decoder_depth, decoder_heads, 0, grid=grid)
        self.decoder = PixelDecoder(trunk, features)
        self.reconstructor = nn.Conv2d(features, 1, 3, padding=1)
        self.head = Head(features, detail)

    def forward(self, ir: Tensor, vi: Tensor, level: Tensor | None = None) -> Tensor:
        """Fuse two images, (B, 1, H, W) in [0, 1] with any H, W >= 1, into one of the same shape and range.

        ``level`` is the mean of the whole thermal image, (B, 1, 1, 1), also for a tile; the default is the
        mean of ``ir``.
        """
        return self._forward(ir, vi, level, "mfm")

    def forward_through(self, ir: Tensor, vi: Tensor, through: str, level: Tensor | None = None) -> Tensor:
        """Fuse like :meth:`forward`; ``through="cfm"`` decodes the output of CFM and skips MFM."""
        return self._forward(ir, vi, level, through)

    def align_codes(self, ir: Tensor, vi: Tensor, through: str = "mfm") -> tuple[Tensor, Tensor]:
        """Return the code after a fusion module, and its target in the alignment: the mean of both codes."""
        ir, vi = pad_border(ir, PATCH), pad_border(vi, PATCH)
        a, b = self._codes(ir, vi)
        return self._fused(a, b, self._places(ir), through), (a + b) / 2

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct each image from its own code, (B, 1, H, W) each, unbounded."""
        h, w = ir.shape[-2:]
        ir, vi = pad_border(ir, PATCH), pad_border(vi, PATCH)
        a, b = (
            crop_border(self.reconstructor(self.decoder(code, *_grid_of(ir))), h, w)
            for code in self._codes(ir, vi)
        )
        return a, b

    def reconstruct_masked(self, x: Tensor, noise: Tensor, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
        """Predict hidden patches from visible patches (masked auto-encoding).

        Args:
            x: images of any modality, (B, 1, H, W) in [0, 1], H and W multiples of 16.
            noise: (B, T) random numbers that select the patches.
            ratio: fraction of patches that is hidden.

        Returns:
            Predicted (unbounded) and true values of all patches, (B, T, 256) each, and a mask (B, T) that is
            1 where a patch was hidden.

        Raises:
            ShapeError: if the sides are not multiples of 16.
        """
        if any(side % PATCH for side in x.shape[-2:]):
            raise ShapeError(f"crops of {x.shape[-2]}x{x.shape[-1]}, expected multiples of {PATCH}")
        keep, hidden = choose_patches(noise, ratio)
        codes = self.encoder(_normalized(x), keep)
        return self.reconstructor_mask(codes, *_grid_of(x), keep), patchify(x), hidden

    def _forward(self, ir: Tensor, vi: Tensor, level: Tensor | None, through: str) -> Tensor:
        h, w = ir.shape[-2:]
        if level is None:
            level = ir.mean((2, 3), keepdim=True)
        ir, vi = pad_border(ir, PATCH), pad_border(vi, PATCH)
        code = self._fused(*self._codes(ir, vi), self._places(ir), through)
        weight, step = self.head(self.decoder(code, *_grid_of(ir)), ir, vi, level)
        return crop_border(compose(ir, vi, weight, step), h, w)

    def _codes(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Encode both images with the shared encoder."""
        return self.encoder(_normalized(ir)), self.encoder(_normalized(vi))

    def _places(self, x: Tensor) -> Tensor:
        return position_codes(*_grid_of(x), self.encoder.dim, grid=self.grid, device=x.device)

    def _fused(self, ir: Tensor, vi: Tensor, places: Tensor, through: str) -> Tensor:
        if through not in ("cfm", "mfm"):
            raise UnknownNameError("fusion module", through, ("cfm", "mfm"))
        if self.guide == "infrared":
            if through == "cfm":
                raise UsageError("a network with guide='infrared' has no cfm, expected through: mfm")
            guide = ir
        else:
            guide = self.cfm(ir, vi, places)
        return guide if through == "cfm" else self.mfm(guide, ir, vi, places)


@torch.no_grad()
def _weaken(*layers: nn.Linear) -> None:
    """Scale down initial weights, so that a branch initially adds little to its residual."""
    for layer in layers:
        layer.weight.mul_(0.1)


def _normalized(x: Tensor) -> Tensor:
    return (x - CENTER) / SPREAD


def _grid_of(x: Tensor) -> tuple[int, int]:
    """Return the number of rows and columns of patches of a padded image."""
    return x.shape[-2] // PATCH, x.shape[-1] // PATCH
