"""Reading checkpoint files that authors released: plain tensors only, every key known, one line where not."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ivfuse.errors import InputError
from ivfuse.training.checkpoint import load_model

Weights = dict[str, Tensor]
Net = TypeVar("Net", bound=nn.Module)


def read_release(path: Path) -> dict[str, Any]:
    """What a released file holds; nothing but tensors and plain containers is ever unpickled.

    Raises:
        InputError: missing, not a PyTorch checkpoint, or not a dict.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a released checkpoint")
    try:
        # Training programs keep their command line beside the weights: plain values in a plain class.
        with torch.serialization.safe_globals([Namespace]):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        why = (str(error).splitlines() or ["empty file"])[0]
        raise InputError(f"{path}: not a PyTorch checkpoint: {why}") from None
    if not isinstance(state, Mapping):
        raise InputError(f"{path}: holds a {type(state).__name__}, expected a plain state dict of tensors")
    return {str(key): value for key, value in state.items()}


def state_dict(path: Path, state: Any) -> Weights:
    """A state dict of tensors, ``module.`` (of DataParallel) taken off the keys.

    Raises:
        InputError: ``state``, read from ``path``, is something else.
    """
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: holds a {type(state).__name__}, expected a plain state dict of tensors")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def check_keys(
    path: Path, method: str, found: Iterable[str], needed: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Every key must be known, and every needed one there.

    Raises:
        InputError: names the file, how many keys are wrong, and three of them.
    """
    found, needed = set(found), set(needed)
    for problem, keys in (("unknown", found - needed - set(optional)), ("missing", needed - found)):
        if keys:
            some = ", ".join(sorted(keys)[:3])
            raise InputError(f"{path}: {len(keys)} {problem} keys for {method}: {some}")


def check_shapes(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: Mapping[str, tuple[Path, str]]
) -> None:
    """Every weight must have the shape that the network asks for.

    Args:
        weights: by our names, at least those of ``expected``.
        expected: the network's state dict, on any device.
        origin: the file and the key there that each weight was read from.

    Raises:
        InputError: names the file, its key, and both shapes.
    """
    for ours, value in expected.items():
        if weights[ours].shape != value.shape:
            path, theirs = origin[ours]
            found, wanted = tuple(weights[ours].shape), tuple(value.shape)
            raise InputError(f"{path}: {theirs} has the shape {found}, expected {wanted}")


def load_paper(path: Path, kind: type[Net], method: str) -> Net:
    """The paper variant of a file of converted weights, in eval mode.

    Raises:
        InputError: missing, not such a file, or weights of another network.
    """
    net, about = load_model(path)
    if not isinstance(net, kind):
        found = f"{about['method']} ({about.get('variant', 'fixed')})"
        raise InputError(f"{path}: weights of {found}, expected {method} (paper)")
    return net


def to_float(value: Tensor) -> Tensor:
    """float32 for halves and doubles; counts stay."""
    return value.float() if value.is_floating_point() else value
