"""Conversion of the authors' checkpoints of maefuse to weights of the paper variant.

A file contains the auto-encoder (``model1.``), the fusion layer (``model2.``) or both. The authors' trainer
stores the state dict under ``model`` and prefixes its keys with ``module.`` one or more times. Widths and
depths are derived from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.mae_weights import check_codes, plain_names
from ivfuse.training.nets.maefuse_paper import MaeFusePaper
from ivfuse.training.release import (
    Weights,
    check_keys,
    check_shapes,
    count_blocks,
    read_release,
    to_float,
)

METHOD = "maefuse"
FIXED = {"model1.pos_embed": 0, "model1.decoder_pos_embed": 1, "model2.pos_embed": 0}
UNUSED = ("model1.cls_token", "model1.mask_token")
HEADS = 16  # number of heads in the release, which the shapes of weights do not reveal

# Our names -> released names, applied to whole names.
_PLACES = (
    (r"^encoder\.", "model1."),
    (r"^decoder\.", "model1."),
    (r"^cfm\.", "model2.cross_model."),
    (r"^mfm\.attention\.", "model2.merge_model."),
    (r"^mfm\.", "model2."),
)
_FUSION_LAYER = ("cross_model.", "merge_model.", "fc1.", "fc2.", "ln.")


def convert_maefuse(
    files: Sequence[Path],
    *,
    heads: int | None = None,
    decoder_heads: int | None = None,
    fusion_heads: int | None = None,
) -> tuple[Weights, dict[str, Any]]:
    """Convert the released files to weights and constructor options of :class:`MaeFusePaper`.

    Args:
        files: one complete file, or one with the auto-encoder and one with the fusion layer.
        heads: number of attention heads of the encoder; ``None`` for 16, as released.
        decoder_heads: number of attention heads of the decoder; ``None`` for 16.
        fusion_heads: number of attention heads of the fusion layer; ``None`` for 16.

    Raises:
        InputError: if a file is missing or not a state dict, a key is unknown, missing or in two files, or
            position codes are not sines.
        UsageError: if a number of heads does not divide the width.
    """
    released: Weights = {}
    for file in files:
        found = _read(file)
        if twice := sorted(found.keys() & released.keys()):
            raise InputError(f"{file}: {len(twice)} keys are also in another file: {twice[0]}")
        released |= found
    source = files[-1]
    options = _options(source, released)
    chosen = {"heads": heads, "decoder_heads": decoder_heads, "fusion_heads": fusion_heads}
    options |= {name: count or HEADS for name, count in chosen.items()}
    with torch.device("meta"):
        expected = MaeFusePaper(**options).state_dict()
    names = {ours: released_name(ours) for ours in expected}
    check_keys(source, METHOD, released, names.values(), (*FIXED, *UNUSED))
    for key, decoder in FIXED.items():
        if key in released:
            check_codes(source, key, released[key], options["decoder_dim" if decoder else "dim"])
    weights = {ours: to_float(released[theirs]) for ours, theirs in names.items()}
    check_shapes(weights, expected, {ours: (source, theirs) for ours, theirs in names.items()})
    return weights, options


def released_name(ours: str) -> str:
    """Convert the name of a weight to that of the release."""
    for pattern, replacement in _PLACES:
        name, count = re.subn(pattern, replacement, ours)
        if count:
            return name
    return ours


def _read(file: Path) -> Weights:
    """Read the tensors of a file, with names under ``model1.`` and ``model2.``."""
    named = plain_names(file, read_release(file))
    out: Weights = {}
    for key, value in named.items():
        if not key.startswith(("model1.", "model2.")):
            key = ("model2." if key.startswith(_FUSION_LAYER) else "model1.") + key
        out[key] = value
    return out


def _options(file: Path, released: Mapping[str, Tensor]) -> dict[str, Any]:
    """Derive widths and depths from shapes and from the numbers in names."""
    embed, decoder = "model1.patch_embed.proj.weight", "model1.decoder_embed.weight"
    check_keys(file, METHOD, released.keys() & {embed, decoder}, (embed, decoder))
    return {
        "dim": released[embed].shape[0],
        "depth": count_blocks(released, r"model1\.blocks"),
        "decoder_dim": released[decoder].shape[0],
        "decoder_depth": count_blocks(released, r"model1\.decoder_blocks"),
        "feed_forward": "model2.fc1.weight" in released,
    }
