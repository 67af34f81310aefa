"""Parser of FLIR records: the directory, and the records about camera, conditions, palette and photo.

The layout follows the documentation of ExifTool (exiftool.org/TagNames/FLIR.html). Files are untrusted, so
that every number is checked before use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError
from ivfuse.thermal.formats.facts import Position
from ivfuse.thermal.radiometry import ZERO_C, Atmosphere, Conditions, Planck

RAW, PHOTO, CAMERA, PALETTE, PICTURE_IN_PICTURE, GPS = 0x01, 0x0E, 0x20, 0x22, 0x2A, 0x2B
_NAMES = {RAW: "raw thermal", PHOTO: "photo", CAMERA: "camera", PALETTE: "palette",
          PICTURE_IN_PICTURE: "picture-in-picture", GPS: "GPS"}  # fmt: skip
MAGICS = (b"FFF\0", b"AFF\0")
HEADER = 64  # bytes before the directory
_MAX_RECORDS = 1024
ENTRY = 32  # bytes per entry of the directory
TIME_END = 0x38E  # bytes of the camera record up to the time of capture
_CAMERA_SIZE = 0x310  # bytes up to the last Planck constant
_NO_ALTITUDE = -1.0
_ZOOM_AT = 0x36C  # not in ExifTool's tables; 1.6 in a file whose rendered image is enlarged 1.6 times


@dataclass(frozen=True)
class Camera:
    """Content of the camera record.

    Attributes:
        planck: Planck constants of the calibration.
        atmosphere: constants of the atmospheric transmission.
        conditions: conditions set in the camera.
        model: model of the camera; like all names "" if the file does not state it.
        part: part number of the camera.
        serial: serial number of the camera.
        software: version of its software.
        lens: model of the lens.
        lens_serial: serial number of the lens.
        taken: time of capture, or ``None``.
        range_celsius: calibrated range, in degC.
        field_of_view: horizontal field of view of the thermal camera, in degrees; 0 if unknown.
        focus_distance: focus distance in m; 0 if unknown.
        zoom: magnification of the camera's rendered image over the raster; the alignment refers to it.
        median: median of the counts as stated by the camera; 0 if unknown.
    """

    planck: Planck
    atmosphere: Atmosphere
    conditions: Conditions
    model: str = ""
    part: str = ""
    serial: str = ""
    software: str = ""
    lens: str = ""
    lens_serial: str = ""
    taken: datetime | None = None
    range_celsius: tuple[float, float] = (0.0, 0.0)
    field_of_view: float = 0.0
    focus_distance: float = 0.0
    zoom: float = 1.0
    median: int = 0


@dataclass(frozen=True)
class Alignment:
    """Content of the picture-in-picture record: position of the photo relative to the thermal image.

    Attributes:
        real_to_ir: width of the photo in widths of the camera's thermal image (``Real2IR``).
        offset_x: offset of the thermal image's center from that of the photo, in photo pixels to the right.
        offset_y: the same offset in photo pixels downwards.
        inset: left, right, top and bottom of the thermal inset in the rendered image, in thermal pixels.
    """

    real_to_ir: float
    offset_x: float
    offset_y: float
    inset: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class CameraPalette:
    """Palette of the camera's rendered image.

    Attributes:
        name: name of the palette, such as Iron.
        colors: (N, 3) uint8 in R, G, B order, from cold to hot.
    """

    name: str
    colors: NDArray[np.uint8]


@dataclass(frozen=True)
class Directory:
    """Where the directory of a FLIR block lies.

    Attributes:
        order: byte order of header and directory, ``>`` or ``<``.
        at: offset of the first entry in the block.
        count: number of entries, at most 1024.
    """

    order: str
    at: int
    count: int

    @property
    def end(self) -> int:
        """Offset of the end of the directory."""
        return self.at + ENTRY * self.count


def directory(header: bytes) -> Directory:
    """Parse the header of a FLIR block.

    Args:
        header: the first 32 bytes or more of the block.

    Raises:
        BadFileError: if it is not a header, or states an unknown version or too many records.
    """
    if header[:4] not in MAGICS:
        raise BadFileError("a FLIR file whose records are damaged or in an unsupported format")
    for order in (">", "<"):
        version, at, count = _unpack(order + "III", header, 20, "header")
        if 100 <= version < 200:
            break
    else:
        raise BadFileError("a FLIR file of an unknown version")
    if count > _MAX_RECORDS:
        raise BadFileError("a truncated FLIR file (the directory of records lies outside)")
    return Directory(order, at, count)


def entries(content: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """List type, offset in the block and size of the records that a directory names."""
    return (entry for entry in struct.iter_unpack(order + "H10xII12x", content) if entry[0] and entry[2])


def split(block: bytes) -> dict[int, bytes]:
    """Split a FLIR block into the records used here: the first non-empty record of each type.

    Raises:
        BadFileError: if the header, the directory or a record lies outside the block.
    """
    found = directory(block)
    if found.end > len(block):
        raise BadFileError("a truncated FLIR file (the directory of records lies outside)")
    records: dict[int, bytes] = {}
    for kind, offset, size in entries(block[found.at : found.end], found.order):
        if kind not in _NAMES or kind in records:
            continue
        if offset + size > len(block):
            raise BadFileError(f"a truncated FLIR file (the {_NAMES[kind]} record lies outside)")
        records[kind] = block[offset : offset + size]
    return records


def byte_order(record: bytes, name: str) -> str:
    """Determine the byte order of a record, which begins with a small 16-bit number."""
    if len(record) < 2 or 0 not in record[:2]:
        raise BadFileError(f"a damaged FLIR file (the {name} record has no known byte order)")
    return "<" if record[1] == 0 else ">"


def camera(record: bytes) -> Camera:
    """Parse the camera record.

    Raises:
        BadFileError: if it is too short or contains NaN or infinity.
    """
    if len(record) < _CAMERA_SIZE:
        raise BadFileError(f"a truncated FLIR file (a camera record of {len(record)} bytes)")
    order = byte_order(record, "camera")
    number, text = partial(_number, record, order), partial(_text, record)
    zoom = number(_ZOOM_AT)
    humidity = number(0x3C)
    (offset,) = struct.unpack_from(order + "i", record, 0x308)
    return Camera(
        Planck(number(0x58), number(0x30C), number(0x5C), number(0x60), float(offset)),
        Atmosphere(*(number(at) for at in (0x70, 0x74, 0x78, 0x7C, 0x80))),
        Conditions(
            emissivity=number(0x20),
            distance=number(0x24),
            reflected=number(0x28) - ZERO_C,
            atmospheric=number(0x2C) - ZERO_C,
            humidity=humidity / 100 if humidity > 2 else humidity,  # some cores write percent
            window_temperature=number(0x30) - ZERO_C,
            window_transmission=number(0x34),
        ),
        model=text(0xD4, 32),
        part=text(0xF4, 16),
        serial=text(0x104, 16),
        software=text(0x114, 16),
        lens=text(0x170, 32),
        lens_serial=text(0x1A0, 16),
        taken=taken(record),
        range_celsius=(number(0x94) - ZERO_C, number(0x90) - ZERO_C),
        field_of_view=number(0x1B4),
        focus_distance=number(0x45C),
        zoom=zoom if 1 <= zoom <= 16 else 1.0,
        median=_count(record, order),
    )


def taken(record: bytes) -> datetime | None:
    """Parse the time of capture in the camera record; ``None`` if it is missing or implausible.

    It is stored as seconds since 1970, milliseconds, and the time zone in minutes west.

    Args:
        record: the camera record, or its first ``TIME_END`` bytes.

    Raises:
        BadFileError: if the byte order of the record is unknown.
    """
    if len(record) < TIME_END:
        return None
    seconds, fraction, west = struct.unpack_from(byte_order(record, "camera") + "IIh", record, 0x384)
    if not seconds or abs(west) > 14 * 60:
        return None
    zone = timezone(timedelta(minutes=-west)) if west else UTC
    time = datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=min(fraction & 0xFFFF, 999))
    return time.astimezone(zone)


def position(record: bytes) -> Position | None:
    """Parse the GPS record; ``None`` if it is too short, not marked as valid, or implausible.

    Cameras store absolute or signed values; the letters N, S, E and W decide the signs in both cases.
    """
    if len(record) < 0x68 or 0 not in record[:2]:
        return None
    order = byte_order(record, "GPS")
    (valid,) = struct.unpack_from(order + "I", record, 0)
    latitude, longitude, altitude = struct.unpack_from(order + "ddf", record, 0x10)
    if not valid or not (abs(latitude) <= 90 and abs(longitude) <= 180):  # NaN is neither
        return None
    south, west = (record[at : at + 1] for at in (0x08, 0x0A))
    return Position(
        abs(latitude) if south == b"N" else -abs(latitude) if south == b"S" else latitude,
        abs(longitude) if west == b"E" else -abs(longitude) if west == b"W" else longitude,
        altitude if -1000 < altitude < 100_000 and altitude != _NO_ALTITUDE else None,
        _text(record, 0x58, 16),
    )


def alignment(record: bytes) -> Alignment | None:
    """Parse the picture-in-picture record; ``None`` if it is too short or its values are implausible."""
    if len(record) < 16:
        return None
    for order in ("<", ">"):  # the record does not state its byte order
        ratio, x, y, *inset = struct.unpack_from(order + "f6h", record)
        if 0.1 <= ratio <= 30:
            left, right, top, bottom = inset
            return Alignment(ratio, x, y, (left, right, top, bottom))
    return None


def palette(record: bytes) -> CameraPalette | None:
    """Parse the palette record, with colors in Y, Cr, Cb of BT.601; ``None`` if it is truncated."""
    count = record[0] if record else 0
    if count < 2 or len(record) < 0x70 + 3 * count:
        return None
    name = record[0x50:0x70].split(b"\0")[0].decode("latin-1")
    luma, red, blue = np.frombuffer(record, np.uint8, 3 * count, 0x70).reshape(count, 3).T.astype(np.float32)
    return CameraPalette(
        "".join(letter for letter in name if letter.isprintable()),
        ycbcr_to_rgb(luma, blue, red, studio=True),
    )


def ycbcr_to_rgb(luma: Any, blue: Any, red: Any, *, studio: bool) -> NDArray[np.uint8]:
    """Convert Y, Cb, Cr of BT.601-7 to R, G, B.

    Args:
        luma: Y, float32 array in 0..255.
        blue: Cb, float32 array of the same shape in 0..255.
        red: Cr, float32 array of the same shape in 0..255.
        studio: whether the values are in studio range (Y from 16 to 235) instead of full range.

    Returns:
        uint8 array of the same shape with a last axis of 3.
    """
    if studio:
        luma, blue, red = (luma - 16) * (255 / 219), (blue - 128) * (255 / 224), (red - 128) * (255 / 224)
    else:
        blue, red = blue - 128, red - 128
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    levels: NDArray[np.uint8] = np.clip(np.rint(np.stack(rgb, axis=-1)), 0, 255).astype(np.uint8)
    return levels


def _number(record: bytes, order: str, at: int) -> float:
    """Read a float32 of the camera record; 0 if the record is shorter."""
    value: float = struct.unpack_from(order + "f", record, at)[0] if at + 4 <= len(record) else 0.0
    if not isfinite(value):
        raise BadFileError("a damaged FLIR file (the camera record contains NaN or infinity)")
    return value


def _text(record: bytes, at: int, size: int) -> str:
    """Read a zero-terminated text, without unprintable characters."""
    kept = record[at : at + size].split(b"\0")[0].decode("latin-1")
    return "".join(letter for letter in kept if letter.isprintable()).strip()


def _unpack(layout: str, data: bytes, at: int, what: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise BadFileError(f"a truncated FLIR file (its {what} is cut off)") from error


def _count(record: bytes, order: str) -> int:
    """Read the median of the counts; 0 if it is missing or implausible."""
    if len(record) < 0x33C:
        return 0
    (median,) = struct.unpack_from(order + "i", record, 0x338)
    return int(median) if 0 < median < 65536 else 0
