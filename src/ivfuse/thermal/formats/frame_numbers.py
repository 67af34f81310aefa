"""Frames of a recording as paths: ``FILE#N`` is frame N, counted from 0."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NUMBERED = re.compile(r"(.+)#(\d{1,9})", re.DOTALL)


def split_number(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """Split a path into the file and the number of a frame.

    Returns:
        The path itself and ``None`` unless it ends with ``#`` and a number, no such file exists, and there is
        a file of the name before the ``#``.
    """
    found = _NUMBERED.fullmatch(os.fspath(path))
    if found is None or os.path.lexists(path) or not os.path.isfile(found[1]):
        return Path(path), None
    return Path(found[1]), int(found[2])


def numbered(path: Path, index: int) -> Path:
    """Return the path of a frame."""
    return Path(f"{path}#{index}")
