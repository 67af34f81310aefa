"""Loops of slow metrics that Numba compiles, where the extra ``metrics`` is installed.

Nothing here is imported before such a metric is asked for: importing Numba takes half a second.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def compiled_loops(name: str) -> Any:
    """Return a module of this package; ``None`` where Numba is missing or does not know this NumPy."""
    try:
        return import_module(f"{__name__}.{name}")
    except ImportError:
        return None
