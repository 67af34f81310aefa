"""Small valid files of every kind that ivfuse reads, made from synthetic scenes; the corpus that is mutated.

To add a format, write a function decorated by ``@seeds(kind)`` that returns files by name, in one of the
modules below; the suffix of a name decides which structure its mutations follow (see ``mutations.py``).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

Maker = Callable[[], dict[str, bytes]]

KINDS = ("images", "thermal", "video", "files")
_MODULES = ("seeds_images", "seeds_thermal", "seeds_video", "seeds_files")
_MAKERS: dict[str, list[Maker]] = {kind: [] for kind in KINDS}


def seeds(kind: str) -> Callable[[Maker], Maker]:
    """Register a function that makes files of a kind, named like ``gray-16.png``."""

    def add(maker: Maker) -> Maker:
        _MAKERS[kind].append(maker)
        return maker

    return add


def made_by(name: str) -> Any:
    """A module of ``tests/`` that lays files out as devices do, like ``synthetic_flir``."""
    if name not in sys.modules:
        file = Path(__file__).resolve().parents[2] / "tests" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@cache
def corpus(kind: str) -> dict[str, bytes]:
    """All files of a kind by name; they are made at the first use."""
    for module in _MODULES:
        import_module(f"fuzz.{module}")
    return {name: data for maker in _MAKERS[kind] for name, data in maker().items()}
