"""The interface of what a run does with its pairs, and the columns of rows that all kinds of work share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

import ivfuse
from ivfuse.cluster.pairs import PairRow
from ivfuse.fusion.hub import find_model, is_reference
from ivfuse.fusion.manifest import load_manifest
from ivfuse.fusion.registry import default_method, method_info

_ROOMS = ("fusion", "image", "metrics", "registration", "runtime", "thermal", "cluster")

# Columns of every row, before those of the work.
COMMON = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "ir", "vi", "rig", "window", "labels", "fused")),
        *((name, pa.string()) for name in ("status", "reason", "method", "weights", "code")),
        ("seconds", pa.float64()),
    ]
)

# Columns of works whose tables state what was measured; empty for a file that cannot be read.
SOURCE_DIGESTS = pa.schema([("ir_sha256", pa.string()), ("vi_sha256", pa.string())])


class Session(Protocol):
    """What one worker keeps warm: a method, or the metrics. Reading and writing run beside computing."""

    def read(self, pair: PairRow, folder: Path) -> Any:
        """Fetch and decode a pair; ``folder`` is for copies of remote files."""
        ...

    def compute(self, data: Any) -> Any:
        """Do the work on what was read."""
        ...

    def write(self, pair: PairRow, result: Any, folder: Path) -> list[dict[str, Any]]:
        """Write files below ``folder`` and return rows; ``fused`` names an image relative to it."""
        ...

    def finish(self, folder: Path) -> None:
        """Write what the whole shard gave; called once after its pairs."""
        ...


class Work(Protocol):
    """What a run does with its pairs. Instances are sent to other processes.

    Attributes:
        name: kind of the work.
        columns: columns of its rows in addition to :data:`COMMON`; those of :data:`SOURCE_DIGESTS` among
            them are filled in for it.
    """

    name: str

    @property
    def columns(self) -> pa.Schema:
        """See above."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that determines the results, as JSON values."""
        ...

    def check(self) -> None:
        """Raise an :class:`IvfuseError` if the work cannot be done, before it starts."""
        ...

    def session(self, threads: int) -> Session:
        """Build the session of a worker."""
        ...

    def failed(self, pair: PairRow, reason: str) -> list[dict[str, Any]]:
        """The rows of a pair that could not be worked on."""
        ...


@cache
def code_version() -> str:
    """The version of ivfuse with a digest of the code that determines results."""
    root = Path(ivfuse.__file__).parent
    total = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            total.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{ivfuse.__version__}+{total.hexdigest()[:8]}"


def method_version(method: str | os.PathLike[str] | None) -> tuple[str, str]:
    """Return the name of a method and the version of its output, with the digest of its weights.

    Raises:
        UnknownNameError: if there is no such method.
        InputError: if a graph cannot be read.
    """
    if is_reference(method):
        model = find_model(str(method))
        return str(model.reference), model.config.entry.sha256[:16]
    if method is not None and Path(method).suffix.lower() == ".onnx":
        from ivfuse.cluster.locations import read_bytes

        return Path(method).stem, hashlib.sha256(read_bytes(os.fspath(method))).hexdigest()[:16]
    name = os.fspath(method) if method is not None else default_method()
    entry = load_manifest().models.get(name)
    version = method_info(name).version
    return name, f"{version} {entry.sha256[:16]}" if entry else version


def as_values(thing: Any) -> Any:
    """Convert options to JSON values: dataclasses to tables, arrays to lists, paths to text."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {each.name: as_values(getattr(thing, each.name)) for each in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(key): as_values(value) for key, value in sorted(thing.items())}
    if isinstance(thing, np.ndarray | np.generic):
        return thing.tolist()
    if isinstance(thing, list | tuple):
        return [as_values(each) for each in thing]
    if isinstance(thing, str | int | float | bool) or thing is None:
        return thing
    return str(thing)


def digest_of(*values: Any) -> str:
    """SHA-256 of JSON values, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
