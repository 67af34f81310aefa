"""FLIR's radiometric JPEG files, whole: counts, calibration, photo and how the two lie to each other.

Nothing in a file is believed: what is missing, cut off or contradicts itself ends in one line that says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.decode import load
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.thermal.formats import flir_payload as payload
from ivfuse.thermal.formats import flir_records as records
from ivfuse.thermal.formats.jpeg_segments import flir_block
from ivfuse.thermal.radiometry import Conditions, Overrides, celsius


@dataclass(frozen=True)
class FlirFile:
    """A radiometric JPEG file.

    Attributes:
        path: of the file.
        camera: calibration, conditions and names.
        raster: raw counts as the sensor gave them.
        alignment: of the photo, or ``None``.
        palette: of the camera's own image, or ``None``.
        orientation: of EXIF, 1..8: how the images are to be turned; 1 if the file says nothing.
        photo_record: the photo as it is stored; empty if there is none.
    """

    path: Path
    camera: records.Camera
    raster: payload.Raster
    alignment: records.Alignment | None
    palette: records.CameraPalette | None
    orientation: int
    photo_record: bytes

    @cached_property
    def photo(self) -> NDArray[np.uint8] | None:
        """The visible photo, (H, W) or (H, W, 3) uint8 in R, G, B order; ``None`` if the file has none.

        Raises:
            InputError: if it is damaged.
        """
        if not self.photo_record:
            return None
        try:
            return payload.photo(self.photo_record)
        except BadFileError as error:
            raise _bad(self.path, error) from error

    def conditions(self, overrides: Overrides | None = None) -> Conditions:
        """Emissivity, distance and temperatures around, of the file or as the user gave them.

        Raises:
            InputError: if the file's own make no sense.
        """
        conditions = replace(self.camera.conditions, **(overrides or Overrides()).given())
        if problem := conditions.problem():
            raise InputError(f"{self.path}: {problem}; an option of the same name replaces it")
        return conditions

    def celsius(self, overrides: Overrides | None = None) -> NDArray[np.float32]:
        """Temperatures, (H, W) float32 in degC.

        Raises:
            InputError: if calibration or conditions make no sense.
        """
        conditions = self.conditions(overrides)
        try:
            return celsius(self.raster.counts, self.camera.planck, self.camera.atmosphere, conditions)
        except BadFileError as error:
            raise _bad(self.path, error) from error


def read_flir(path: str | os.PathLike[str]) -> FlirFile:
    """Read a radiometric JPEG of FLIR, or of a camera built on a FLIR core.

    Args:
        path: the file; :func:`ivfuse.thermal.formats.jpeg_segments.maker_of` says whether it is one.

    Raises:
        InputError: if the file is missing, damaged, or holds no raw thermal image.
    """
    path = Path(path)
    _, data = load(path)
    try:
        found = records.split(flir_block(data))
        for kind, name in ((records.RAW, "raw thermal image"), (records.CAMERA, "calibration")):
            if kind not in found:
                raise BadFileError(f"a FLIR file without a {name}")
        camera = records.camera(found[records.CAMERA])
        return FlirFile(
            path,
            camera,
            payload.raster(found[records.RAW], camera.median),
            records.alignment(found.get(records.PICTURE_IN_PICTURE, b"")),
            records.palette(found.get(records.PALETTE, b"")),
            _orientation(data),
            found.get(records.PHOTO, b""),
        )
    except BadFileError as error:
        raise _bad(path, error) from error


def _orientation(data: bytes) -> int:
    """How the outer image is turned; 1 where it is damaged, for only its records matter here."""
    try:
        return read_header("JPEG", data).orientation
    except BadFileError:
        return 1


def _bad(path: Path, error: BadFileError) -> InputError:
    return InputError(f"{path}: found {error}, expected a complete radiometric JPEG")
