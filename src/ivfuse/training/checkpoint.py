"""Reading and atomic writing of weights and training states."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ivfuse.errors import InputError, IvfuseError, first_line
from ivfuse.runtime.files import check_regular, replacing
from ivfuse.training.nets import build_net, outputs_of

MAX_OPTION = 4096  # largest width or depth of a network; its layers are built before they are compared
_FAILURES = (RuntimeError, SafetensorError)  # raised by torch and safetensors if they cannot write


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state atomically.

    Raises:
        OutputError: if the file cannot be written.
    """
    with replacing(path, _FAILURES) as part:
        torch.save(state, part)


def check_archive(path: Path) -> None:
    """Check that a checkpoint of torch stores its tensors uncompressed, as torch writes them.

    A compressed one can need a thousand times its size in memory.

    Raises:
        InputError: if it is compressed, or a device or FIFO.
    """
    check_regular(path)
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
            stated = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # torch names the damage
    if packed or stated > path.stat().st_size:
        raise InputError(f"{path}: found a compressed archive, expected a checkpoint as torch.save writes it")


def load_checkpoint(path: Path) -> Any:
    """Read a checkpoint of torch, of which only tensors and plain containers are unpickled.

    Raises:
        InputError: see :func:`check_archive`.
        Exception: of any kind, depending on the damage.
    """
    check_archive(path)
    # Files of torch before 1.6 state lengths, which a plain file would allocate before it reads them.
    with path.open("rb") as file:
        is_archive = (
            file.read(4) == b"PK\3\4"
        )  # as torch decides; archives can also end a file of another kind
    source = path if is_archive else BytesIO(path.read_bytes())
    return torch.load(source, map_location="cpu", weights_only=True)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state.

    Raises:
        InputError: if the file is not a training state.
    """
    try:
        state = load_checkpoint(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a training state of ivfuse: {first_line(error)}") from None
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
        InputError: if the file is missing, was not written by :func:`save_model`, or its metadata are
            malformed.
    """
    check_regular(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected weights as safetensors")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("ivfuse", "null"))
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError, RuntimeError) as error:
        raise InputError(f"{path}: not a safetensors file: {first_line(error)}") from None
    if not isinstance(about, dict) or "method" not in about:
        raise InputError(f"{path}: these weights were not written by ivfuse; convert them first")
    _check_about(path, about)
    return weights, about


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    """Check the types of the metadata that this module uses."""
    net, left_out = about.get("net", {}), about.get("left_out", [])
    for key in ("method", "variant"):
        if not isinstance(about.get(key, ""), str):
            raise _wrong(path, key, about[key], "a name")
    if not isinstance(net, dict):
        raise _wrong(path, "net", net, "options of a network")
    for key, value in net.items():
        numbers = value if isinstance(value, list) else [value]
        if not all(isinstance(n, int | float | str) for n in numbers) or any(
            not isinstance(n, str) and not 0 <= n <= MAX_OPTION for n in numbers
        ):
            raise _wrong(path, f"net.{key}", value, f"a number from 0 to {MAX_OPTION}")
    if not isinstance(left_out, list) or not all(isinstance(part, str) for part in left_out):
        raise _wrong(path, "left_out", left_out, "a list of names")


def _wrong(path: Path, key: str, found: Any, expected: str) -> InputError:
    shown = f"an integer of {len(hex(found)) - 2} hexadecimal digits" if _is_huge(found) else f"{found!r:.60}"
    return InputError(f"{path}: metadata {key}: found {shown}, expected {expected}")


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 64


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the network of a file written by :func:`save_model`, in eval mode, and the metadata.

    Parts listed in ``about["left_out"]`` may lack weights and keep their random initialization.

    Raises:
        InputError: if the file is missing, has another format, or its weights do not match the network.
        UnknownNameError: if this version does not have the network.
        UsageError: if this version does not have an option of the network.
    """
    weights, about = read_model(path)
    # Without memory at first: the options may state a network that is larger than this file by far.
    with torch.device("meta"):
        expected = _build(path, about).state_dict()
    allowed = set(about.get("left_out", ()))
    missing = [k for k in expected if k not in weights and k.split(".")[0] not in allowed]
    wrong = [k for k, v in weights.items() if k not in expected or v.shape != expected[k].shape] + missing
    if wrong:
        raise InputError(f"{path}: {len(wrong)} weights do not fit {about['method']}: {', '.join(wrong[:3])}")
    net = _build(path, about)
    full = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    net.load_state_dict(full, strict=False)
    return net.eval(), about


def _build(path: Path, about: Mapping[str, Any]) -> nn.Module:
    """Build the network that the metadata of a file describe."""
    try:
        return build_net(about["method"], about.get("variant", "fixed"), **about.get("net", {}))
    except IvfuseError:
        raise
    except Exception as error:  # layers reject impossible sizes, each in its own way
        raise InputError(
            f"{path}: metadata net: no network has these options: {first_line(error)}"
        ) from error


def load_fusing(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a fusion network; see :func:`load_model`.

    Raises:
        InputError: see :func:`load_model`; also if the weights are those of the matcher.
    """
    net, about = load_model(path)
    if "fused" not in outputs_of(net):
        raise InputError(f"{path}: found weights of {about['method']}, expected those of a fusion network")
    return net, about
