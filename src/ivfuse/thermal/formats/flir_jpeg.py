"""FLIR radiometric JPEG files: counts, calibration, photo and their relative position.

All content is validated: missing, truncated or inconsistent content raises an error with a one-line message.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError
from ivfuse.image.decode import load
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.thermal.formats import flir_payload as payload
from ivfuse.thermal.formats import flir_records as records
from ivfuse.thermal.formats.base import EmbeddedPhoto, PhotoGeometry, RawThermal, thermal_format
from ivfuse.thermal.formats.facts import rounded, value_range
from ivfuse.thermal.formats.jpeg_segments import APP1, Segment, walk
from ivfuse.thermal.radiometry import Conditions, Overrides, celsius, count_without_temperature

_MARK = b"FLIR\0"


@dataclass(frozen=True)
class FlirFile:
    """Content of a radiometric JPEG file.

    Attributes:
        path: path of the file.
        camera: calibration, conditions and names.
        raster: raw counts of the sensor.
        alignment: position of the photo, or ``None``.
        palette: palette of the camera's rendered image, or ``None``.
        orientation: EXIF orientation of the images, 1 to 8; 1 if the file does not state it.
        photo_record: the encoded photo; empty if there is none.
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
            InputError: if the photo is damaged.
        """
        if not self.photo_record:
            return None
        try:
            return payload.photo(self.photo_record)
        except BadFileError as error:
            raise _bad(self.path, error) from error

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
            raise _bad(self.path, error) from error


@thermal_format("flir-jpeg")
class FlirJpeg:
    """Reader of radiometric JPEG files of FLIR cameras and cameras with FLIR cores (DJI XT2, XTR)."""

    name = "FLIR radiometric JPEG"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by the FLIR signature at the beginning of an APP1 segment."""
        return any(_is_chunk(segment) for segment in walk(file))

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        return _describe(read_flir(path), conditions)

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`ThermalReader`."""
        file = read_flir(path)
        colormap = file.palette.colors if file.palette else None
        degrees = file.celsius(conditions)
        without = count_without_temperature(degrees)
        return RawThermal(
            degrees,
            True,
            file.orientation,
            colormap=colormap,
            notes=(f"{without} pixels have no temperature under the conditions",) if without else (),
            photo=_embedded_photo(file) if photo else None,
        )

    def holds_photo(self, path: Path) -> bool:
        """Return ``True``: most files contain a photo."""
        return True


def read_flir(path: str | os.PathLike[str]) -> FlirFile:
    """Read a radiometric JPEG file of a FLIR camera or a camera with a FLIR core.

    Args:
        path: a file that :class:`FlirJpeg` recognizes.

    Raises:
        InputError: if the file is missing, damaged, or contains no raw thermal image.
    """
    path = Path(path)
    _, data = load(path)
    try:
        found = records.split(_flir_block(data))
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


def _embedded_photo(file: FlirFile) -> EmbeddedPhoto | None:
    """Return the photo and its position relative to the thermal image."""
    if file.photo is None:
        return None
    found = file.alignment
    geometry = PhotoGeometry(found.real_to_ir, found.offset_x, found.offset_y) if found else None
    return EmbeddedPhoto(file.photo, geometry, file.camera.zoom)


def _orientation(data: bytes) -> int:
    """Read the orientation of the outer JPEG; 1 if its header is damaged, as only the records are used."""
    try:
        return read_header("JPEG", data).orientation
    except BadFileError:
        return 1


def _bad(path: Path, error: BadFileError) -> InputError:
    return InputError(f"{path}: found {error}, expected a complete radiometric JPEG")


def _describe(file: FlirFile, overrides: Overrides) -> dict[str, Any]:
    """Describe a radiometric JPEG file."""
    camera, counts = file.camera, file.raster.counts
    conditions = asdict(file.conditions(overrides))
    conditions["humidity"] *= 100
    photo, alignment = file.photo, file.alignment
    degrees = file.celsius(overrides)
    without = count_without_temperature(degrees)
    notes = [f"{without} pixels have no temperature under the conditions"] if without else []
    notes += [] if photo is not None else ["no photo in the file; fusion requires a visible image"]
    return {
        "file": str(file.path),
        "kind": "FLIR radiometric JPEG",
        "camera": camera.model or "unknown (a FLIR core)",
        "part": camera.part,
        "serial": camera.serial,
        "lens": camera.lens,
        "taken": camera.taken.isoformat() if camera.taken else None,
        "width": counts.shape[1],
        "height": counts.shape[0],
        "payload": file.raster.payload + (", bytes swapped" if file.raster.swapped else ""),
        "counts": value_range(counts),
        "celsius": value_range(degrees[np.isfinite(degrees)]),
        "range_of_camera": [round(end, 2) for end in camera.range_celsius],
        "conditions": {name: rounded(value) for name, value in conditions.items()},
        "calibration": {name: rounded(value) for name, value in asdict(camera.planck).items()},
        "air": {name: rounded(value) for name, value in asdict(camera.atmosphere).items()},
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
        "notes": notes,
    }


def _is_chunk(segment: Segment) -> bool:
    return segment.marker == APP1 and segment.head.startswith(_MARK)


def _flir_block(data: bytes) -> bytes:
    """Assemble the block of FLIR records from the numbered chunks of a JPEG file.

    Each chunk is an APP1 segment: ``FLIR``, 0, 1, number of the chunk, number of the last chunk, content.

    Args:
        data: the whole file.

    Raises:
        BadFileError: if a chunk is missing, duplicated or truncated, or the numbers are inconsistent.
    """
    chunks: dict[int, bytes] = {}
    last: int | None = None
    for segment in walk(BytesIO(data)):
        if not _is_chunk(segment):
            continue
        if segment.size < 8 or segment.at + segment.size > len(data):
            raise BadFileError("a truncated FLIR file (a chunk is cut off)")
        number, stated_last = segment.head[6], segment.head[7]
        if last not in (None, stated_last) or number > stated_last or number in chunks:
            raise BadFileError("a damaged FLIR file (the numbers of its chunks are inconsistent)")
        last = stated_last
        chunks[number] = data[segment.at + 8 : segment.at + segment.size]
    if last is None:
        raise BadFileError("a file without FLIR records")
    missing = [str(number) for number in range(last + 1) if number not in chunks]
    if missing:
        raise BadFileError(f"a damaged FLIR file (chunk {missing[0]} of 0 to {last} is missing)")
    return b"".join(chunks[number] for number in range(last + 1))
