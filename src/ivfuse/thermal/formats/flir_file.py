"""Content of FLIR records as one thermal image: a radiometric JPEG, or a frame of an FFF, SEQ or CSQ file.

All content is validated: missing, truncated or inconsistent content raises an error with a one-line message.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, MissingExtraError, UsageError
from ivfuse.image.exif import capture_block, completed, read_exif
from ivfuse.image.headers import BadFileError
from ivfuse.image.metadata import NO_METADATA, Metadata
from ivfuse.thermal.formats import flir_payload as payload
from ivfuse.thermal.formats import flir_records as records
from ivfuse.thermal.formats.base import EmbeddedPhoto, PhotoGeometry, RawThermal
from ivfuse.thermal.formats.capture import position_of
from ivfuse.thermal.formats.facts import rounded, value_range
from ivfuse.thermal.radiometry import Conditions, Overrides, celsius, count_without_temperature


@dataclass(frozen=True)
class FlirFile:
    """Content of a radiometric JPEG file or of a frame.

    Attributes:
        path: path of the file, or of a frame as ``FILE#N``.
        camera: calibration, conditions and names.
        raster: raw counts of the sensor.
        alignment: position of the photo, or ``None``.
        palette: palette of the camera's rendered image, or ``None``.
        orientation: EXIF orientation of the images, 1 to 8; 1 if the file does not state it.
        photo_record: the encoded photo; empty if there is none.
        metadata: EXIF and XMP of the file; of a frame, what its records state.
    """

    path: Path
    camera: records.Camera
    raster: payload.Raster
    alignment: records.Alignment | None
    palette: records.CameraPalette | None
    orientation: int
    photo_record: bytes
    metadata: Metadata = NO_METADATA

    @cached_property
    def photo(self) -> NDArray[np.uint8] | None:
        """The visible photo, (H, W) or (H, W, 3) uint8 in R, G, B order; ``None`` if the file has none.

        Raises:
            InputError: if the photo is damaged.
        """
        if not self.photo_record:
            return None
        try:
            return payload.photo(self.photo_record)
        except BadFileError as error:
            raise bad_file(self.path, error) from error

    def conditions(self, overrides: Overrides | None = None) -> Conditions:
        """Return the conditions of the file with the overrides applied.

        Raises:
            InputError: if a condition of the file is out of range and not replaced.
        """
        conditions = replace(self.camera.conditions, **(overrides or Overrides()).given())
        if problem := conditions.problem():
            raise InputError(f"{self.path}: {problem}; an option of the same name replaces it")
        return conditions

    def celsius(self, overrides: Overrides | None = None) -> NDArray[np.float32]:
        """Compute the temperatures, (H, W) float32 in degC.

        Raises:
            InputError: if calibration or conditions are invalid.
        """
        conditions = self.conditions(overrides)
        try:
            return celsius(self.raster.counts, self.camera.planck, self.camera.atmosphere, conditions)
        except UsageError as error:
            raise InputError(f"{self.path}: {error.message}", hint=error.hint) from error
        except BadFileError as error:
            raise bad_file(self.path, error) from error

    def to_raw(self, overrides: Overrides, *, photo: bool = False) -> RawThermal:
        """Compute the temperatures and decode the photo if it is requested.

        Raises:
            InputError: if calibration, conditions or photo are invalid.
        """
        degrees = self.celsius(overrides)
        return RawThermal(
            degrees,
            True,
            self.orientation,
            colormap=self.palette.colors if self.palette else None,
            notes=_on_temperatures(degrees),
            photo=_embedded_photo(self) if photo else None,
            metadata=self.metadata,
        )


def parse_block(path: Path, block: bytes, orientation: int = 1, metadata: Metadata = NO_METADATA) -> FlirFile:
    """Parse a block of FLIR records.

    Args:
        path: name of the file or frame in messages.
        block: header, directory and records.
        orientation: EXIF orientation of the images, 1 to 8.
        metadata: EXIF and XMP around the block; what they lack is taken from the records.

    Raises:
        InputError: if the block is damaged, or contains no raw thermal image or no calibration.
        MissingExtraError: if decoding it needs the extra ``formats``.
    """
    try:
        found = records.split(block)
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
            orientation,
            found.get(records.PHOTO, b""),
            replace(metadata, exif=completed(metadata.exif, _capture(camera, found), lens=False)),
        )
    except MissingExtraError as error:
        error.message = f"{path}: {error.message}"
        raise
    except BadFileError as error:
        raise bad_file(path, error) from error


def _capture(camera: records.Camera, found: dict[int, bytes]) -> bytes | None:
    """What the records state of the capture, as an EXIF block."""
    position = records.position(found.get(records.GPS, b""))
    make = "FLIR" if camera.model else ""
    return capture_block(camera.taken, make, camera.model, **(asdict(position) if position else {}))


def bad_file(path: Path, error: BadFileError) -> InputError:
    """Create the error for a damaged file."""
    return InputError(f"{path}: found {error}, expected a complete radiometric file")


def describe(file: FlirFile, kind: str, overrides: Overrides) -> dict[str, Any]:
    """Describe a file or frame; see :class:`ivfuse.thermal.formats.base.ThermalReader`."""
    camera, counts = file.camera, file.raster.counts
    conditions = asdict(file.conditions(overrides))
    conditions["humidity"] *= 100
    photo, alignment = file.photo, file.alignment
    degrees = file.celsius(overrides)
    return {
        "file": str(file.path),
        "kind": kind,
        "camera": camera.model or "unknown (a FLIR core)",
        "part": camera.part,
        "serial": camera.serial,
        "lens": camera.lens,
        "taken": camera.taken.isoformat() if camera.taken else None,
        "position": position_of(read_exif(file.metadata.exif)),
        "width": counts.shape[1],
        "height": counts.shape[0],
        "payload": file.raster.payload + (", bytes swapped" if file.raster.swapped else ""),
        "counts": value_range(counts),
        "celsius": value_range(degrees),
        "range_of_camera": [round(end, 2) for end in camera.range_celsius],
        "conditions": {name: rounded(value) for name, value in conditions.items()},
        "calibration": {name: rounded(value) for name, value in camera.planck._asdict().items()},
        "air": {name: rounded(value) for name, value in camera.atmosphere._asdict().items()},
        "field_of_view": rounded(camera.field_of_view),
        "focus_distance": rounded(camera.focus_distance),
        "zoom": rounded(camera.zoom),
        "palette": file.palette.name if file.palette else None,
        "photo": None if photo is None else {"width": photo.shape[1], "height": photo.shape[0]},
        "alignment": None
        if alignment is None
        else {
            "real_to_ir": rounded(alignment.real_to_ir),
            "offset_x": alignment.offset_x,
            "offset_y": alignment.offset_y,
        },
        "notes": [
            *_on_temperatures(degrees),
            *([] if photo is not None else ["no photo in the file; fusion requires a visible image"]),
        ],
    }


def _on_temperatures(degrees: NDArray[np.float32]) -> tuple[str, ...]:
    without = count_without_temperature(degrees)
    return (f"{without} pixels have no temperature under the conditions",) if without else ()


def _embedded_photo(file: FlirFile) -> EmbeddedPhoto | None:
    """Return the photo and its position relative to the thermal image."""
    if file.photo is None:
        return None
    found = file.alignment
    geometry = PhotoGeometry(found.real_to_ir, found.offset_x, found.offset_y) if found else None
    return EmbeddedPhoto(file.photo, geometry, file.camera.zoom)
