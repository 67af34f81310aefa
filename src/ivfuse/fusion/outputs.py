"""Files written beside or instead of the fused image; a further kind is one more class here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ivfuse.errors import UsageError
from ivfuse.fusion.pair import Pair
from ivfuse.image.arrays import Pixels
from ivfuse.image.formats import TIFF, check_output, format_of
from ivfuse.image.write import write_image
from ivfuse.thermal.raster import check_raster, write_celsius


class Output(Protocol):
    """Something that is written of a fused pair.

    Attributes:
        kind: a word for summaries, such as ``temperature``.
    """

    kind: str

    def path_for(self, name: str, pairs: int) -> Path:
        """The file that the pair ``name`` of ``pairs`` goes into.

        Raises:
            UsageError: if one file is named for many pairs.
        """
        ...

    def write(self, path: Path, pair: Pair, fused: Pixels) -> tuple[str, ...]:
        """Write a file, whole or not at all; returns notes for users.

        Raises:
            InputError: if the pair does not have what is to be written.
            OutputError: if it cannot be written.
        """
        ...


@dataclass(frozen=True)
class FusedImage:
    """The fused image itself, with the alpha of the visible where the format holds it.

    Attributes:
        target: a file for a single pair, or a folder.
        suffix: of files in a folder, which chooses the format; "" if the target is a file.
        depth: bits per channel, 8 or 16.

    Raises:
        UsageError: if the suffix is unknown or does not hold the depth.
    """

    target: Path
    suffix: str = ""
    depth: int = 8
    kind = "fused"

    def __post_init__(self) -> None:
        """Refuse names that cannot be written before any work is done."""
        check_output(self.target if not self.suffix else "x" + self.suffix, self.depth)

    def path_for(self, name: str, pairs: int) -> Path:
        """See :class:`Output`."""
        return self.target / f"{name}{self.suffix}" if self.suffix else self.target

    def write(self, path: Path, pair: Pair, fused: Pixels) -> tuple[str, ...]:
        """See :class:`Output`."""
        alpha = pair.visible.alpha
        write_image(path, fused, depth=self.depth, alpha=alpha)
        found = format_of(path)
        if alpha is not None and found is not None and not found.alpha:
            return (f"visible: its alpha is dropped, {path.suffix} has none",)
        return ()


@dataclass(frozen=True)
class TemperatureRaster:
    """The temperatures on the fused image's grid, float32 TIFF in degC.

    Attributes:
        target: a .tif or .tiff file for a single pair, or a folder.
    """

    target: Path
    kind = "temperature"

    def path_for(self, name: str, pairs: int) -> Path:
        """See :class:`Output`."""
        if self.target.suffix.lower() not in TIFF.suffixes:
            return self.target / f"{name}.tiff"
        if pairs > 1:
            raise UsageError(f"{self.target}: one file of temperatures for {pairs} pairs, expected a folder")
        return self.target

    def write(self, path: Path, pair: Pair, fused: Pixels) -> tuple[str, ...]:
        """See :class:`Output`."""
        check_raster(path)
        write_celsius(path, pair.thermal.temperatures())
        return ()
