"""maefuse, the fixed variant: codes of a masked auto-encoder, fused patch by patch (Li et al. 2025).

The structure is the paper's: one pre-trained encoder for both modalities, CFM, MFM, a decoder of few blocks.
What the release got wrong is mended:

- **Attention over patches**: the release attends over the batch, which at one pair is no attention at all.
- **Pre-norm, and a residual to the mean of both codes**: training begins where the paper's alignment is to
  lead. Position codes go to queries and keys alone, so they do not pile up in the values.
- **Any height and width**: replicated to whole patches, codes computed for the grid, cropped afterwards.
- **No blocks**: each patch decodes to twice its side, weighted by a ramp, and neighbors are added up, so no
  value jumps at the grid; and as no token holds fine detail, a few convolutions at full resolution see the
  sources themselves. They reach a few pixels only: *what* to keep is left to the codes, *where exactly* an
  edge runs is read off the pixels.
- **Bounded output without min-max**: a weight between the sources and a step towards black or white.
- **guide="infrared"** (section 4.4): MFM asks with the infrared codes and CFM is not there, which helps where
  the visible is over-exposed.
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
CENTER, SPREAD = sum(MEAN) / 3, sum(DEVIATION) / 3  # of gray images; what official weights are folded to


class CrossAttention(nn.Module):
    """Pre-norm attention from the patches of one code to those of another."""

    def __init__(self, dim: int, heads: int) -> None:
        """``heads`` divides ``dim``."""
        super().__init__()
        self.heads = heads
        self.norm_query = nn.LayerNorm(dim, eps=EPS)
        self.norm_other = nn.LayerNorm(dim, eps=EPS)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, other: Tensor, places: Tensor) -> Tensor:
        """Codes (B, T, C) each and position codes (T, C) -> (B, T, C)."""
        q, other = self.norm_query(query) + places, self.norm_other(other)
        out: Tensor = self.proj(
            attend(self.query(q), self.key(other + places), self.value(other), self.heads)
        )
        return out


class CrossFusion(nn.Module):
    """CFM: each modality asks the other, one set of weights for both directions."""

    def __init__(self, dim: int, heads: int, *, residual: bool) -> None:
        """``residual``: to the mean of both codes."""
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
    """MFM: a guide asks both codes; a feed-forward follows."""

    def __init__(self, dim: int, heads: int, *, residual: bool) -> None:
        """``residual``: to the mean of both codes."""
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
    """Tokens to pixels: each token paints twice its patch, weighted by a ramp to nothing at the rim.

    All pixels of a patch begin equal, so painting begins as bilinear interpolation between tokens: a random
    start for each pixel would repeat with the grid and show as a texture.
    """

    window: Tensor

    def __init__(self, dim: int, channels: int) -> None:
        """(B, T, dim) to ``channels``; one bias per channel, as one per pixel would repeat with the grid."""
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(dim, channels, 1, 1).repeat(1, 1, 2 * PATCH, 2 * PATCH) * dim**-0.5
        )
        self.bias = nn.Parameter(torch.zeros(channels))
        ramp = (torch.arange(PATCH) + 0.5) / PATCH
        ramp = torch.cat((ramp, ramp.flip(0)))  # of neighbors add up to one
        self.register_buffer("window", ramp[:, None] * ramp, persistent=False)

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """Paint a grid of tokens: (B, channels, 16 rows, 16 columns).

        The outermost :data:`~ivfuse.training.nets.blocks.BORDER` pixels lack a neighbor; they are cropped.
        """
        x = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], rows, columns)
        return F.conv_transpose2d(x, self.weight * self.window, self.bias, stride=PATCH, padding=PATCH // 2)


class PixelDecoder(nn.Module):
    """Codes to features at full resolution."""

    def __init__(self, trunk: Decoder, features: int) -> None:
        """``trunk`` gives tokens; ``features`` are channels."""
        super().__init__()
        self.trunk = trunk
        self.paint = Overlap(trunk.width, features)

    def forward(self, codes: Tensor, rows: int, columns: int) -> Tensor:
        """(B, T, dim) -> (B, features, 16 rows, 16 columns)."""
        out: Tensor = self.paint(self.trunk(codes, rows, columns), rows, columns)
        return out


class Head(nn.Module):
    """Decoded features and a detail path -> a weight between the sources and a step."""

    def __init__(self, features: int, detail: int) -> None:
        """``detail``: channels of the convolutions at full resolution."""
        super().__init__()
        self.detail = nn.Sequential(ConvAct(3, detail), ConvAct(detail, detail))
        self.mix = ConvAct(features + detail, detail)
        self.out = nn.Conv2d(detail, 2, 3, padding=1)

    def forward(self, x: Tensor, ir: Tensor, vi: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features into a weight in [0, 1] and a step in [-1, 1], (B, 1, H, W) each.

        Args:
            x: decoded, (B, features, H, W).
            ir, vi: the images, (B, 1, H, W).
            level: mean of the whole infrared, (B, 1, 1, 1): the zero between warm and cold.
        """
        detail = self.detail(torch.cat((ir, vi, ir - level), 1))
        weight, step = self.out(self.mix(torch.cat((x, detail), 1))).chunk(2, 1)
        return torch.sigmoid(weight), torch.tanh(step)


class MaeFuse(nn.Module):
    """The whole network, variant ``fixed``.

    Args:
        size: of the encoder: ``tiny``, ``small``, ``base`` or ``large``.
        dim, depth, heads: in place of the size's own.
        class_token: give the encoder MAE's class token, which official weights were trained with.
        grid: patches along an axis to which larger grids are scaled down, see
            :func:`~ivfuse.training.nets.vit.position_codes`: 14 for official weights; 0: never.
        decoder_dim, decoder_depth, decoder_heads: of the decoder.
        features: channels that the decoder gives at full resolution.
        detail: channels of the detail path.
        guide: what MFM asks with: ``cross`` (what CFM found) or ``infrared``.
        residual: of CFM and MFM to the mean of both codes; False is for the ablation.
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
        """Fuse (B, 1, H, W) in [0, 1] with the same, any H, W >= 1, into the same shape and range.

        ``level`` is the mean of the infrared, (B, 1, 1, 1); for a tile, that of the whole image. Without it
        the mean of ``ir`` is taken.
        """
        return self._forward(ir, vi, level, "mfm")

    def forward_through(self, ir: Tensor, vi: Tensor, through: str, level: Tensor | None = None) -> Tensor:
        """As :meth:`forward`; ``through="cfm"`` decodes what CFM found and passes MFM by."""
        return self._forward(ir, vi, level, through)

    def align_codes(self, ir: Tensor, vi: Tensor, through: str = "mfm") -> tuple[Tensor, Tensor]:
        """The code after a fusion module and what it is to resemble first, the mean of both codes."""
        ir, vi = pad_border(ir, PATCH), pad_border(vi, PATCH)
        a, b = self._codes(ir, vi)
        return self._fused(a, b, self._places(ir), through), (a + b) / 2

    def reconstruct(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor]:
        """Each image from its own code, (B, 1, H, W) each, not bounded."""
        h, w = ir.shape[-2:]
        ir, vi = pad_border(ir, PATCH), pad_border(vi, PATCH)
        a, b = (
            crop_border(self.reconstructor(self.decoder(code, *_grid_of(ir))), h, w)
            for code in self._codes(ir, vi)
        )
        return a, b

    def reconstruct_masked(self, x: Tensor, noise: Tensor, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
        """Masked auto-encoding: guess hidden patches from those that are seen.

        Args:
            x: images of any kind, (B, 1, H, W) in [0, 1], H and W multiples of 16.
            noise: (B, T) random numbers that choose the patches.
            ratio: the share that is hidden.

        Returns:
            Guessed and true values of all patches, (B, T, 256) in [0, 1] if guessed well, and (B, T) with 1
            where a patch was hidden.

        Raises:
            ShapeError: sides that are no multiples of 16.
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
        """Both images pass the shared encoder."""
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
    """Begin with a branch that adds little to its residual."""
    for layer in layers:
        layer.weight.mul_(0.1)


def _normalized(x: Tensor) -> Tensor:
    return (x - CENTER) / SPREAD


def _grid_of(x: Tensor) -> tuple[int, int]:
    """Rows and columns of patches of a padded image."""
    return x.shape[-2] // PATCH, x.shape[-1] // PATCH
