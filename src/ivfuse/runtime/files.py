"""Atomic writing of files and folders.

A file is either written completely or not at all, and never over one of the inputs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

from ivfuse.errors import InputError, OutputError, fault_of

_PART = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.part", re.DOTALL)
_DAY = 86_400.0  # seconds


def write_atomic(path: Path, data: bytes | memoryview | str) -> None:
    """Write a file atomically: an existing file stays in place until the new one is complete.

    Args:
        path: the file to write; missing parent folders are created.
        data: the content; text is encoded as UTF-8.

    Raises:
        OutputError: if the file cannot be written.
    """
    with replacing(path) as part, part.open("xb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


def part_of(path: Path) -> Path:
    """Return a new hidden name in the folder of ``path`` for a file or folder that is being written.

    It states the process, so that :func:`remove_stale_parts` can tell whether its writer is gone, and at most
    80 bytes of the name, because names are limited to 255 bytes.
    """
    name = os.fsencode(path.name)[:80].decode("utf-8", "ignore")
    return path.with_name(f".{name}.{_machine()}-{os.getpid()}-{os.urandom(4).hex()}.part")


def remove_stale_parts(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    Removed are those of processes of this machine that are gone, and those of other machines after a day.
    Other files, and what cannot be removed, stay.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            owner = _PART.fullmatch(entry.name)
            if owner and _is_stale(entry, owner["machine"], int(owner["process"])):
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)


@lru_cache(maxsize=256)  # the first time that this process writes into the folder
def _remove_stale_parts_once(folder: Path) -> None:
    remove_stale_parts(folder)


def _is_stale(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    with suppress(OSError):
        if entry.is_symlink():
            return False
        if machine == _machine() and os.name == "posix":
            return not _is_running(process)
        return time.time() - entry.stat().st_mtime > _DAY
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, as another user
        return True
    return True


@cache
def _machine() -> str:
    """Eight hexadecimal digits for this machine, its boot, and its process IDs (a container has its own)."""
    facts = [platform.node()]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        facts.append(os.readlink("/proc/self/ns/pid"))
    return f"{zlib.crc32(' '.join(facts).encode('utf-8', 'replace')):08x}"


@contextmanager
def replacing(path: Path, errors: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Provide a temporary path that replaces ``path`` when the block ends without an error.

    The temporary path is hidden, unique to the call, in the same folder, and removed after an error. Those
    that killed processes left in the folder are removed when this process first writes there. The
    ``tempfile`` module is not used because it makes files readable by their owner only and ignores the umask.

    Args:
        path: the file to write, or a folder if the block creates one; missing parent folders are created.
        errors: exceptions, in addition to OSError, that are reported as a failure to write.

    Yields:
        The temporary path to write to.

    Raises:
        OutputError: if the path is an existing folder or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path}: cannot be written: it is a folder, expected the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot make the folder {path.parent}: {error.strerror or error}"
        ) from error
    _remove_stale_parts_once(path.parent)
    part = part_of(path)
    try:
        yield part
        os.replace(part, path)
    except (OSError, *errors) as error:  # type: ignore[misc]  # a tuple of exception classes
        reason = fault_of(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        part.unlink(missing_ok=True)


def check_regular(path: Path) -> None:
    """Check that a path is neither a device nor a FIFO nor a socket, whose reading may never end.

    A path that does not exist, is a folder or cannot be accessed passes; opening it reports that.

    Raises:
        InputError: if it is one.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a null character in the name
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
        found = next((name for test, name in kinds if test(mode)), "a device")
        raise InputError(f"{path}: found {found}, expected a regular file")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as 64 lower-case hexadecimal digits, read in parts.

    Raises:
        InputError: if the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {fault_of(error)}") from error


def make_folder(folder: Path) -> None:
    """Create an output folder, check that it is writable, and remove what killed runs left in it.

    Raises:
        OutputError: if the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the output folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: the output folder is not writable")
    remove_stale_parts(folder)


def refuse_input_as_output(out: Path, *inputs: Path) -> None:
    """Raise OutputError if the output file is one of the input files."""
    for path in inputs:
        if out.resolve() == path.resolve():
            raise OutputError(f"{out}: the output is one of the inputs; choose another name")
