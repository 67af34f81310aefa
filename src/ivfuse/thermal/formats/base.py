"""Interface of thermal file formats and the decorator that registers them.

To add a format, write a module in this folder with a class decorated by ``@thermal_format``, and add its name
to the list in ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.thermal.radiometry import Overrides


class PhotoGeometry(NamedTuple):
    """Relative position of photo and thermal image, as stored in the file.

    Attributes:
        real_to_ir: width of the photo in widths of the camera's thermal image.
        offset_x: offset of the thermal image's center from that of the photo, in photo pixels to the right.
        offset_y: the same offset in photo pixels downwards.
    """

    real_to_ir: float
    offset_x: float
    offset_y: float


class EmbeddedPhoto(NamedTuple):
    """The visible photo inside a thermal file, in the same orientation as the thermal image.

    Attributes:
        pixels: (H, W) or (H, W, 3) uint8 in R, G, B order.
        geometry: position relative to the thermal image, or ``None`` if the file does not store it.
        zoom: digital zoom of the camera's rendered image, to which ``geometry.real_to_ir`` refers.
    """

    pixels: NDArray[np.uint8]
    geometry: PhotoGeometry | None
    zoom: float = 1.0


@dataclass(frozen=True)
class RawThermal:
    """Thermal values in the orientation of the sensor and without tone mapping.

    Attributes:
        values: (H, W) counts, or temperatures in degC if ``degrees`` is true, NaN where there is none.
        degrees: whether the values are temperatures in degC.
        orientation: EXIF orientation, 1 to 8, which is not yet applied.
        notes: remarks for the user.
        colormap: colormap of the camera, (N, 3) uint8 from cold to hot, or ``None``.
        unknown: the error to raise where temperatures are required but the format does not provide them;
            ``None`` if there are temperatures, or if a scale would provide them.
        photo: the visible photo in the file, if it was requested and exists.
        valid: (H, W) bool, false where the file states that there is no data; ``None`` if all are valid.
        framed: whether the pixels without data are a black frame from an earlier warp.
        colored: whether the values are the luma of a color image.
        metadata: EXIF and XMP of the file, for images that are made of it.
        equivalent_focal_length: focal length in mm that gives the same diagonal field of view on 35 mm film;
            ``None`` if it is not known for certain.
    """

    values: NDArray[Any]
    degrees: bool = False
    orientation: int = 1
    notes: tuple[str, ...] = ()
    colormap: NDArray[np.uint8] | None = None
    unknown: InputError | None = None
    photo: EmbeddedPhoto | None = None
    valid: NDArray[np.bool_] | None = None
    framed: bool = False
    colored: bool = False
    metadata: Metadata = NO_METADATA
    equivalent_focal_length: float | None = None


class ThermalReader(Protocol):
    """Reader of one file format. Files are untrusted, so that readers validate all content.

    Attributes:
        name: name in messages, such as ``FLIR radiometric JPEG``.
    """

    name: str

    @property
    def calibrated(self) -> bool:
        """Whether files contain a calibration that can be used: conditions apply, and a scale does not."""
        ...

    def recognize(self, file: BinaryIO) -> bool:
        """Whether the content of a file is of this format; reads few bytes and raises only OSError."""
        ...

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """Describe a file as a dictionary of strings, numbers, lists and dictionaries.

        Raises:
            InputError: if the file cannot be read.
        """
        ...

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the thermal values and, if requested, the photo.

        Raises:
            InputError: if the file cannot be used, or a photo is requested and the format contains none.
        """
        ...

    def holds_photo(self, path: Path) -> bool:
        """Whether a file may contain a photo, so that it is a pair by itself; a fast, inexact check."""
        ...


class ThermalFrames(Protocol):
    """The frames of a thermal recording; a file that still grows has those that it had when it was opened.

    Attributes:
        stamps: (N,) float64 times of capture in seconds since 1970, NaN where unknown; in the order of the
            file, which need not be that of time.
        notes: remarks for the user, such as an incomplete last frame.
    """

    @property
    def stamps(self) -> NDArray[np.float64]:
        """See above."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """See above."""
        ...

    def __len__(self) -> int:
        """Number of frames, 1 or more."""
        ...

    def read(self, index: int, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read a frame.

        Raises:
            InputError: if there is no such frame or it is damaged.
        """
        ...


@runtime_checkable
class RecordingReader(ThermalReader, Protocol):
    """Reader of a format whose files may contain many frames; ``FILE#N`` as a path is frame N, from 0."""

    def frames(self, path: Path) -> ThermalFrames:
        """Open the frames of a file; a fast scan that does not read their images.

        Raises:
            InputError: if the file cannot be read or contains no frame.
        """
        ...


THERMAL_FORMATS: dict[str, ThermalReader] = {}

Reader = TypeVar("Reader", bound=Callable[[], ThermalReader])


def thermal_format(key: str) -> Callable[[Reader], Reader]:
    """Register a reader class under a short name in lower case with hyphens."""

    def add(kind: Reader) -> Reader:
        THERMAL_FORMATS[key] = kind()
        return kind

    return add
