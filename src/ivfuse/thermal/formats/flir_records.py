"""Parser of FLIR records: the directory, and the records about camera, conditions, palette and photo.

The layout follows the documentation of ExifTool (exiftool.org/TagNames/FLIR.html). Files are untrusted, so
that every number is checked before use.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError
from ivfuse.thermal.radiometry import ZERO_C, Atmosphere, Conditions, Planck

RAW, PHOTO, CAMERA, PALETTE, PICTURE_IN_PICTURE = 0x01, 0x0E, 0x20, 0x22, 0x2A
_NAMES = {RAW: "raw thermal", PHOTO: "photo", CAMERA: "camera", PALETTE: "palette",
          PICTURE_IN_PICTURE: "picture-in-picture"}  # fmt: skip
_MAX_RECORDS = 1024
_ENTRY = 32  # bytes per entry of the directory
_CAMERA_SIZE = 0x310  # bytes up to the last Planck constant
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


def split(block: bytes) -> dict[int, bytes]:
    """Split a FLIR block into the records used here: the first non-empty record of each type.

    Raises:
        BadFileError: if the header, the directory or a record lies outside the block.
    """
    if block[:4] not in (b"FFF\0", b"AFF\0"):
        raise BadFileError("a FLIR file whose records are damaged or in an unsupported format")
    for order in (">", "<"):
        version, at, count = _unpack(order + "III", block, 20, "header")
        if 100 <= version < 200:
            break
    else:
        raise BadFileError("a FLIR file of an unknown version")
    if count > _MAX_RECORDS or at + _ENTRY * count > len(block):
        raise BadFileError("a truncated FLIR file (the directory of records lies outside)")
    records: dict[int, bytes] = {}
    for entry in range(at, at + _ENTRY * count, _ENTRY):
        kind, offset, size = _unpack(order + "H10xII", block, entry, "directory")
        if kind not in _NAMES or kind in records or not size:
            continue
        if offset + size > len(block):
            raise BadFileError(f"a truncated FLIR file (the {_NAMES[kind]} record lies outside)")
        records[kind] = block[offset : offset + size]
    return records


def order_of(record: bytes, name: str) -> str:
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
    order = order_of(record, "camera")
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
        taken=_time(record, order),
        range_celsius=(number(0x94) - ZERO_C, number(0x90) - ZERO_C),
        field_of_view=number(0x1B4),
        focus_distance=number(0x45C),
        zoom=zoom if 1 <= zoom <= 16 else 1.0,
        median=_count(record, order),
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
        rgb_of(luma, blue, red, studio=True),
    )


def rgb_of(luma: Any, blue: Any, red: Any, *, studio: bool) -> NDArray[np.uint8]:
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


def _time(record: bytes, order: str) -> datetime | None:
    """Parse the time of capture: seconds since 1970, milliseconds, and the time zone in minutes west."""
    if len(record) < 0x38E:
        return None
    seconds, fraction, west = struct.unpack_from(order + "IIh", record, 0x384)
    if not seconds or abs(west) > 14 * 60:
        return None
    zone = timezone(timedelta(minutes=-west)) if west else UTC
    taken = datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=min(fraction & 0xFFFF, 999))
    return taken.astimezone(zone)


def _count(record: bytes, order: str) -> int:
    """Read the median of the counts; 0 if it is missing or implausible."""
    if len(record) < 0x33C:
        return 0
    (median,) = struct.unpack_from(order + "i", record, 0x338)
    return int(median) if 0 < median < 65536 else 0
