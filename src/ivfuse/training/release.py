"""Reading and validation of checkpoints released by authors, restricted to plain tensors."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ivfuse.errors import InputError
from ivfuse.training.checkpoint import load_checkpoint, load_model, save_model

Weights = dict[str, Tensor]
Net = TypeVar("Net", bound=nn.Module)


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


def save_paper(
    path: Path, weights: Mapping[str, Tensor], method: str, net: Mapping[str, Any], origin: str
) -> None:
    """Write converted weights of the paper variant as safetensors.

    Args:
        path: the file to write.
        weights: names and tensors of the network.
        method: name of the method.
        net: options of the network.
        origin: where the weights come from.
    """
    about = {"method": method, "variant": "paper", "net": dict(net), "origin": origin}
    save_model(path, weights, about)


def load_paper(path: Path, kind: type[Net], method: str) -> Net:
    """Load the paper variant from a file of converted weights, in eval mode.

    Raises:
        InputError: if the file is missing, has another format, or contains weights of another network.
    """
    net, about = load_model(path)
    if not isinstance(net, kind):
        found = f"{about['method']} ({about.get('variant', 'fixed')})"
        raise InputError(f"{path}: weights of {found}, expected {method} (paper)")
    return net


def to_float(value: Tensor) -> Tensor:
    """Convert floats of any precision to float32; integers are kept."""
    return value.float() if value.is_floating_point() else value
