"""Outputs of a fused pair, such as the fused image and its temperatures; each kind is a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.fusion.pair import Pair
from ivfuse.image.arrays import level_type
from ivfuse.image.formats import TIFF, check_output, format_of
from ivfuse.image.metadata import NO_METADATA
from ivfuse.image.write import write_image
from ivfuse.thermal.raster import check_raster, write_celsius


class Output(Protocol):
    """A kind of file that is written for a fused pair.

    Attributes:
        kind: name in summaries, such as ``temperature``.
    """

    kind: str

    def path_for(self, name: str, pairs: int) -> Path:
        """Return the file for the pair ``name`` in a batch of ``pairs`` pairs.

        Raises:
            UsageError: if the target is a single file but there are several pairs.
        """
        ...

    def write(self, path: Path, pair: Pair, fused: NDArray[Any]) -> tuple[str, ...]:
        """Write the file atomically and return notes for the user.

        Args:
            path: the file.
            pair: the pair that was fused.
            fused: the fused image, (H, W) or (H, W, 3); float32 in [0, 1], or uint8 or uint16 where it is
                written in that depth.

        Raises:
            InputError: if the pair does not contain the data.
            OutputError: if the file cannot be written.
        """
        ...


@dataclass(frozen=True)
class FusedImage:
    """The fused image, with the alpha of the visible image if the format supports it.

    Attributes:
        target: a file for a single pair, or a folder.
        suffix: suffix of files in a folder, which selects the format; "" if the target is a file.
        depth: bits per sample, 8 or 16.
        strip: whether to drop the metadata of the pair (EXIF, GPS, capture time, XMP).

    Raises:
        UsageError: if the suffix is unknown or the format does not support the depth.
    """

    target: Path
    suffix: str = ""
    depth: int = 8
    strip: bool = False
    kind = "fused"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the levels in the file."""
        return level_type(self.depth)

    def __post_init__(self) -> None:
        """Check suffix and depth before any pair is fused."""
        check_output(self.target if not self.suffix else "x" + self.suffix, self.depth)

    def path_for(self, name: str, pairs: int) -> Path:
        """See :class:`Output`."""
        return self.target / f"{name}{self.suffix}" if self.suffix else self.target

    def write(self, path: Path, pair: Pair, fused: NDArray[Any]) -> tuple[str, ...]:
        """See :class:`Output`."""
        alpha = pair.visible.alpha
        metadata = NO_METADATA if self.strip else pair.visible.metadata
        write_image(path, fused, depth=self.depth, alpha=alpha, metadata=metadata)
        found = format_of(path)
        dropped = []
        if alpha is not None and found is not None and not found.alpha:
            dropped.append(f"visible: its alpha is dropped, {path.suffix} has none")
        if (metadata.exif or metadata.xmp) and found is not None and not found.metadata:
            dropped.append(f"visible: its EXIF and XMP are dropped, {path.suffix} files are written without")
        return tuple(dropped)


@dataclass(frozen=True)
class TemperatureRaster:
    """The temperatures on the grid of the fused image, as float32 TIFF in degC.

    Attributes:
        target: a .tif or .tiff file for a single pair, or a folder.
        strip: whether to leave out position, time and camera.
    """

    target: Path
    strip: bool = False
    kind = "temperature"

    def path_for(self, name: str, pairs: int) -> Path:
        """See :class:`Output`."""
        if self.target.suffix.lower() not in TIFF.suffixes:
            return self.target / f"{name}.tiff"
        if pairs > 1:
            raise UsageError(f"{self.target}: one file of temperatures for {pairs} pairs, expected a folder")
        return self.target

    def write(self, path: Path, pair: Pair, fused: NDArray[Any]) -> tuple[str, ...]:
        """See :class:`Output`."""
        check_raster(path)
        metadata = NO_METADATA if self.strip else pair.visible.metadata
        write_celsius(path, pair.thermal.temperatures(), metadata)
        return ()


def write_outputs(
    outputs: Sequence[Output], files: dict[str, Path], pair: Pair, fused: NDArray[Any]
) -> tuple[str, ...]:
    """Write all outputs of a pair, the last stage of the pipeline.

    Args:
        outputs: the outputs, in the order of writing.
        files: the path for each kind of output.
        pair: the pair that was fused.
        fused: the fused image, (H, W) or (H, W, 3), float32 in [0, 1] or levels in the depth of the outputs.

    Returns:
        The notes on reading, aligning and writing.
    """
    notes = pair.notes
    for output in outputs:
        notes += output.write(files[output.kind], pair, fused)
    return notes
