"""The block of FLIR records: its directory, and what the records say about camera, scene, palette and photo.

The layout is the one that ExifTool documents (exiftool.org/TagNames/FLIR.html). Every number is checked
before it is used, for the files come from anywhere.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.image.headers import BadFileError
from ivfuse.thermal.radiometry import ZERO_C, Atmosphere, Conditions, Planck

RAW, PHOTO, CAMERA, PALETTE, PICTURE_IN_PICTURE = 0x01, 0x0E, 0x20, 0x22, 0x2A
_NAMES = {RAW: "raw thermal", PHOTO: "photo", CAMERA: "camera", PALETTE: "palette",
          PICTURE_IN_PICTURE: "picture-in-picture"}  # fmt: skip
_MOST_RECORDS = 1024
_ENTRY = 32  # bytes of an entry of the directory
_CAMERA_SIZE = 0x310  # bytes up to the last Planck constant
_ZOOM_AT = 0x36C  # not in ExifTool's tables; 1.6 in a file whose drawn image is enlarged 1.6 times


@dataclass(frozen=True)
class Camera:
    """What the camera record says.

    Attributes:
        planck: the calibration of the counts.
        atmosphere: constants of the transmission of air.
        conditions: what the user had set in the camera.
        model, part, serial, software, lens, lens_serial: names; "" where the file has none.
        taken: when the image was taken, or ``None``.
        range_celsius: the calibrated range, in degC.
        field_of_view: of the thermal camera, horizontally, in degrees; 0 if unknown.
        focus_distance: in m; 0 if unknown.
        zoom: how much the camera's own image is enlarged beyond the raster; alignment counts from it.
        median: of the counts, as the camera says; 0 if it does not.
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
    """How the photo lies to the thermal image, by the picture-in-picture record.

    Attributes:
        real_to_ir: width of the photo in widths of the camera's thermal image (``Real2IR``).
        offset_x: of the thermal image's center from the photo's, in pixels of the photo, to the right.
        offset_y: the same, downwards.
        inset: left, right, top, bottom of the thermal inset that the camera drew, in thermal pixels.
    """

    real_to_ir: float
    offset_x: float
    offset_y: float
    inset: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class CameraPalette:
    """The colors of the camera's own image.

    Attributes:
        name: such as Iron.
        colors: (N, 3) uint8 in R, G, B order, from cold to hot.
    """

    name: str
    colors: NDArray[np.uint8]


def split(block: bytes) -> dict[int, bytes]:
    """The records of a FLIR block that are used here, by type; of each type the first that is not empty.

    Raises:
        BadFileError: if the header, the directory or a record lies outside the block.
    """
    if block[:4] not in (b"FFF\0", b"AFF\0"):
        raise BadFileError("a FLIR file whose records are damaged or in a format that is not read")
    for order in (">", "<"):
        version, at, count = _unpack(order + "III", block, 20, "header")
        if 100 <= version < 200:
            break
    else:
        raise BadFileError("a FLIR file of an unknown version")
    if count > _MOST_RECORDS or at + _ENTRY * count > len(block):
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
    """The byte order of a record that begins with a small 16-bit number."""
    if len(record) < 2 or 0 not in record[:2]:
        raise BadFileError(f"a damaged FLIR file (the {name} record has no known byte order)")
    return "<" if record[1] == 0 else ">"


def camera(record: bytes) -> Camera:
    """Read the camera record.

    Raises:
        BadFileError: if it is too short or a number that temperatures depend on is NaN or infinite.
    """
    if len(record) < _CAMERA_SIZE:
        raise BadFileError(f"a truncated FLIR file (a camera record of {len(record)} bytes)")
    order = order_of(record, "camera")

    def number(at: int) -> float:
        value: float = struct.unpack_from(order + "f", record, at)[0] if at + 4 <= len(record) else 0.0
        if not isfinite(value):
            raise BadFileError("a damaged FLIR file (the camera record holds NaN or infinity)")
        return value

    def text(at: int, size: int) -> str:
        kept = record[at : at + size].split(b"\0")[0].decode("latin-1")
        return "".join(letter for letter in kept if letter.isprintable()).strip()

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
            humidity=humidity / 100 if humidity > 2 else humidity,  # some cores write per cent
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
    """Read the picture-in-picture record; ``None`` if it is too short or says nothing possible."""
    if len(record) < 16:
        return None
    for order in ("<", ">"):  # the record does not say which
        ratio, x, y, *inset = struct.unpack_from(order + "f6h", record)
        if 0.1 <= ratio <= 30:
            left, right, top, bottom = inset
            return Alignment(ratio, x, y, (left, right, top, bottom))
    return None


def palette(record: bytes) -> CameraPalette | None:
    """Read the palette record, whose colors are Y, Cr, Cb of BT.601; ``None`` if it is cut off."""
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
    """R, G, B from Y, Cb, Cr of BT.601-7, of full range or of studio range (Y from 16 to 235).

    Args:
        luma, blue, red: float32 arrays of one shape, 0..255.
        studio: the range.

    Returns:
        The same shape with a last axis of 3.
    """
    if studio:
        luma, blue, red = (luma - 16) * (255 / 219), (blue - 128) * (255 / 224), (red - 128) * (255 / 224)
    else:
        blue, red = blue - 128, red - 128
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    levels: NDArray[np.uint8] = np.clip(np.rint(np.stack(rgb, axis=-1)), 0, 255).astype(np.uint8)
    return levels


def _unpack(layout: str, data: bytes, at: int, what: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise BadFileError(f"a truncated FLIR file (its {what} is cut off)") from error


def _time(record: bytes, order: str) -> datetime | None:
    """Seconds since 1970, milliseconds, and the zone in minutes west."""
    if len(record) < 0x38E:
        return None
    seconds, fraction, west = struct.unpack_from(order + "IIh", record, 0x384)
    if not seconds or abs(west) > 14 * 60:
        return None
    zone = timezone(timedelta(minutes=-west)) if west else UTC
    taken = datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=min(fraction & 0xFFFF, 999))
    return taken.astimezone(zone)


def _count(record: bytes, order: str) -> int:
    """The median of the counts."""
    if len(record) < 0x33C:
        return 0
    (median,) = struct.unpack_from(order + "i", record, 0x338)
    return int(median) if 0 < median < 65536 else 0
