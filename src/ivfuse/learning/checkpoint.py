"""Weights and training states on disk, written so that a kill leaves the old file or the new one, never half."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ivfuse.errors import InputError
from ivfuse.learning.nets import build_net


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state atomically."""
    part = path.with_name(path.name + ".part")
    torch.save(state, part)
    os.replace(part, path)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; raises InputError if the file is not one."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path}: not a training state of ivfuse: {str(error).splitlines()[0]}") from None
    return state


def save_model(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a network's weights as safetensors.

    Args:
        path: the file.
        weights: a state dict.
        about: ``method``, ``variant``, ``net`` (constructor options) and whatever else the card needs; kept as JSON.
    """
    part = path.with_name(path.name + ".part")
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}
    save_file(plain, part, metadata={"format": "pt", "ivfuse": json.dumps(dict(about))})
    os.replace(part, path)


def read_model(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and facts of a file that :func:`save_model` wrote.

    Raises:
        InputError: missing, or not such a file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected weights as safetensors")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("ivfuse", "null"))
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from None
    if not isinstance(about, dict) or "method" not in about:
        raise InputError(f"{path}: these weights were not written by ivfuse; convert them first")
    return weights, about


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file that :func:`save_model` wrote, in eval mode, and its facts."""
    weights, about = read_model(path)
    net = build_net(about["method"], about.get("variant", "fixed"), **about.get("net", {}))
    missing, extra = net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()},
                                         strict=False)
    allowed = set(about.get("left_out", ()))
    wrong = [k for k in missing if k.split(".")[0] not in allowed] + list(extra)
    if wrong:
        raise InputError(f"{path}: {len(wrong)} weights do not fit {about['method']}: {', '.join(wrong[:3])}")
    return net.eval(), about
