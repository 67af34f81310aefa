"""The first stage of the pipeline: reads a pair of files or arrays, or a camera file that is both."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ivfuse.errors import UsageError
from ivfuse.fusion.align import align_camera_file
from ivfuse.fusion.doubts import doubts_about_drawing, doubts_about_order
from ivfuse.fusion.pair import Pair
from ivfuse.image.read import Visible, read_visible
from ivfuse.thermal.formats.registry import is_plain
from ivfuse.thermal.read import Thermal, ThermalOptions, read_camera_file, read_thermal

Source = str | os.PathLike[str] | NDArray[Any] | Any  # a path, an array or a PIL image
_CALIBRATION = rb"""\s[\w-]+:(?:Calibrated|Dewarp)\w*\s*=\s*(?:"[^"]*"|'[^']*')"""  # attributes of XMP


def read_pair(ir: Source, vi: Source | None, options: ThermalOptions, *, rig: bool = False) -> Pair:
    """Read a pair; the images of a camera file are also aligned.

    Args:
        ir: thermal image: a path, an array or a PIL image.
        vi: visible image: a path, an array or a PIL image; ``None`` or the path of ``ir`` if one file
            contains both images.
        options: options for reading the thermal image.
        rig: whether a rig is given, which a camera file does not use; affects notes and metadata only.

    Raises:
        InputError: if an input cannot be used.
        ShapeError: if an array has an unsupported shape.
        UsageError: if ``ir`` is an array and there is no visible image.
    """
    name = str(ir) if isinstance(ir, str | os.PathLike) else "thermal"
    if isinstance(ir, str | os.PathLike) and _holds_both(ir, vi):
        pair = align_camera_file(read_camera_file(ir, options), name, parallax=options.parallax)
        notes = pair.thermal.notes
        if rig:
            notes += ("aligned by the parameters of the camera, not by the rig",)
        visible = _with_capture(pair.visible, pair.thermal, lens=False)
        return replace(pair, visible=visible, notes=_prefixed("thermal", notes))
    if vi is None:
        raise UsageError(field="vi", found="none with a thermal array", expected="the visible image")
    thermal, visible = read_thermal(ir, options, "ir"), read_visible(vi, "vi")
    notes = (*_prefixed("thermal", thermal.notes), *_prefixed("visible", [visible.note]))
    notes += doubts_about_order(thermal, visible)
    if isinstance(ir, str | os.PathLike) and isinstance(vi, str | os.PathLike):
        notes += doubts_about_drawing(Path(ir), Path(vi), thermal, visible)
    visible = _with_capture(visible, thermal, lens=not rig)
    return Pair(thermal, visible, thermal_shape=thermal.pixels.shape, name=name, notes=notes)


def _with_capture(visible: Visible, thermal: Thermal, *, lens: bool) -> Visible:
    """Add position, time and camera of the thermal file where the visible image states none.

    A calibration of the lens, which is in pixels of the thermal image, is left out.

    Args:
        visible: the visible image.
        thermal: the thermal image.
        lens: whether both show the same field, so that the focal length of the one holds for the other.
    """
    own, offered = visible.metadata, thermal.metadata
    exif, xmp = own.exif, own.xmp
    if offered.exif is not None:
        from ivfuse.image.exif import completed

        exif = completed(exif, offered.exif, lens=lens)
    if own.exif is None and xmp is None and offered.xmp is not None:
        xmp = re.sub(_CALIBRATION, b"", offered.xmp)
    return replace(visible, metadata=replace(own, exif=exif, xmp=xmp))


def _holds_both(ir: str | os.PathLike[str], vi: Source | None) -> bool:
    """Whether ``ir`` is a camera file that provides both images."""
    if vi is None or not isinstance(vi, str | os.PathLike):
        return vi is None
    return Path(ir) == Path(vi) and not is_plain(ir)


def _prefixed(name: str, notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {note}" for note in notes if note)
