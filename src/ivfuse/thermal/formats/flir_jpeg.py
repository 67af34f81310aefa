"""FLIR's radiometric JPEG files, whole: counts, calibration, photo and how the two lie to each other.

All file contents are validated: what is missing, cut off or contradicts itself ends in one line that says so.
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

from ivfuse.errors import InputError
from ivfuse.image.decode import load
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.thermal.formats import flir_payload as payload
from ivfuse.thermal.formats import flir_records as records
from ivfuse.thermal.formats.base import EmbeddedPhoto, PhotoGeometry, RawThermal, thermal_format
from ivfuse.thermal.formats.facts import rounded, value_range
from ivfuse.thermal.formats.jpeg_segments import APP1, Segment, walk
from ivfuse.thermal.radiometry import Conditions, Overrides, celsius

_MARK = b"FLIR\0"


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


@thermal_format("flir-jpeg")
class FlirJpeg:
    """The format of radiometric JPEG files of FLIR and of cameras built on its cores (DJI XT2, XTR)."""

    name = "FLIR radiometric JPEG"
    calibrated = True

    def recognize(self, file: BinaryIO) -> bool:
        """FLIR's mark at the beginning of an APP1 segment."""
        return any(_is_chunk(segment) for segment in walk(file))

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        return _describe(read_flir(path), conditions)

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """See :class:`ThermalReader`."""
        file = read_flir(path)
        colormap = file.palette.colors if file.palette else None
        return RawThermal(
            file.celsius(conditions),
            True,
            file.orientation,
            colormap=colormap,
            photo=_embedded_photo(file) if photo else None,
        )

    def holds_photo(self, path: Path) -> bool:
        """Most of them do."""
        return True


def read_flir(path: str | os.PathLike[str]) -> FlirFile:
    """Read a radiometric JPEG of FLIR, or of a camera built on a FLIR core.

    Args:
        path: the file; :class:`FlirJpeg` recognizes one.

    Raises:
        InputError: if the file is missing, damaged, or holds no raw thermal image.
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
    """The photo with how it lies to the thermal image."""
    if file.photo is None:
        return None
    found = file.alignment
    geometry = PhotoGeometry(found.real_to_ir, found.offset_x, found.offset_y) if found else None
    return EmbeddedPhoto(file.photo, geometry, file.camera.zoom)


def _orientation(data: bytes) -> int:
    """How the outer image is turned; 1 where it is damaged, for only its records matter here."""
    try:
        return read_header("JPEG", data).orientation
    except BadFileError:
        return 1


def _bad(path: Path, error: BadFileError) -> InputError:
    return InputError(f"{path}: found {error}, expected a complete radiometric JPEG")


def _describe(file: FlirFile, overrides: Overrides) -> dict[str, Any]:
    """Facts of a radiometric JPEG."""
    camera, counts = file.camera, file.raster.counts
    conditions = asdict(file.conditions(overrides))
    conditions["humidity"] *= 100
    photo, alignment = file.photo, file.alignment
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
        "celsius": value_range(file.celsius(overrides)),
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
        "notes": [] if photo is not None else ["no photo in the file; give a visible image to fuse"],
    }


def _is_chunk(segment: Segment) -> bool:
    return segment.marker == APP1 and segment.head.startswith(_MARK)


def _flir_block(data: bytes) -> bytes:
    """Put the block of FLIR records together from the numbered chunks of a JPEG file.

    Each chunk is an APP1 segment: ``FLIR``, 0, 1, the chunk's number, the number of the last chunk, content.

    Args:
        data: the whole file.

    Raises:
        BadFileError: if a chunk is missing, twice there, cut off, or the numbers contradict each other.
    """
    chunks: dict[int, bytes] = {}
    last: int | None = None
    for segment in walk(BytesIO(data)):
        if not _is_chunk(segment):
            continue
        if segment.size < 8 or segment.at + segment.size > len(data):
            raise BadFileError("a truncated FLIR file (a chunk is cut off)")
        number, says = segment.head[6], segment.head[7]
        if last not in (None, says) or number > says or number in chunks:
            raise BadFileError("a damaged FLIR file (the numbers of its chunks contradict each other)")
        last = says
        chunks[number] = data[segment.at + 8 : segment.at + segment.size]
    if last is None:
        raise BadFileError("a file without FLIR records")
    missing = [str(number) for number in range(last + 1) if number not in chunks]
    if missing:
        raise BadFileError(f"a damaged FLIR file (chunk {missing[0]} of 0 to {last} is missing)")
    return b"".join(chunks[number] for number in range(last + 1))
