"""Where, when and by which camera and lens a thermal file was taken, from its EXIF and XMP, as plain values.

Sources: the EXIF 2.32 standard (CIPA DC-008), and the list of XMP fields in DJI's user manuals (Mavic 3E/3T,
"Photo File"): ``RelativeAltitude``, ``GimbalYawDegree`` and others in a namespace that older files call
``DJI`` and newer ones ``drone-dji``.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from ivfuse.image.exif import (
    DATE_TIME,
    EQUIVALENT,
    FOCAL_LENGTH,
    MAKE,
    MODEL,
    TAKEN,
    Exif,
    has_position,
    read_exif,
)
from ivfuse.image.metadata import Metadata

_NUMBER = rb"[+-]?\d{1,9}(?:\.\d{1,12})?"
_XMP = rb"(?:drone-dji|DJI):%s(?:\s*=\s*[\"']|>)\s*(" + _NUMBER + rb")"
_SOUTH_OR_WEST = ("S", "W")


def capture_facts(metadata: Metadata) -> dict[str, Any]:
    """Describe a capture: camera, lens, time, position and attitude; ``None`` for what the file lacks.

    Args:
        metadata: EXIF and XMP of the file.

    Returns:
        ``camera`` and ``lens`` are texts, ``taken`` is ISO 8601 in the time of the camera, ``position`` has
        degrees (north and east positive) and m above sea level, ``relative_altitude`` is in m above the place
        of takeoff, ``gimbal`` in degrees.
    """
    exif, xmp = read_exif(metadata.exif), metadata.xmp or b""
    gimbal = {name: _xmp(xmp, f"Gimbal{name.capitalize()}Degree") for name in ("yaw", "pitch", "roll")}
    return {
        "camera": _camera(exif),
        "lens": _lens(exif),
        "taken": _taken(exif),
        "position": position_of(exif),
        "relative_altitude": _xmp(xmp, "RelativeAltitude"),
        "gimbal": gimbal if any(value is not None for value in gimbal.values()) else None,
    }


def position_of(exif: Exif) -> dict[str, float] | None:
    """Latitude and longitude in degrees, and altitude in m if it is stated; ``None`` if out of range."""
    if not has_position(exif):
        return None
    latitude, longitude = _angle(exif, 1, 2), _angle(exif, 3, 4)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    found = {"latitude": round(latitude, 7), "longitude": round(longitude, 7)}
    if altitude := exif.position.get(6):
        below = exif.position.get(5)
        sign = -1 if below is not None and below.content[:1] == b"\1" else 1
        value = next(iter(altitude.numbers()), math.nan)
        if abs(value) < 1e6:
            found["altitude"] = round(sign * value, 3)
    return found


def _angle(exif: Exif, reference: int, value: int) -> float | None:
    """Degrees, minutes and seconds as degrees; ``None`` if one is missing or the denominator is 0."""
    parts = exif.position[value].numbers()
    sign = exif.position.get(reference)
    degrees = sum((part / (1, 60, 3600)[place] for place, part in enumerate(parts[:3])), 0.0)
    if not parts or not math.isfinite(degrees):
        return None
    return -degrees if sign is not None and sign.text() in _SOUTH_OR_WEST else degrees


def _camera(exif: Exif) -> str | None:
    """Maker and model, without saying the maker twice."""
    make, model = exif.text(MAKE), exif.text(MODEL)
    return (model if model.casefold().startswith(make.casefold()) else f"{make} {model}").strip() or None


def _lens(exif: Exif) -> str | None:
    length, equivalent = exif.number(FOCAL_LENGTH), exif.number(EQUIVALENT)
    parts = [f"{length:g} mm"] if length else []
    parts += [f"{equivalent:g} mm in 35 mm film"] if equivalent else []
    return ", ".join(parts) or None


def _taken(exif: Exif) -> str | None:
    """The time of capture; some cameras write dashes where the standard has colons."""
    text = exif.text(TAKEN) or exif.text(DATE_TIME)
    try:
        return datetime.strptime(text.replace("-", ":", 2), "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


def _xmp(xmp: bytes, name: str) -> float | None:
    found = re.search(_XMP % name.encode(), xmp)
    return float(found[1]) if found else None
