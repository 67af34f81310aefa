"""Files and folders that are written: whole or not at all, never over an input."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ivfuse.errors import OutputError


def write_atomic(path: Path, data: bytes | memoryview | str) -> None:
    """Write a file; what was there before stays until the new one is complete.

    Args:
        path: missing folders are made.
        data: the content; text is written as UTF-8.

    Raises:
        OutputError: naming the file and the reason.
    """
    with replacing(path) as part, part.open("xb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


@contextmanager
def replacing(path: Path, errors: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """A name beside ``path`` to write to, which takes its place when the block ends without an error.

    The name is hidden, its own for each call, and gone after an error. It is not made by ``tempfile``, whose
    files are private to the user whatever the umask says.

    Args:
        path: a file (or, if the block makes one, a folder) to be; missing folders above it are made.
        errors: exceptions of the block that mean that it cannot be written, beside OSError.

    Raises:
        OutputError: naming the file and the reason.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder, expected the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot make the folder {path.parent}: {error.strerror or error}"
        ) from error
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        yield part
        os.replace(part, path)
    except (OSError, *errors) as error:  # type: ignore[misc]  # a tuple of exception classes
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make an output folder.

    Raises:
        OutputError: if it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the output folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: the output folder is not writable")


def refuse_input_as_output(out: Path, *inputs: Path) -> None:
    """Raise OutputError if a file to be written is one of the files to be read."""
    for path in inputs:
        if out.resolve() == path.resolve():
            raise OutputError(f"{out}: the output is one of the inputs; choose another name")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
