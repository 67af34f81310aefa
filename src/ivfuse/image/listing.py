"""What folders contain: images, other files and subfolders, from one look at each folder."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import NamedTuple

from ivfuse.errors import InputError
from ivfuse.image.formats import CAMERA_SUFFIXES, INPUT_SUFFIXES


class Listing(NamedTuple):
    """The content of a folder, without hidden files.

    Attributes:
        images: to use.
        drawn: left out: the images that a camera draws beside files of its own, with the same stems.
        others: files of other suffixes.
        folders: the direct subfolders, and links to folders.
    """

    images: list[Path]
    drawn: list[Path]
    others: list[Path]
    folders: list[Path]


def list_images(folder: Path, suffixes: Container[str] = INPUT_SUFFIXES) -> list[Path]:
    """List the image files of a folder, as :func:`list_folder` does.

    Raises:
        InputError: if the folder is missing or cannot be listed.
    """
    return list_folder(folder, suffixes).images


def list_folder(folder: Path, suffixes: Container[str] = INPUT_SUFFIXES) -> Listing:
    """List a folder in natural order, without hidden files; images are known by their suffixes.

    Args:
        folder: the folder.
        suffixes: in lower case, of the images.

    Raises:
        InputError: if the folder is missing or cannot be listed.
    """
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                kept = _list_of(entry, files, folders)
                if kept is not None:
                    kept.append(folder / entry.name)
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no such folder, expected a folder with images") from error
    except NotADirectoryError as error:
        raise InputError(f"{folder}: found a file, expected a folder with images") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
    for found in (files, folders):
        found.sort(key=lambda x: (natural_key(x.name), x.name))
    others = [x for x in files if x.suffix.lower() not in suffixes]
    listing = without_drawn([x for x in files if x.suffix.lower() in suffixes])
    return listing._replace(others=others, folders=folders)


def without_drawn(files: Sequence[Path]) -> Listing:
    """Separate the images that a camera draws beside files of its own, in the same folder, from the rest."""
    cameras = {x for x in files if x.suffix.lower() in CAMERA_SUFFIXES}
    names = {x.with_suffix("") for x in cameras}
    drawn = {x for x in files if x not in cameras and x.with_suffix("") in names}
    return Listing([x for x in files if x not in drawn], [x for x in files if x in drawn], [], [])


def left_out(files: Sequence[Path], kind: str, reason: str) -> tuple[str, ...]:
    """Say in one line that files of a kind, such as "images", were left out, and why; none for no files."""
    if not files:
        return ()
    named = f"{files[0].name} is" if len(files) == 1 else f"{len(files)} {kind} such as {files[0].name} are"
    return (f"{named} left out{reason}",)


def note_on_drawn(drawn: Sequence[Path]) -> tuple[str, ...]:
    """Say which images were left out because the camera's own file of the same name is used."""
    return left_out(drawn, "images", ", since the camera's own file of the same name is used")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for natural order, in which numbers compare by value: x2 before x10."""
    parts = re.findall(r"(\d+)|(\D+)", text.casefold())
    return tuple((0, int(number), "") if number else (1, 0, word) for number, word in parts)


def _list_of(entry: os.DirEntry[str], files: list[Path], folders: list[Path]) -> list[Path] | None:
    """The list that an entry belongs to; ``None`` if it is hidden, or no file and no folder."""
    if entry.name.startswith("."):
        return None
    try:
        return folders if entry.is_dir() else files if entry.is_file() else None
    except OSError:  # a link that leads to itself, or to where nobody may look
        return None
