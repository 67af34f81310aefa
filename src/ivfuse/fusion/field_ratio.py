"""The fields of view of a thermal and a visible image, as their lenses state them, for the registration."""

from __future__ import annotations

from ivfuse.image.read import Visible
from ivfuse.thermal.read import Thermal

_RANGE = (0.3, 2.3)  # as the registration searches
_ZOOM_TOLERANCE = 0.01


def field_ratio(thermal: Thermal, visible: Visible) -> float | None:
    """Diagonal of the thermal field over that of the visible, both at the same distance.

    It follows from the focal lengths that give the same diagonal fields on 35 mm film, which cameras of one
    drone state in EXIF: 40 mm (thermal) and 24 mm (visible) are a ratio of 0.6.

    Returns:
        ``None`` if a lens is unknown, the visible image is zoomed digitally, or the ratio is out of range.
    """
    own, block = thermal.equivalent_focal_length, visible.metadata.exif
    if own is None or block is None:
        return None
    from ivfuse.image.exif import DIGITAL_ZOOM, EQUIVALENT, read_exif

    exif = read_exif(block)
    other = exif.number(EQUIVALENT)
    if other is None or abs((exif.number(DIGITAL_ZOOM) or 1) - 1) > _ZOOM_TOLERANCE:
        return None
    ratio = other / own
    return ratio if _RANGE[0] <= ratio <= _RANGE[1] else None
