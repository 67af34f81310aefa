"""Weights and training states on disk; a kill leaves the old file or the new one, never half of one."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ivfuse.errors import InputError
from ivfuse.runtime.files import replacing
from ivfuse.training.nets import build_net, outputs_of

_FAILURES = (RuntimeError, SafetensorError)  # what torch and safetensors raise if they cannot write


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state atomically; raises OutputError if that fails."""
    with replacing(path, _FAILURES) as part:
        torch.save(state, part)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; raises InputError if the file is not one."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a training state of ivfuse: {_first_line(error)}") from None
    if not isinstance(state, dict) or not isinstance(state.get("weights"), dict):
        raise InputError(f"{path}: not a training state of ivfuse: it holds no weights")
    return state


def save_model(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a network's weights as safetensors.

    Args:
        path: the file.
        weights: a state dict.
        about: ``method``, ``variant``, ``net`` (constructor options) and whatever else the card needs;
            kept as JSON. ``left_out`` names the parts of the network whose weights are left out on purpose.

    Raises:
        OutputError: the file cannot be written; an old one is left as it was.
    """
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}
    with replacing(path, _FAILURES) as part:
        # One entry: safetensors writes several in no fixed order, and equal weights should be equal files.
        save_file(plain, part, metadata={"ivfuse": json.dumps(dict(about))})


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
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a safetensors file: {_first_line(error)}") from None
    if not isinstance(about, dict) or "method" not in about:
        raise InputError(f"{path}: these weights were not written by ivfuse; convert them first")
    return weights, about


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file that :func:`save_model` wrote, in eval mode, and its facts.

    Parts that ``about["left_out"]`` names may be without weights; they keep their random ones.

    Raises:
        InputError: missing, not such a file, or weights that do not fit the network.
        UnknownNameError, UsageError: a network or an option that this version does not have.
    """
    weights, about = read_model(path)
    net = build_net(about["method"], about.get("variant", "fixed"), **about.get("net", {}))
    expected, allowed = net.state_dict(), set(about.get("left_out", ()))
    missing = [k for k in expected if k not in weights and k.split(".")[0] not in allowed]
    wrong = [k for k, v in weights.items() if k not in expected or v.shape != expected[k].shape] + missing
    if wrong:
        raise InputError(f"{path}: {len(wrong)} weights do not fit {about['method']}: {', '.join(wrong[:3])}")
    full = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    net.load_state_dict(full, strict=False)
    return net.eval(), about


def load_fusing(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """As :func:`load_model`, of a network that fuses.

    Raises:
        InputError: as there, or weights of the matcher.
    """
    net, about = load_model(path)
    if "fused" not in outputs_of(net):
        raise InputError(
            f"{path}: found the {about['method']}'s weights, expected those of a network that fuses"
        )
    return net, about


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
