"""Reading and atomic writing of weights and training states."""

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

_FAILURES = (RuntimeError, SafetensorError)  # raised by torch and safetensors if they cannot write


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state atomically.

    Raises:
        OutputError: if the file cannot be written.
    """
    with replacing(path, _FAILURES) as part:
        torch.save(state, part)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state.

    Raises:
        InputError: if the file is not a training state.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a training state of ivfuse: {_first_line(error)}") from None
    if not isinstance(state, dict) or not isinstance(state.get("weights"), dict):
        raise InputError(f"{path}: not a training state of ivfuse: it contains no weights")
    return state


def save_model(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write the weights of a network as safetensors.

    Args:
        path: the file to write.
        weights: a state dict.
        about: metadata stored as JSON: ``method``, ``variant``, ``net`` (constructor options) and further
            facts for the model card. ``left_out`` lists parts of the network that are deliberately omitted.

    Raises:
        OutputError: if the file cannot be written; an existing file is kept.
    """
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}
    with replacing(path, _FAILURES) as part:
        # A single entry, since safetensors does not write several entries in a fixed order.
        save_file(plain, part, metadata={"ivfuse": json.dumps(dict(about))})


def read_model(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the weights and metadata of a file written by :func:`save_model`.

    Raises:
        InputError: if the file is missing or was not written by :func:`save_model`.
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
    """Load the network of a file written by :func:`save_model`, in eval mode, and the metadata.

    Parts listed in ``about["left_out"]`` may lack weights and keep their random initialization.

    Raises:
        InputError: if the file is missing, has another format, or its weights do not match the network.
        UnknownNameError: if this version does not have the network.
        UsageError: if this version does not have an option of the network.
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
    """Load a fusion network; see :func:`load_model`.

    Raises:
        InputError: see :func:`load_model`; also if the weights are those of the matcher.
    """
    net, about = load_model(path)
    if "fused" not in outputs_of(net):
        raise InputError(f"{path}: found weights of {about['method']}, expected those of a fusion network")
    return net, about


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
