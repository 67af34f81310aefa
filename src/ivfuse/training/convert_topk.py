"""The authors' checkpoint of crossfuse-topk, made into weights of the paper variant here.

The released file is a dict of four state dicts; widths and depths are read off the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.checkpoint import save_model
from ivfuse.training.nets.crossfuse_topk_paper import CrossFuseTopkPaper
from ivfuse.training.release import (
    Weights,
    check_keys,
    check_shapes,
    load_paper,
    read_release,
    state_dict,
    to_float,
)

METHOD = "crossfuse-topk"
GROUPS = ("DIDF_Encoder", "DIDF_Decoder", "BaseFuseLayer", "DetailFuseLayer")

# Ours -> the release's, on whole names; rules are applied in their order.
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
_BLOCK = (  # of encoder and decoder
    (r"\.attention\.local\.", ".attn.qkv_dwconv."),
    (r"\.attention\.out\.", ".attn.project_out."),
    (r"\.attention\.", ".attn."),
    (r"\.feed_forward\.local\.", ".ffn.dwconv."),
    (r"\.feed_forward\.", ".ffn."),
)
_LOW = (  # of the low heads
    (r"\.attention\.temperature$", ".attn.scale"),
    (r"\.attention\.qkv\.", ".attn.qkv1."),
    (r"\.attention\.local\.", ".attn.qkv2."),
    (r"\.attention\.out\.", ".attn.proj."),
    (r"\.feed_forward\.local\.", ".mlp.dwconv."),
    (r"\.feed_forward\.", ".mlp."),
)


def convert_crossfuse_topk(file: Path) -> tuple[Weights, dict[str, int]]:
    """Weights and constructor options of :class:`CrossFuseTopkPaper` from the released file.

    Raises:
        InputError: a file that is missing or is not the four state dicts, an unknown or a missing key, a
            tensor of another shape than the others ask for; the message names the file and up to three keys.
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


def save_crossfuse_topk(path: Path, weights: Mapping[str, Tensor], options: Mapping[str, int]) -> None:
    """Write what :func:`convert_crossfuse_topk` returned as safetensors that say what they are."""
    about = {"method": METHOD, "variant": "paper", "net": dict(options)}
    save_model(path, weights, about | {"origin": "the authors' checkpoint file"})


def load_crossfuse_topk_paper(path: Path) -> CrossFuseTopkPaper:
    """The network of a file that :func:`save_crossfuse_topk` wrote, in eval mode.

    Raises:
        InputError: missing, not such a file, or weights of another network.
    """
    return load_paper(path, CrossFuseTopkPaper, METHOD)


def released_name(ours: str) -> str:
    """The release's name of one of our weights: its group, a point, its key there."""
    name = _renamed(ours, _PLACES)
    low = ".baseFeature." in name or name.startswith("BaseFuseLayer.")
    return _renamed(_renamed(name, _LOW if low else _BLOCK, once=True), _PARTS)


def release_groups(weights: Mapping[str, Tensor]) -> dict[str, Weights]:
    """The way back: the four state dicts of the release."""
    groups: dict[str, Weights] = {group: {} for group in GROUPS}
    for ours, value in weights.items():
        group, key = released_name(ours).split(".", 1)
        groups[group][key] = value
    return groups


def _renamed(name: str, rules: tuple[tuple[str, str], ...], *, once: bool = False) -> str:
    """Apply rules in their order; ``once``: only the first that fits."""
    for pattern, replacement in rules:
        name, count = re.subn(pattern, replacement, name)
        if count and once:
            break
    return name


def _options(file: Path, released: Mapping[str, Tensor]) -> dict[str, int]:
    """Width, blocks, heads and nodes, off shapes and the numbers in names."""
    stem, scale = "DIDF_Encoder.patch_embed.proj.weight", "DIDF_Encoder.baseFeature.attn.scale"
    check_keys(file, METHOD, released.keys() & {stem, scale}, (stem, scale))
    counts = {
        option: len({match[1] for key in released if (match := re.match(rf"{prefix}\.(\d+)\.", key))})
        for option, prefix in (
            ("blocks", r"DIDF_Encoder\.encoder_level1"),
            ("nodes", r"DIDF_Encoder\.detailFeature\.net"),
        )
    }
    sizes = {"width": released[stem].shape[0], "heads": released[scale].shape[0]}
    if sizes["width"] % 2 or sizes["width"] % sizes["heads"]:
        raise InputError(
            f"{file}: {sizes['heads']} heads do not divide {sizes['width']} channels in two parts"
        )
    return sizes | counts
