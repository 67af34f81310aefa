"""Registration of image files and arrays, which are read as gray images and passed to ``registration``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import IvfuseError, Spell, check_type, in_python, reason_of
from ivfuse.fusion.field_ratio import field_ratio
from ivfuse.image.arrays import Gray, to_float
from ivfuse.image.color import luma, to_single_channel
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.registration.geometry import Model
from ivfuse.registration.register import (
    RigResult,
    check_model,
    combine,
    estimate_named,
    failed,
    register_grays,
)
from ivfuse.registration.transform import Registration
from ivfuse.thermal.read import read_thermal
from ivfuse.thermal.tone_mapping import thermal_window

Image = str | os.PathLike[str] | NDArray[Any]


def register(ir: Image, vi: Image, model: Model = "homography") -> Registration:
    """Estimate the transform from a thermal to a visible image.

    Args:
        ir: thermal image: a path, or an array (H, W) or (H, W, 3) as for :meth:`ivfuse.Fuser.fuse`.
        vi: visible image: a path or an array.
        model: ``translation`` (the thermal image is stretched over the visible image and shifted),
            ``similarity``, ``affine`` or ``homography``.

    Returns:
        The registration, which ``Fuser(rig=...)`` applies.

    Raises:
        RegistrationError: if no transform is reliable.
        InputError: if an input cannot be used.
        ShapeError: if an array has an unsupported shape.
        UnknownNameError: if there is no such model.

    Example:
        >>> rig = register("thermal.png", "visible.jpg")  # doctest: +SKIP
        >>> rig.save("rig.json")  # doctest: +SKIP
    """
    name = "images" if isinstance(ir, np.ndarray) else str(ir)
    thermal, visible, ratio = read_images(ir, vi)
    return register_grays([(name, thermal, visible)], model, ratio).require(name)


def register_files(
    pairs: Sequence[FilePair],
    model: Model = "homography",
    on_pair: Callable[[str], None] | None = None,
    start: Registration | None = None,
    spell: Spell = in_python,
) -> RigResult:
    """Estimate the common transform of a rig from pairs of files.

    See ``registration.register.register_grays``. Pairs that cannot be read are reported in the result.

    Args:
        pairs: pairs of files from one rig.
        model: the family of transforms.
        on_pair: function that is called with the name of each pair after it is processed.
        start: approximate registration that is tried before any search; ``None`` if there is none.
        spell: how reasons spell fields of the API.
    """
    check_model(model)
    estimates = []
    for pair in pairs:
        try:
            thermal, visible, ratio = read_images(pair.ir, pair.vi)
            estimates.append(estimate_named(pair.name, thermal, visible, model, ratio, start))
        except IvfuseError as error:
            estimates.append(failed(pair.name, reason_of(error, spell)))
        if on_pair:
            on_pair(pair.name)
    return combine(estimates, model)


def read_images(ir: Image, vi: Image) -> tuple[Gray, Gray, float | None]:
    """Read a pair for its registration.

    Returns:
        The thermal image and the luma of the visible image, (H, W) float32 in [0, 1], and the ratio of their
        fields of view (:func:`ivfuse.fusion.field_ratio.field_ratio`) if both are files that state it.
    """
    for name, image in (("ir", ir), ("vi", vi)):
        check_type(name, image, (str, os.PathLike, np.ndarray), "a path or an array")
    if isinstance(ir, np.ndarray) or isinstance(vi, np.ndarray):
        return thermal_gray(ir), visible_gray(vi), None
    thermal, visible = read_thermal(ir), read_visible(Path(vi))
    return thermal.pixels, luma(visible.stored), field_ratio(thermal, visible)


def thermal_gray(ir: Image) -> Gray:
    """Read a thermal image or file of any kind as (H, W) float32 in [0, 1]."""
    if not isinstance(ir, np.ndarray):
        return read_thermal(ir).pixels
    ir = to_single_channel(ir)
    if ir.dtype == np.uint8:
        return to_float(ir)
    return thermal_window(ir)[0]


def visible_gray(vi: Image) -> Gray:
    """Read the luma of a visible image or file, (H, W) float32 in [0, 1]."""
    return luma(to_float(vi) if isinstance(vi, np.ndarray) else read_visible(Path(vi)).stored)
