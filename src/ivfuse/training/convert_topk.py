"""Conversion of the authors' checkpoint of crossfuse-topk to weights of the paper variant.

The released file is a dict of four state dicts. Widths and depths are derived from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.nets.crossfuse_topk_paper import CrossFuseTopkPaper
from ivfuse.training.release import (
    Weights,
    check_keys,
    check_shapes,
    count_blocks,
    read_release,
    state_dict,
    to_float,
)

METHOD = "crossfuse-topk"
GROUPS = ("DIDF_Encoder", "DIDF_Decoder", "BaseFuseLayer", "DetailFuseLayer")

# Our names -> released names, applied to whole names in this order.
_PLACES = (
    (r"^encoder\.stem\.", "DIDF_Encoder.patch_embed.proj."),
    (r"^encoder\.blocks\.", "DIDF_Encoder.encoder_level1."),
    (r"^encoder\.low\.", "DIDF_Encoder.baseFeature."),
    (r"^encoder\.high\.", "DIDF_Encoder.detailFeature.net."),
    (r"^decoder\.reduce\.", "DIDF_Decoder.reduce_channel."),
    (r"^decoder\.blocks\.", "DIDF_Decoder.encoder_level2."),
    (r"^decoder\.out\.", "DIDF_Decoder.output."),
    (r"^fuse_low\.", "BaseFuseLayer."),
    (r"^fuse_high\.", "DetailFuseLayer.net."),
)
_PARTS = (
    (r"\.(norm\d)\.", r".\1.body."),
    (r"\.(phi|rho|eta)\.", r".theta_\1.bottleneckBlock."),
    (r"\.shuffle\.", ".shffleconv."),
    (r"\.enter\.", ".project_in."),
    (r"\.leave\.", ".project_out."),
)
_BLOCK = (  # blocks of encoder and decoder
    (r"\.attention\.local\.", ".attn.qkv_dwconv."),
    (r"\.attention\.out\.", ".attn.project_out."),
    (r"\.attention\.", ".attn."),
    (r"\.feed_forward\.local\.", ".ffn.dwconv."),
    (r"\.feed_forward\.", ".ffn."),
)
_LOW = (  # heads of the low band
    (r"\.attention\.temperature$", ".attn.scale"),
    (r"\.attention\.qkv\.", ".attn.qkv1."),
    (r"\.attention\.local\.", ".attn.qkv2."),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.feed_forward\.local\.", ".mlp.dwconv."),
    (r"\.feed_forward\.", ".mlp."),
)


def convert_crossfuse_topk(file: Path) -> tuple[Weights, dict[str, Any]]:
    """Convert the released file to weights and constructor options of :class:`CrossFuseTopkPaper`.

    Raises:
        InputError: if the file is missing or does not contain the four state dicts, a key is unknown or
            missing, or the shape of a tensor does not match the others.
    """
    content = read_release(file)
    check_keys(file, METHOD, content, GROUPS)
    released = {
        f"{group}.{key}": to_float(value)
        for group in GROUPS
        for key, value in state_dict(file, content[group]).items()
    }
    options = _options(file, released)
    with torch.device("meta"):
        expected = CrossFuseTopkPaper(**options).state_dict()
    names = {ours: released_name(ours) for ours in expected}
    check_keys(file, METHOD, released, names.values())
    weights = {ours: released[theirs] for ours, theirs in names.items()}
    check_shapes(weights, expected, {ours: (file, theirs) for ours, theirs in names.items()})
    return weights, options


def released_name(ours: str) -> str:
    """Convert the name of a weight to that of the release: group, dot, key within the group."""
    name = _renamed(ours, _PLACES)
    low = ".baseFeature." in name or name.startswith("BaseFuseLayer.")
    return _renamed(_renamed(name, _LOW if low else _BLOCK, once=True), _PARTS)


def _renamed(name: str, rules: tuple[tuple[str, str], ...], *, once: bool = False) -> str:
    """Apply rules in order; ``once`` stops after the first that matches."""
    for pattern, replacement in rules:
        name, count = re.subn(pattern, replacement, name)
        if count and once:
            break
    return name


def _options(file: Path, released: Mapping[str, Tensor]) -> dict[str, Any]:
    """Derive width, blocks, heads and nodes from shapes and from the numbers in names."""
    stem, scale = "DIDF_Encoder.patch_embed.proj.weight", "DIDF_Encoder.baseFeature.attn.scale"
    check_keys(file, METHOD, released.keys() & {stem, scale}, (stem, scale))
    counts = {
        "blocks": count_blocks(released, r"DIDF_Encoder\.encoder_level1"),
        "nodes": count_blocks(released, r"DIDF_Encoder\.detailFeature\.net"),
    }
    sizes = {"width": released[stem].shape[0], "heads": released[scale].shape[0]}
    if sizes["width"] % 2 or sizes["width"] % sizes["heads"]:
        raise InputError(
            f"{file}: {sizes['heads']} heads do not divide {sizes['width']} channels in two parts"
        )
    return sizes | counts
