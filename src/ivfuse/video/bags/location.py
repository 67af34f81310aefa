"""Locations of topics in bags, such as ``drive.mcap:/thermal/image_raw``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".bag", ".mcap", ".db3")
OUTPUT_SUFFIX = ".mcap"
METADATA = "metadata.yaml"  # of a ROS 2 folder


class BagTopic(NamedTuple):
    """A bag and the name of a topic in it; "" if none is given."""

    path: Path
    topic: str


def find_bag(location: str) -> BagTopic | None:
    """Split the location of a topic; ``None`` if it is not that of a bag.

    Args:
        location: a .bag, .mcap or .db3 file or the folder of a ROS 2 bag, with or without ``:/TOPIC``.
    """
    path, colon, topic = location.rpartition(":/")
    if colon and _is_bag(Path(path)):
        return BagTopic(Path(path), f"/{topic}")
    return BagTopic(Path(location), "") if _is_bag(Path(location)) else None


def file_of(location: str) -> Path:
    """The file or folder of a location, without a topic."""
    found = find_bag(location)
    return Path(location) if found is None else found.path


def storages(folder: Path) -> list[Path]:
    """The files of a ROS 2 folder that hold messages."""
    return sorted(path for path in folder.glob("*") if path.suffix in (".mcap", ".db3") and path.is_file())


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return (path / METADATA).is_file() or bool(storages(path))
    return path.suffix.lower() in SUFFIXES
