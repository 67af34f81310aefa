"""Reading of pairs as 8-bit arrays in color, for the alignment of channels; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ivfuse.errors import InputError
from ivfuse.image.arrays import Levels, to_levels
from ivfuse.image.color import resize_to
from ivfuse.image.pairing import FilePair, pair_folder
from ivfuse.image.read import read_visible
from ivfuse.thermal.read import read_thermal

Item = TypeVar("Item")


@dataclass(frozen=True)
class ColorPair:
    """One pair of images.

    Attributes:
        name: name of the pair.
        ir: thermal image, (H, W) uint8.
        vi: visible image, (H, W, 3) uint8 in R, G, B order; gray files have three equal channels.
    """

    name: str
    ir: Levels
    vi: Levels


def list_pairs(
    folder: Path, exclude: frozenset[str] = frozenset(), limit: int | None = None
) -> list[FilePair]:
    """List the pairs of a folder.

    Args:
        folder: a folder with ``ir/`` and ``vi/``.
        exclude: names of pairs to exclude.
        limit: largest number of pairs, selected evenly in the order of names; ``None`` for all.

    Raises:
        InputError: if the folder is missing or no pairs are left.
    """
    pairs = [p for p in pair_folder(folder).pairs if p.name not in exclude]
    if not pairs:
        raise InputError(f"{folder}: no pairs to use")
    return spread_evenly(pairs, limit)


def spread_evenly(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Select ``limit`` items evenly, the first and the last included; ``None`` for all of them."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, limit).round().astype(int)]


def stems_of(folders: Sequence[Path]) -> frozenset[str]:
    """Return the names of all pairs in these folders."""
    return frozenset(pair.name for folder in folders for pair in pair_folder(folder).pairs)


def read_color_pairs(pairs: Sequence[FilePair]) -> Iterator[ColorPair]:
    """Read pairs one at a time, with thermal images resampled to the visible grid."""
    for pair in pairs:
        vi = read_visible(pair.vi).pixels
        ir = resize_to(read_thermal(pair.ir).pixels, *vi.shape[:2])
        if vi.ndim == 2:
            vi = np.repeat(vi[..., None], 3, axis=2)
        yield ColorPair(pair.name, to_levels(ir), to_levels(vi))
