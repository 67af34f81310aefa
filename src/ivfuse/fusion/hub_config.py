"""``config.json`` of a published model: what it is, and the digests of its files; all of it untrusted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivfuse.errors import InputError
from ivfuse.fusion.manifest import ModelEntry, parse_entry
from ivfuse.runtime.files import check_regular

CONFIG, GRAPH, WEIGHTS, CARD = "config.json", "model.onnx", "model.safetensors", "README.md"
LIBRARY = "ivfuse"
FORMAT = 1
MAX_CONFIG = 64 * 1024  # bytes
MAX_FILE = 2**31  # bytes; a graph of protobuf cannot be larger
MAX_TEXT = 300  # characters of a name or summary

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RANGES = {
    "size": (1, MAX_FILE),
    "parameters": (0, 10**12),
    "align": (1, 1024),
    "reach": (0, 4096),
    "tile": (32, 16384),
}


@dataclass(frozen=True)
class FileFacts:
    """Digest (64 lower-case hexadecimal digits) and size in bytes of a published file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class ModelConfig:
    """The content of ``config.json``.

    Attributes:
        entry: properties of the method, and the facts of its graph, as in a manifest of weights.
        network: name of the network, which ``ivfuse.training`` builds.
        files: digest and size of ``model.onnx`` and ``model.safetensors``.
    """

    entry: ModelEntry
    network: str
    files: Mapping[str, FileFacts]


def write_config(network: str, graph: Mapping[str, str | int | bool], weights: FileFacts) -> str:
    """Return the text of a ``config.json``.

    Args:
        network: name of the network.
        graph: facts of the graph, with the keys of a manifest entry.
        weights: digest and size of ``model.safetensors``.
    """
    content = {
        "library_name": LIBRARY,
        "format": FORMAT,
        "network": network,
        "graph": dict(graph),
        "weights": {"file": WEIGHTS, "sha256": weights.sha256, "size": weights.size},
    }
    return json.dumps(content, indent=2) + "\n"


def read_config(path: Path, name: str) -> ModelConfig:
    """Read and validate a ``config.json``.

    Args:
        path: the file.
        name: name of the method, for its properties.

    Raises:
        InputError: if the file is missing, too large, not JSON, of another kind, or has a value that is
            missing, mistyped or out of range.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration: {error.strerror}") from error
    if len(data) > MAX_CONFIG:
        raise InputError(f"{path}: found more than {MAX_CONFIG:,} bytes, expected a small configuration")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError: also bad UTF-8 and an integer of many digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"{path}: not JSON: {reason}") from None
    if not isinstance(content, dict) or content.get("library_name") != LIBRARY:
        raise InputError(f"{path}: a configuration of another kind; expected a model published by ivfuse")
    if content.get("format") != FORMAT:
        found = _short(content.get("format"))
        raise InputError(f"{path}: found format {found}, expected {FORMAT}; a newer ivfuse may read it")
    return _parse(path, content, name)


def _parse(path: Path, content: Mapping[str, Any], name: str) -> ModelConfig:
    network = content.get("network")
    if not isinstance(network, str) or not 0 < len(network) <= MAX_TEXT:
        raise InputError(f"{path}: found network {_short(network)}, expected the name of a network")
    graph = _table(path, content, "graph", GRAPH)
    weights = _table(path, content, "weights", WEIGHTS)
    entry = parse_entry(name, graph, path)
    files = {key: FileFacts(table["sha256"], table["size"]) for key, table in
             ((GRAPH, graph), (WEIGHTS, weights))}  # fmt: skip
    return ModelConfig(entry, network, files)


def _table(path: Path, content: Mapping[str, Any], key: str, file: str) -> dict[str, Any]:
    """Validate the table of a file: plain values in range, its name, digest and size."""
    table = content.get(key)
    if not isinstance(table, dict):
        raise InputError(f"{path}: found {key} {_short(table)}, expected a table")
    for name, value in table.items():
        where = f"{path}: {key}.{name[:MAX_TEXT]}"
        if not isinstance(value, str | int) or (isinstance(value, str) and len(value) > MAX_TEXT):
            raise InputError(f"{where}: found {_short(value)}, expected a number or a short text")
        low, high = _RANGES.get(name, (0, 0))
        if name in _RANGES and not (type(value) is int and low <= value <= high):
            raise InputError(f"{where}: found {_short(value)}, expected a whole number, {low} to {high}")
    for name, fits, expected in (
        ("file", table.get("file") == file, repr(file)),
        ("sha256", bool(_SHA256.fullmatch(str(table.get("sha256")))), "64 lower-case hexadecimal digits"),
        ("size", "size" in table, "its bytes"),
    ):
        if not fits:
            raise InputError(f"{path}: {key}.{name}: found {_short(table.get(name))}, expected {expected}")
    return table


def _short(value: Any) -> str:
    """A value of a hostile file in a few words."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
