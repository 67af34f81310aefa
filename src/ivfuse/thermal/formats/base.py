"""Interface of thermal file formats and the decorator that registers them.

To add a format, write a module in this folder with a class decorated by ``@thermal_format``, and add its name
to the list in ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.thermal.radiometry import Overrides


@dataclass(frozen=True)
class PhotoGeometry:
    """Relative position of photo and thermal image, as stored in the file.

    Attributes:
        real_to_ir: width of the photo in widths of the camera's thermal image.
        offset_x: offset of the thermal image's center from that of the photo, in photo pixels to the right.
        offset_y: the same offset in photo pixels downwards.
    """

    real_to_ir: float
    offset_x: float
    offset_y: float


@dataclass(frozen=True)
class EmbeddedPhoto:
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
        colored: whether the values are the luma of a color image.
    """

    values: NDArray[Any]
    degrees: bool = False
    orientation: int = 1
    notes: tuple[str, ...] = ()
    colormap: NDArray[np.uint8] | None = None
    unknown: InputError | None = None
    photo: EmbeddedPhoto | None = None
    valid: NDArray[np.bool_] | None = None
    colored: bool = False


class ThermalReader(Protocol):
    """Reader of one file format. Files are untrusted, so that readers validate all content.

    Attributes:
        name: name in messages, such as ``FLIR radiometric JPEG``.
        calibrated: whether files contain a calibration, so that conditions apply and a scale does not.
    """

    name: str
    calibrated: bool

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


THERMAL_FORMATS: dict[str, ThermalReader] = {}

Reader = TypeVar("Reader", bound=Callable[[], ThermalReader])


def thermal_format(key: str) -> Callable[[Reader], Reader]:
    """Register a reader class under a short name in lower case with hyphens."""

    def add(kind: Reader) -> Reader:
        THERMAL_FORMATS[key] = kind()
        return kind

    return add
