"""All thermal file formats, and which of them a file is of."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from ivfuse.thermal.formats.base import THERMAL_FORMATS, ThermalReader

# Modules that register a format, in the order in which files are tried; a plain image is what is left.
_MODULES = ("flir_jpeg", "dji_jpeg")
PLAIN = "image"


def thermal_formats() -> dict[str, ThermalReader]:
    """The registry, filled at the first use; plain images come last."""
    for name in (*_MODULES, "plain_image"):
        import_module(f"ivfuse.thermal.formats.{name}")
    return {name: THERMAL_FORMATS[name] for name in sorted(THERMAL_FORMATS, key=lambda name: name == PLAIN)}


def format_of(path: str | os.PathLike[str]) -> ThermalReader:
    """The format of a file, by its content; plain image for missing and unreadable ones too."""
    formats = list(thermal_formats().values())
    try:
        with Path(path).open("rb") as file:
            return next(each for each in formats if each.recognize(file))
    except (OSError, ValueError):  # ValueError: a null character in the name
        return formats[-1]


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of no thermal camera's format."""
    return format_of(path) is thermal_formats()[PLAIN]


def holds_photo(path: str | os.PathLike[str]) -> bool:
    """Whether a file may be a pair by itself: a thermal image with a visible photo in it."""
    return format_of(path).holds_photo(Path(path))
