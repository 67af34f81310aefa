"""DJI R-JPEG files, of which the rendered image is read; the raw values require DJI's Thermal SDK.

The counts are in APP3 segments of 64 KiB each. The files are recognized by these segments together with
"DTAT" in APP4 or APP6, or the name of DJI in APP1.
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
_MIN_RASTER = 8192  # smallest size in bytes of APP3 segments that are regarded as a thermal raster
_UNKNOWN = "found a DJI R-JPEG, whose temperatures only DJI's Thermal SDK can read"
_HINT = "convert it with that SDK to a 16-bit or float TIFF and give {scale}"


@thermal_format("dji-jpeg")
class DjiJpeg:
    """Reader of DJI R-JPEG files; see :class:`ThermalReader`."""

    name = "DJI R-JPEG"
    calibrated = False

    def recognize(self, file: BinaryIO) -> bool:
        """Recognize a file by a raster in APP3 and the name of DJI."""
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
        facts = describe_values(path, read_values(path)) | {"kind": self.name}
        facts["notes"].append(
            "only DJI's Thermal SDK can read its temperatures; the values are those of the rendered image"
        )
        return facts

    def read(self, path: Path, conditions: Overrides, *, photo: bool = False) -> RawThermal:
        """Read the values of the rendered image; the visible photo is a separate file."""
        unknown = InputError(f"{path}: {_UNKNOWN}", expected="a FLIR radiometric JPEG", hint=_HINT)
        if photo:
            raise unknown
        stored = read_values(path)
        rendered = "DJI's raw temperatures cannot be read, the rendered image of the camera is used"
        return RawThermal(
            stored.values, notes=(*([stored.note] if stored.note else []), rendered), unknown=unknown
        )

    def holds_photo(self, path: Path) -> bool:
        """Return ``False``: DJI cameras write the visible photo to a separate file."""
        return False
