"""Locks on files and folders that are being written, which end with the process, however it ends."""

from __future__ import annotations

import os
from pathlib import Path

from ivfuse.errors import OutputError


class Lock:
    """The right to write a file or a folder that other runs of ivfuse respect; see :func:`take_lock`."""

    def __init__(self, descriptor: int) -> None:
        """Keep the open file that carries the lock."""
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others write; does nothing the second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take_lock(path: Path, name: Path) -> Lock | None:
    """Lock a file, which is created empty if it does not exist, or a folder.

    Args:
        path: the file or folder to lock.
        name: the output, for the message.

    Returns:
        The lock; ``None`` where the system has no locks on files (Windows, some network file systems).

    Raises:
        OutputError: if another run has the lock.
        OSError: if the file cannot be created.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        return None
    while True:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_at(path, descriptor):
                return Lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(f"{name}: another run is writing it", hint="choose another output") from error
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)  # the run that had the lock has renamed the file in between


def _is_still_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
