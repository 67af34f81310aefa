"""Limits on what a file or a caller may request: pixels, and with them memory, and threads."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

from ivfuse.errors import UsageError, check_type

MAX_PIXELS = 400_000_000  # a header that states a larger size is considered damaged or hostile
BYTES_PER_PIXEL = 48  # peak memory of the fusion of a color image
MAX_THREADS = 1024  # of a library, which creates them at once

_pixels: int | None = None  # the limit that was set for this process


def pixel_limit() -> int:
    """Return the largest number of pixels that this process decodes.

    Unless :func:`set_pixel_limit` has set it, this is what fits the available memory, and at most
    :data:`MAX_PIXELS`.
    """
    if _pixels is not None:
        return _pixels
    memory = available_memory()
    return MAX_PIXELS if memory is None else max(1, min(MAX_PIXELS, memory // BYTES_PER_PIXEL))


def set_pixel_limit(most: int | None) -> None:
    """Set the pixel limit of this process.

    Args:
        most: the largest number of pixels per image, 1 or more; ``None`` for the limit by available memory.
    """
    global _pixels
    _pixels = most


def given_pixel_limit() -> int | None:
    """Return the limit that :func:`set_pixel_limit` has set; ``None`` if there is none."""
    return _pixels


def check_threads(threads: int | None) -> None:
    """Check a number of threads, wherever one is given.

    Args:
        threads: 1 to :data:`MAX_THREADS`, or ``None``, which leaves it to the library that starts them.

    Raises:
        UsageError: if it is anything else.
    """
    check_type("threads", threads, (Integral, type(None)), "a whole number or None")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise UsageError(field="threads", found=threads, expected=f"1 to {MAX_THREADS}")


def available_memory() -> int | None:
    """Return the memory in bytes that this process can still use; ``None`` if the system does not tell.

    On Linux this is the smaller of what the system and the control group (version 2) of a container have
    left; on other systems, half of the installed memory.
    """
    found = [each for each in (_system_memory(), _group_memory()) if each is not None]
    return min(found) if found else None


def _system_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _group_memory(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what is left of the limit of a container, in which cached files count as free."""
    try:
        limit = int((folder / "memory.max").read_text())  # "max" if there is no limit
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
