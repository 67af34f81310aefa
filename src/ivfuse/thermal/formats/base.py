"""The contract of a thermal file format, and the registry that formats enter by a decorator.

To add a format, write one module in this folder with a class that ``@thermal_format`` registers, and name the
module in ``registry.py``.
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
    """How the visible photo of a camera lies to its thermal image, by the file's own parameters.

    Attributes:
        real_to_ir: width of the photo in widths of the camera's thermal image.
        offset_x: of the thermal image's center from the photo's, in pixels of the photo, to the right.
        offset_y: the same, downwards.
    """

    real_to_ir: float
    offset_x: float
    offset_y: float


@dataclass(frozen=True)
class EmbeddedPhoto:
    """The visible photo inside a thermal file; it is turned as the thermal image is.

    Attributes:
        pixels: (H, W) or (H, W, 3) uint8 in R, G, B order.
        geometry: ``None`` if the file does not say how the two lie.
        zoom: of the camera's own image, from which ``geometry.real_to_ir`` counts.
    """

    pixels: NDArray[np.uint8]
    geometry: PhotoGeometry | None
    zoom: float = 1.0


@dataclass(frozen=True)
class RawThermal:
    """Thermal values as the sensor has them: not turned upright, not tone-mapped.

    Attributes:
        values: (H, W), counts, or degC if ``degrees``.
        degrees: the values are temperatures in degC.
        orientation: of EXIF, 1..8: how the image is to be turned.
        notes: what a user should know.
        colormap: the camera's own, (N, 3) uint8 from cold to hot, or ``None``.
        unknown: the error for those who need temperatures that the format does not give; ``None`` if there
            are temperatures, or if nothing but a scale is missing.
        photo: the visible photo in the file, if it was asked for and there is one.
    """

    values: NDArray[Any]
    degrees: bool = False
    orientation: int = 1
    notes: tuple[str, ...] = ()
    colormap: NDArray[np.uint8] | None = None
    unknown: InputError | None = None
    photo: EmbeddedPhoto | None = None


class ThermalReader(Protocol):
    """One file format. All files are untrusted: every content is validated.

    Attributes:
        name: as in messages, like ``FLIR radiometric JPEG``.
        calibrated: files hold their own calibration, so that conditions apply and a scale does not.
    """

    name: str
    calibrated: bool

    def recognize(self, file: BinaryIO) -> bool:
        """Whether a file is of this format, by its bytes; reads little and raises nothing but OSError."""
        ...

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """Facts for people and machines: strings, numbers, lists and dictionaries.

        Raises:
            InputError: if the file cannot be read.
        """
        ...

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """The thermal values and, if it is asked for, the photo.

        Raises:
            InputError: if the file cannot be used, or a photo is asked for and files of this format hold
                none.
        """
        ...

    def holds_photo(self, path: Path) -> bool:
        """Whether a file by itself may be a pair; cheap, and without certainty."""
        ...


THERMAL_FORMATS: dict[str, ThermalReader] = {}

Reader = TypeVar("Reader", bound=Callable[[], ThermalReader])


def thermal_format(key: str) -> Callable[[Reader], Reader]:
    """Register a class of readers under a short name, lower case with hyphens."""

    def add(kind: Reader) -> Reader:
        THERMAL_FORMATS[key] = kind()
        return kind

    return add
