"""Registry of the thermal file formats, and recognition of the format of a file."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from ivfuse.runtime.files import check_regular
from ivfuse.thermal.formats.base import THERMAL_FORMATS, RecordingReader, ThermalFrames, ThermalReader
from ivfuse.thermal.formats.frame_numbers import split_number

# Modules that register a format, in the order in which they are tried; plain images come last.
_MODULES = (
    "flir_jpeg",
    "flir_sequence",
    "dji_jpeg",
    "infiray_irg",
    "infiray_jpeg",
    "seek_hir",
    "hikmicro_jpeg",
    "other_makers",
    "raw_frames",
)
PLAIN = "image"
_PNG = b"\x89PNG\r\n\x1a\n"


def thermal_formats() -> dict[str, ThermalReader]:
    """Return the registry, filled at the first use; plain images come last."""
    for name in (*_MODULES, "plain_image"):
        _register(name)
    return {name: THERMAL_FORMATS[name] for name in sorted(THERMAL_FORMATS, key=lambda name: name == PLAIN)}


def format_of(path: str | os.PathLike[str]) -> ThermalReader:
    """Determine the format of a file by its content; missing and unreadable files count as plain images.

    Args:
        path: a file, or ``FILE#N`` for a frame of a recording.

    Raises:
        InputError: if the path is a device, a FIFO or a socket.
    """
    file, number = split_number(path)
    check_regular(file)
    try:
        with file.open("rb") as stream:
            if stream.read(len(_PNG)) == _PNG:  # no camera's format; the modules of those are not imported
                return _plain_image()
            found = next(each for each in thermal_formats().values() if each.recognize(stream))
    except (OSError, ValueError):  # ValueError: a null character in the name
        return _plain_image()
    return found if number is None or isinstance(found, RecordingReader) else _plain_image()


def open_frames(path: str | os.PathLike[str]) -> ThermalFrames | None:
    """Open the frames of a recording; ``None`` for any other file, and for a single frame ``FILE#N``.

    Raises:
        InputError: if the recording is damaged.
    """
    found = format_of(path)
    file, number = split_number(path)
    return found.frames(file) if isinstance(found, RecordingReader) and number is None else None


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a plain image instead of a thermal camera format."""
    return format_of(path) is _plain_image()


def holds_photo(path: str | os.PathLike[str]) -> bool:
    """Whether a file may contain both a thermal image and a visible photo, so that it is a pair by itself."""
    return format_of(path).holds_photo(Path(path))


def _plain_image() -> ThermalReader:
    _register("plain_image")
    return THERMAL_FORMATS[PLAIN]


def _register(name: str) -> None:
    import_module(f"ivfuse.thermal.formats.{name}")
