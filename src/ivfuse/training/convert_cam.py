"""Conversion of the authors' checkpoints of crossfuse-cam to weights of the paper variant.

A released file is a plain state dict. Unknown keys and missing weights are errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.nets.crossfuse_cam_paper import CrossFuseCamPaper
from ivfuse.training.release import (
    Weights,
    check_keys,
    check_shapes,
    read_release,
    state_dict,
    to_float,
)

METHOD = "crossfuse-cam"
HEAD = 32  # channels per attention head in the release, which the shapes of weights do not reveal


def convert_crossfuse_cam(
    auto_ir: Path, auto_vi: Path, fusion: Path, *, heads: int | None = None
) -> tuple[Weights, dict[str, Any]]:
    """Convert the three released files to weights and constructor options of :class:`CrossFuseCamPaper`.

    Args:
        auto_ir: thermal auto-encoder of stage 1.
        auto_vi: visible auto-encoder of stage 1.
        fusion: cross attention module and decoder of stage 2.
        heads: number of attention heads; ``None`` for one per 32 channels of a token, as released.

    Raises:
        InputError: if a file is missing or not a state dict, a key is unknown or missing, or the shape of a
            tensor does not match the other files.
        UsageError: if the number of heads does not divide the size of a token.
    """
    weights: Weights = {}
    origin: dict[str, tuple[Path, str]] = {}
    none: frozenset[str] = frozenset()
    for path, names, unused in (
        (auto_ir, _auto_names("ir"), none),
        (auto_vi, _auto_names("vi"), none),
        (fusion, _fusion_names(), _unused()),
    ):
        released = state_dict(path, read_release(path))
        check_keys(path, METHOD, released, names.values(), unused)
        for ours, theirs in names.items():
            weights[ours] = to_float(released[theirs])
            origin[ours] = (path, theirs)
        _check_boxes(path, released)
    options = _options(weights, heads)
    with torch.device("meta"):
        expected = CrossFuseCamPaper(**options).state_dict()
    check_shapes(weights, expected, origin)
    return weights, options


# ------------------------------------------------------------------ names: ours -> the release's


def _auto_names(modality: str) -> dict[str, str]:
    """Map the names of one auto-encoder."""
    encoder, reconstructor = f"encoder_{modality}", f"reconstructor_{modality}"
    layers = {f"{encoder}.stem": "fea_encoder1.conv1"}
    for ours, theirs in (("block1", "dense_blocks.0"), ("block2", "dense_blocks.2")):
        for i in range(3):
            layers[f"{encoder}.{ours}.layers.{i}"] = f"fea_encoder1.{theirs}.dense_conv{i}"
        layers[f"{encoder}.{ours}.adjust"] = f"fea_encoder1.{theirs}.adjust_conv"
    released = ("conv1", "conv_block.0", "conv_block.2", "conv_last")
    for ours, theirs in zip(("conv1", "conv2", "conv3", "out"), released, strict=True):
        layers[f"{reconstructor}.{ours}"] = f"recon_decoder1.{theirs}"
    return dict(_with_leaves((ours, f"{theirs}.conv2d.0") for ours, theirs in layers.items()))


def _fusion_names() -> dict[str, str]:
    """Map the names of the cross attention module (CAM) and the fusion decoder."""
    layers: list[tuple[str, str]] = []
    inner = {"norm1": "norm1", "proj": "attn.proj", "norm2": "norm2", "mlp.0": "mlp.fc1", "mlp.2": "mlp.fc2"}
    for ours, theirs in _self_blocks():
        extra = {"qkv": "attn.qkv"}
        layers += [(f"cam.{ours}.{a}", f"{theirs}.blocks.0.{b}") for a, b in (inner | extra).items()]
    for ours, theirs in _cross_blocks():
        extra = {"query": "attn.q_linear", "key": "attn.k_linear", "value": "attn.v_linear"}
        layers += [(f"cam.{ours}.{a}", f"{theirs}.blocks.0.{b}") for a, b in (inner | extra).items()]
        layers.append((f"cam.{ours}.norm3", f"{theirs}.norm"))
    names = dict(_with_leaves(layers))
    released = ("conv1", "conv_block.0", "conv_block.2", "conv_block.4", "conv_last")
    for ours, theirs in zip(("conv1", "conv2", "conv3", "conv4", "out"), released, strict=True):
        pair = (f"decoder.{ours}", f"decoder_fusion.{theirs}.conv2d")
        names |= dict(_with_leaves((f"{pair[0]}.{i}", f"{pair[1]}.{i}") for i in (0, 1)))
        for leaf in ("running_mean", "running_var", "num_batches_tracked"):
            names[f"{pair[0]}.1.{leaf}"] = f"{pair[1]}.1.{leaf}"
    return names


def _self_blocks() -> Iterator[tuple[str, str]]:
    for i, order in ((1, "first"), (2, "second")):
        for j, modality in ((1, "ir"), (2, "vi")):
            yield f"{order}_{modality}", f"cross_atten_block.self_atten_block{i}.self_atten{j}"


def _cross_blocks() -> Iterator[tuple[str, str]]:
    """Our blocks are named after the modality of keys and values, theirs are numbered by that of queries."""
    for j, base in ((1, "vi"), (2, "ir")):
        yield f"cross_{base}", f"cross_atten_block.cross_atten_block.cross_atten{j}"


def _with_leaves(layers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for ours, theirs in layers:
        for leaf in ("weight", "bias"):
            yield f"{ours}.{leaf}", f"{theirs}.{leaf}"


BOXES = ("decoder_fusion.weight.conv_sh.weight", "decoder_fusion.weight.conv_de.weight")


def _unused() -> frozenset[str]:
    """List the keys of the fusion file that the released network never uses, and its constant box filters."""
    dead = [f"{theirs}.norm" for _, theirs in _self_blocks()]
    dead += [f"{theirs}.blocks.0.attn.qkv" for _, theirs in _cross_blocks()]
    leaves = (theirs for _, theirs in _with_leaves(("", layer) for layer in dead))
    return frozenset((*leaves, "conv_gra.weight", *BOXES))


# ------------------------------------------------------------------ checking


def _check_boxes(path: Path, released: Weights) -> None:
    """Check that the box filters in the file are box filters, since the network computes them itself."""
    for key in BOXES:
        if key in released and not torch.allclose(released[key].float(), torch.tensor(1 / 9)):
            raise InputError(f"{path}: {key} is not the constant 1/9 of the release")


def _options(weights: Mapping[str, Tensor], heads: int | None) -> dict[str, Any]:
    """Derive widths from the shapes of the thermal encoder."""
    layers = {"shallow": "stem", "growth": "block1.layers.0", "deep": "block1.adjust"}
    widths = {name: len(weights[f"encoder_ir.{layer}.bias"].flatten()) for name, layer in layers.items()}
    return widths | {"heads": heads or max(1, 4 * widths["deep"] // HEAD)}
