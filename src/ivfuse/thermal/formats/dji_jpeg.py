"""DJI R-JPEG files: the counts of the sensor, and temperatures where the user has DJI's Thermal SDK.

The counts are 16-bit little-endian integers in row order, in consecutive APP3 segments (APP4 in files of the
XT S) that are joined. The drawn JPEG image has the size of the sensor or, where the camera enlarges it, twice
that size; it may be sharpened and in a palette, and is not used. How counts relate to temperatures is not
published: see :mod:`ivfuse.thermal.formats.dji_sdk`.

Source: the layout was found in public sample files of H20N, H20T, H30T, M2EA, M30T, M3T, M3TD, M4T and XT S,
and is discussed in the forum of ExifTool (topic 11401). The focal lengths are those that the files state in
EXIF; an M2EA file states none, its lens has 9 mm before pixels of 12 um.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.color import is_colored
from ivfuse.image.decode import load
from ivfuse.image.exif import DESCRIPTION, DIGITAL_ZOOM, EQUIVALENT, FOCAL_LENGTH, MODEL, Exif, read_exif
from ivfuse.image.headers import BadFileError, exif_orientation, read_header
from ivfuse.image.jpeg import decode_jpeg
from ivfuse.image.metadata import Metadata, read_metadata
from ivfuse.thermal.formats import dji_sdk
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.capture import capture_facts
from ivfuse.thermal.formats.facts import rounded, value_range
from ivfuse.thermal.formats.jpeg_segments import APP1, APP3, APP4, APP6, walk
from ivfuse.thermal.radiometry import Overrides

_NAMES = (b"drone-dji", b"DJI")
_MIN_RASTER = 8192  # smallest size in bytes of APP3 segments that are regarded as thermal data
_MAX_SIDE = 4096  # pixels; the largest sensor has 1280x1024
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_PALETTE = ("", "default")  # descriptions that do not name one
_FILM_DIAGONAL = math.hypot(36, 24)  # mm
_PIXELS = {"MAVIC2-ENTERPRISE-ADVANCED": (9.0, 0.012)}  # focal length and pixel of files without them, in mm


@dataclass(frozen=True)
class DjiFile:
    """Content of an R-JPEG file.

    Attributes:
        path: path of the file.
        data: the whole file.
        counts: (H, W) uint16, in the orientation of the sensor.
        drawn: (width, height) of the drawn image, in pixels.
        metadata: EXIF and XMP.
    """

    path: Path
    data: bytes
    counts: NDArray[np.uint16]
    drawn: tuple[int, int]
    metadata: Metadata

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8."""
        return exif_orientation(self.metadata.exif or b"")


@thermal_format("dji-jpeg")
class DjiJpeg:
    """Reader of DJI R-JPEG files; see :class:`ThermalReader`."""

    name = "DJI R-JPEG"

    @property
    def calibrated(self) -> bool:
        """Whether DJI's Thermal SDK is there, which applies the calibration in the file."""
        return dji_sdk.wanted()

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by long APP3 segments, which hold the raster or a table, and the name of DJI."""
        raster, named = 0, False
        for segment in walk(file):
            if segment.marker == APP3:
                raster += segment.size
            if segment.marker == APP1 or (segment.marker in (APP4, APP6) and b"DTAT" in segment.head):
                file.seek(segment.at)
                content = file.read(segment.size)
                named |= segment.marker != APP1 or any(name in content for name in _NAMES)
        return named and raster >= _MIN_RASTER

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        return _describe(read_dji(path), conditions)

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the temperatures if the SDK is there, or the counts; the photo is a file of its own."""
        if photo:
            raise InputError(
                f"{path}: found a thermal image without a photo, for which DJI cameras write another file",
                expected="the visible image as the second file, such as the _V or _W file of the same number",
            )
        file = read_dji(path)
        facts: dict[str, Any] = {
            "orientation": file.orientation,
            "metadata": file.metadata,
            "equivalent_focal_length": equivalent_focal_length(read_exif(file.metadata.exif)),
        }
        if dji_sdk.wanted():
            measured = dji_sdk.measure(file.data, conditions, str(path))
            return RawThermal(measured.celsius, degrees=True, notes=measured.notes, **facts)
        unknown = InputError(
            f"{path}: the temperatures are unknown, which DJI's Thermal SDK computes for a DJI R-JPEG",
            hint=f"set {dji_sdk.VARIABLE} to the folder of that SDK, or give {{scale}}",
        )
        return RawThermal(file.counts, unknown=unknown, **facts)

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``: DJI cameras write the visible photo to a separate file."""
        return False


def read_dji(path: Path) -> DjiFile:
    """Read the counts of an R-JPEG file.

    Args:
        path: a file that :class:`DjiJpeg` recognizes. The drawn image may be damaged or cut off.

    Raises:
        InputError: if the file is missing, or its raster has no size that fits the drawn image.
    """
    path = Path(path)
    _, data = load(path)
    try:
        counts, drawn = _raster(data)
    except BadFileError as error:
        raise InputError(f"{path}: found {error}", expected="a complete DJI R-JPEG") from error
    return DjiFile(path, data, counts, drawn, read_metadata("JPEG", data))


def _raster(data: bytes) -> tuple[NDArray[np.uint16], tuple[int, int]]:
    """Join the segments of each kind, of which one has two bytes per pixel of the sensor."""
    parts: dict[int, list[bytes]] = defaultdict(list)
    drawn = (0, 0)
    for segment in walk(BytesIO(data)):
        if segment.marker in (APP3, APP4):
            if segment.at + segment.size > len(data):
                raise BadFileError("a truncated DJI R-JPEG (its raster is cut off)")
            parts[segment.marker].append(data[segment.at : segment.at + segment.size])
        if segment.marker in _FRAMES and segment.size >= 6:
            drawn = (int.from_bytes(segment.head[3:5], "big"), int.from_bytes(segment.head[1:3], "big"))
    if not all(0 < side <= 2 * _MAX_SIDE for side in drawn):
        raise BadFileError(f"a DJI R-JPEG with a drawn image of {drawn[0]}x{drawn[1]} pixels")
    joined = {marker: b"".join(some) for marker, some in parts.items()}
    for divisor in (1, 2):
        width, height = drawn[0] // divisor, drawn[1] // divisor
        for content in joined.values():
            if len(content) == 2 * width * height and max(width, height) <= _MAX_SIDE:
                return np.frombuffer(content, "<u2").reshape(height, width).astype(np.uint16), drawn
    sizes = " and ".join(f"{len(content)}" for content in joined.values()) or "no"
    raise BadFileError(
        f"a DJI R-JPEG with {sizes} bytes of counts beside a drawn image of {drawn[0]}x{drawn[1]}, not 2"
        " bytes per pixel at that size or at half of it"
    )


def equivalent_focal_length(exif: Exif) -> float | None:
    """Focal length in mm that gives the same diagonal field of view on 35 mm film.

    Returns:
        ``None`` if it is unknown, or the camera zoomed digitally.
    """
    if abs((exif.number(DIGITAL_ZOOM) or 1) - 1) > 0.01:
        return None
    if stated := exif.number(EQUIVALENT):
        return stated
    if (known := _PIXELS.get(exif.text(MODEL))) is None:
        return None
    length, pixel = known
    return (exif.number(FOCAL_LENGTH) or length) * _FILM_DIAGONAL / (pixel * math.hypot(640, 512))


def _describe(file: DjiFile, overrides: Overrides) -> dict[str, Any]:
    """Describe an R-JPEG file."""
    capture = capture_facts(file.metadata)
    height, width = file.counts.shape
    palette, notes = _palette(file)
    facts = {
        "file": str(file.path),
        "kind": DjiJpeg.name,
        **capture,
        "palette": palette,
        "width": width,
        "height": height,
        "image": {"width": file.drawn[0], "height": file.drawn[1]},
        "counts": value_range(file.counts),
    }
    if dji_sdk.wanted():
        measured = dji_sdk.measure(file.data, overrides, str(file.path))
        facts["celsius"] = value_range(measured.celsius)
        facts["conditions"] = {name: rounded(value) for name, value in measured.conditions.items()}
        notes += measured.notes
    else:
        notes += (f"temperatures need DJI's Thermal SDK, the folder of which {dji_sdk.VARIABLE} states",)
    return facts | {"notes": list(notes)}


def _palette(file: DjiFile) -> tuple[str, tuple[str, ...]]:
    """The palette of the drawn image, by name or by its look, and remarks on that image."""
    name = read_exif(file.metadata.exif).text(DESCRIPTION)
    try:
        drawn, _ = decode_jpeg(read_header("JPEG", file.data), file.data)
    except BadFileError:
        return name if name not in _NO_PALETTE else "", (
            "the drawn image is damaged, the counts are complete",
        )
    if name not in _NO_PALETTE:
        return name, ()
    return "a color palette, unnamed" if is_colored(drawn) else "gray", ()
