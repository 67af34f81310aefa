"""DJI's R-JPEG files: the image that the camera drew; the raw values need DJI's Thermal SDK.

Layout: the raster of counts lies in APP3 segments, 64 KiB each; "DTAT" in APP4 or APP6, or DJI's name in
    APP1,
tells that they are DJI's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from ivfuse.errors import InputError
from ivfuse.image.read import read_values
from ivfuse.thermal.formats.base import RawThermal, thermal_format
from ivfuse.thermal.formats.jpeg_segments import APP1, APP3, APP4, APP6, walk
from ivfuse.thermal.formats.plain_image import describe_values
from ivfuse.thermal.radiometry import Overrides

_NAMES = (b"drone-dji", b"DJI")
_LEAST_RASTER = 8192  # bytes of APP3 segments from which on they are a thermal raster and not a note
_UNKNOWN = "found a DJI R-JPEG, whose temperatures only DJI's Thermal SDK can read"
_HINT = "convert it with that SDK to a 16-bit or float TIFF and give {scale}"


@thermal_format("dji-jpeg")
class DjiJpeg:
    """See the module."""

    name = "DJI R-JPEG"
    calibrated = False

    def recognize(self, file: BinaryIO) -> bool:
        """A raster in APP3 beside DJI's name."""
        raster, named = 0, False
        for segment in walk(file):
            if segment.marker == APP3:
                raster += segment.size
            if segment.marker == APP1 or (segment.marker in (APP4, APP6) and b"DTAT" in segment.head):
                file.seek(segment.at)
                content = file.read(segment.size)
                named |= segment.marker != APP1 or any(name in content for name in _NAMES)
        return named and raster >= _LEAST_RASTER

    def describe(self, path: Path, conditions: Overrides) -> dict[str, Any]:
        """See :class:`ThermalReader`."""
        facts = describe_values(path, *read_values(path)) | {"kind": self.name}
        facts["notes"].append(
            "its temperatures can only be read by DJI's Thermal SDK; the values are the drawn image's"
        )
        return facts

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """The drawn image's values; the visible photo is a file of its own."""
        unknown = InputError(f"{path}: {_UNKNOWN}", expected="a FLIR radiometric JPEG", hint=_HINT)
        if photo:
            raise unknown
        values, note = read_values(path)
        drawn = "DJI's own raw temperatures are not read, the image that the camera drew is taken"
        return RawThermal(values, notes=(*([note] if note else []), drawn), unknown=unknown)

    def holds_photo(self, path: Path) -> bool:
        """Never: DJI writes the visible photo beside it."""
        return False
