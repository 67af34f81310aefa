"""Colormaps that assign colors to thermal values, from cold to hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UnknownNameError
from ivfuse.image.arrays import Gray, Rgb

CAMERA = "camera"  # selects the colormap stored in the thermal file
LEVELS = 256

# Evenly spaced colors from cold to hot, chosen for this project.
_STOPS: dict[str, tuple[str, ...]] = {
    "white-hot": ("000000", "ffffff"),
    "black-hot": ("ffffff", "000000"),
    "iron": (
        "00000a",
        "1c0060",
        "5a0092",
        "95029a",
        "c2235f",
        "e04a16",
        "f17c02",
        "fbb01a",
        "fee36a",
        "ffffff",
    ),
    "rainbow": (
        "00006e",
        "0040e0",
        "00a0e8",
        "00c878",
        "4cd800",
        "d8e000",
        "ffb000",
        "ff5a00",
        "e00010",
        "ffd8e8",
    ),
    "lava": (
        "000000",
        "0a2a3c",
        "2a3f58",
        "6d2f63",
        "b02848",
        "dd3c20",
        "f07818",
        "f8b430",
        "fce888",
        "ffffff",
    ),
    "arctic": (
        "0a1450",
        "1440b0",
        "1e88d8",
        "58c0e8",
        "9aa8b0",
        "b8a080",
        "d8a040",
        "f0b820",
        "fcdc50",
        "fff8d0",
    ),
}


@dataclass(frozen=True)
class Colormap:
    """A colormap.

    Attributes:
        name: one of :func:`colormap_names`, or the name of a colormap from a file.
        colors: (256, 3) float32 in [0, 1], R, G, B, from cold to hot.
    """

    name: str
    colors: NDArray[np.float32]

    def paint(self, values: Gray) -> Rgb:
        """Convert values (H, W) in [0, 1] to colors (H, W, 3) in [0, 1]."""
        index = np.clip(np.rint(values * (LEVELS - 1)), 0, LEVELS - 1).astype(np.intp)
        return self.colors[index]


def colormap_names() -> list[str]:
    """Return the names of the built-in colormaps, sorted."""
    return sorted(_STOPS)


def find_colormap(name: str) -> Colormap:
    """Look up a built-in colormap.

    Raises:
        UnknownNameError: if there is no such colormap; the error lists similar names.
    """
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key not in _STOPS:
        raise UnknownNameError("colormap", name, [*_STOPS, CAMERA], field="colormap")
    stops = np.array([tuple(bytes.fromhex(stop)) for stop in _STOPS[key]], np.float32) / 255
    return from_colors(key, stops)


def from_colors(name: str, colors: NDArray[Any]) -> Colormap:
    """Create a colormap from (N, 3) evenly spaced colors in [0, 1]."""
    at = np.linspace(0, 1, len(colors))
    even = np.linspace(0, 1, LEVELS)
    table = np.stack([np.interp(even, at, colors[:, channel]) for channel in range(3)], axis=1)
    return Colormap(name, table.astype(np.float32))
