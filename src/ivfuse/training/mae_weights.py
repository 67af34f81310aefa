"""Reading of encoder weights from the official MAE checkpoints or from an ivfuse training run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ivfuse.errors import InputError, UsageError
from ivfuse.training.checkpoint import read_model
from ivfuse.training.nets.maefuse_paper import DEVIATION, MEAN
from ivfuse.training.nets.vit import Encoder, position_codes
from ivfuse.training.release import Weights, check_keys, check_shapes, read_release, state_dict, to_float

METHOD = "the encoder of maefuse"
LEFT_OUT = (
    "mask_token",
    "decoder_embed.",
    "decoder_pos_embed",
    "decoder_blocks.",
    "decoder_norm.",
    "decoder_pred.",
)


def read_encoder(net: nn.Module, path: Path) -> Weights:
    """Read a state dict for ``net.encoder`` from a file; the network is not modified.

    Args:
        net: a network whose part ``encoder`` is a :class:`~ivfuse.training.nets.vit.Encoder`.
        path: a checkpoint of the MAE release, or weights written by ``ivfuse train`` (``.safetensors``), of
            which the encoder is used. The decoder of a MAE checkpoint is ignored, as is the class token
            unless the encoder has one.

    Raises:
        UsageError: if the network has no such encoder.
        InputError: if the file is missing or has another format, a key is unknown or missing, a size does
            not match, or position codes are learned.
    """
    encoder = getattr(net, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise UsageError(f"{type(net).__name__} has no transformer encoder, expected no encoder weights")
    weights = _read_ivfuse(path) if path.suffix == ".safetensors" else _read_mae(path, encoder)
    expected = encoder.state_dict()
    check_keys(path, METHOD, weights, expected)
    check_shapes(weights, expected, {key: (path, key) for key in expected})
    return weights


def plain_names(path: Path, content: Mapping[str, Any]) -> Weights:
    """Extract the state dict of a checkpoint, without ``module.`` prefixes and with MAE's layer names."""
    inner = content.get("model", content)
    out: Weights = {}
    for key, value in state_dict(path, inner).items():
        name = re.sub(r"(^|\.)module\.", r"\1", key)
        name = re.sub(r"\.mlp\.0\.", ".mlp.fc1.", name)  # the fusion release builds its MLPs as sequences
        out[re.sub(r"\.mlp\.2\.", ".mlp.fc2.", name)] = value
    return out


def check_codes(path: Path, key: str, value: Tensor, dim: int) -> None:
    """Check that position codes in a file are the fixed sines of a square grid, which are computed here.

    Raises:
        InputError: if they are different, for example learned.
    """
    count = value.numel() // dim
    side = int(count**0.5)
    found = value.reshape(-1, dim)[count - side * side :] if value.numel() == count * dim else value
    if found.shape != (side * side, dim) or not torch.allclose(
        found.float(), position_codes(side, side, dim), atol=2e-3
    ):
        raise InputError(f"{path}: {key} contains learned position codes, expected MAE's fixed sines")


def _read_ivfuse(path: Path) -> Weights:
    weights, about = read_model(path)
    found = {k.removeprefix("encoder."): to_float(v) for k, v in weights.items() if k.startswith("encoder.")}
    if "patch_embed.proj.weight" not in found:
        raise InputError(f"{path}: weights of {about['method']}, expected ones with a transformer encoder")
    return found


def _read_mae(path: Path, encoder: Encoder) -> Weights:
    """Read the encoder of a MAE checkpoint, converted to the number of channels of the encoder."""
    weights = plain_names(path, read_release(path))
    weights = {k: to_float(v) for k, v in weights.items() if not k.startswith(LEFT_OUT)}
    if (codes := weights.pop("pos_embed", None)) is not None:
        check_codes(path, "pos_embed", codes, codes.shape[-1])
    if encoder.cls_token is None:
        weights.pop("cls_token", None)
    names = [f"patch_embed.proj.{leaf}" for leaf in ("weight", "bias")]
    check_keys(path, METHOD, weights.keys() & set(names), names)
    if encoder.patch_embed.proj.in_channels == 1 and weights[names[0]].shape[1:2] == (3,):
        weights |= dict(zip(names, _fold_channels(*(weights[name] for name in names)), strict=True))
    return weights


def _fold_channels(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Fold the weights of three channels with equal content into one.

    A gray image normalized by the channel averages of ImageNet's mean and deviation then gives the same
    tokens as three copies that are normalized per channel.
    """
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (MEAN, DEVIATION))
    center, spread = mean.mean(), deviation.mean()
    per_level = weight / deviation
    return spread * per_level.sum(1, keepdim=True), bias + (per_level * (center - mean)).sum((1, 2, 3))
