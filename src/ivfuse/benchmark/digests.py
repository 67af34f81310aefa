"""Digests that tell whether files, settings or the code of the metrics are the same."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ivfuse.errors import InputError, fault_of


def digest(*parts: bytes | str) -> str:
    """SHA-256 of several parts, each preceded by its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Key of a file's content, by :func:`digest`.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return digest(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {fault_of(error)}") from error


@cache
def metrics_version() -> str:
    """Digest of the source code of the metrics: scores of other versions are not reused."""
    import ivfuse.metrics

    return code_digest(Path(ivfuse.metrics.__file__).parent)


def code_digest(folder: Path) -> str:
    """Digest of the Python files of a folder, with their names."""
    return digest(*(part for path in sorted(folder.glob("*.py")) for part in (path.name, path.read_bytes())))
