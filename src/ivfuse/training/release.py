"""Reading and validation of checkpoints released by authors, restricted to plain tensors."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ivfuse.errors import InputError
from ivfuse.training.checkpoint import load_checkpoint, save_model

Weights = dict[str, Tensor]


def read_release(path: Path) -> dict[str, Any]:
    """Read a released checkpoint; only tensors and plain containers are unpickled.

    Raises:
        InputError: if the file is missing, not a PyTorch checkpoint, or not a dict.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a released checkpoint")
    try:
        # Training programs often store their command line with the weights, as a Namespace of plain values.
        with torch.serialization.safe_globals([Namespace]):
            state = load_checkpoint(path)
    except InputError:
        raise
    except Exception as error:
        why = (str(error).splitlines() or ["empty file"])[0]
        raise InputError(f"{path}: not a PyTorch checkpoint: {why}") from None
    if not isinstance(state, Mapping):
        raise InputError(f"{path}: contains a {type(state).__name__}, expected a plain state dict of tensors")
    return {str(key): value for key, value in state.items()}


def state_dict(path: Path, state: Any) -> Weights:
    """Validate a state dict of tensors and remove the ``module.`` prefix of DataParallel from its keys.

    Raises:
        InputError: if ``state``, which was read from ``path``, is not a state dict.
    """
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: contains a {type(state).__name__}, expected a plain state dict of tensors")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def check_keys(
    path: Path, method: str, found: Iterable[str], needed: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Check that there are no unknown and no missing keys.

    Raises:
        InputError: if there are; the message contains the file, their number and up to three of them.
    """
    found, needed = set(found), set(needed)
    for problem, keys in (("unknown", found - needed - set(optional)), ("missing", needed - found)):
        if keys:
            some = ", ".join(sorted(keys)[:3])
            raise InputError(f"{path}: {len(keys)} {problem} keys for {method}: {some}")


def check_shapes(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: Mapping[str, tuple[Path, str]]
) -> None:
    """Check that all weights have the shapes of the network.

    Args:
        weights: weights by our names, at least those of ``expected``.
        expected: state dict of the network, on any device.
        origin: for each weight, the file and the key it was read from.

    Raises:
        InputError: if a shape differs; the message contains the file, the key and both shapes.
    """
    for ours, value in expected.items():
        if weights[ours].shape != value.shape:
            path, theirs = origin[ours]
            found, wanted = tuple(weights[ours].shape), tuple(value.shape)
            raise InputError(f"{path}: {theirs} has the shape {found}, expected {wanted}")


def count_blocks(keys: Iterable[str], prefix: str) -> int:
    """Count the numbers that follow a prefix (a regular expression) and a dot in keys."""
    return len({match[1] for key in keys if (match := re.match(rf"{prefix}\.(\d+)\.", key))})


def save_converted(path: Path, method: str, weights: Weights, options: Mapping[str, Any]) -> None:
    """Write converted weights of the paper variant as safetensors.

    Args:
        path: the file to write.
        method: name of the method.
        weights: names and tensors of the network.
        options: options of the network's constructor.

    Raises:
        OutputError: if the file cannot be written.
    """
    origin = "the authors' checkpoint files"
    about = {"method": method, "variant": "paper", "net": dict(options), "origin": origin}
    save_model(path, weights, about)


def to_float(value: Tensor) -> Tensor:
    """Convert floats of any precision to float32; integers are kept."""
    return value.float() if value.is_floating_point() else value
