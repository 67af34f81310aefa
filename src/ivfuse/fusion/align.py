"""The one step that brings a thermal image onto the visible's grid: resampled, or placed by a rig.

Where the thermal camera sees nothing the visible stands alone, with a soft step between the two.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ivfuse.errors import UsageError
from ivfuse.image.color import luma, resize_to
from ivfuse.image.read import Gray, Visible

if TYPE_CHECKING:
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.geometry import Size
    from ivfuse.registration.transform import Registration
    from ivfuse.registration.warp import Warper
    from ivfuse.thermal.read import Thermal

Auto = Literal["auto", "translation", "similarity", "affine", "homography"]
AUTO: tuple[Auto, ...] = get_args(Auto)


@dataclass(frozen=True)
class Placed:
    """A thermal image on the visible's grid.

    Attributes:
        ir: thermal, (H, W) float32 in [0, 1].
        vi: the visible, or the part of it that is kept.
        heat: the same with its temperatures, not a number outside of what is covered; or ``None``.
        coverage: how much the thermal counts, (H, W) float32 in [0, 1]; ``None`` for everywhere.
        notes: what was done.
        copied: the visible's array is no longer the one that was given.
    """

    ir: Gray
    vi: Visible
    heat: Thermal | None = None
    coverage: Gray | None = None
    notes: tuple[str, ...] = ()
    copied: bool = False


class Placer:
    """Brings thermal images onto visible grids, by one rig, or each pair by itself."""

    def __init__(
        self, rig: Registration | Correspondences | str | os.PathLike[str] | None = None, crop: bool = False
    ) -> None:
        """Choose how.

        Args:
            rig: a registration or its file, corresponding points, ``"auto"`` or the name of a model to
                register each pair by itself; ``None`` to stretch the thermal over the visible.
            crop: keep only the part of the visible that the thermal covers.

        Raises:
            UsageError: if there is nothing to crop by.
            InputError: if the rig's file cannot be used.
        """
        if crop and rig is None:
            raise UsageError("crop: expected a rig, points, or registration of each pair as well")
        self.auto: Auto | None = next((name for name in AUTO if isinstance(rig, str) and rig == name), None)
        if isinstance(rig, str | os.PathLike) and self.auto is None:
            from ivfuse.registration.transform import load_rig

            rig = load_rig(rig)
        self.rig = None if isinstance(rig, str | os.PathLike) else rig
        self.crop = crop
        self._ready: dict[tuple[Size, Size], Warper] = {}

    @property
    def stretches(self) -> bool:
        """Nothing is known of where the thermal lies: it is stretched over the visible."""
        return self.rig is None and self.auto is None

    def place(self, gray: Gray, heat: Thermal | None, visible: Visible, name: str = "thermal") -> Placed:
        """Put one thermal image onto its visible's grid.

        Args:
            gray: thermal, (h, w) float32 in [0, 1].
            heat: the same with its temperatures, or ``None``.
            visible: the visible.
            name: of the thermal, for errors.

        Raises:
            RegistrationError: if the pair is to be registered by itself and that is not sure.
            UsageError, InputError: if the rig does not fit the sizes.
        """
        if self.stretches:
            return stretched(gray, heat, visible)
        sizes = (gray.shape[1], gray.shape[0]), (visible.width, visible.height)
        placement = self._registered(gray, visible, name) if self.auto else self.placement(*sizes)
        ir = np.clip(placement.apply(gray), 0, 1)
        coverage = placement.coverage
        if heat is not None:
            celsius = heat.celsius
            if celsius is not None:
                celsius = placement.apply(celsius)
                if coverage is not None:
                    celsius[coverage <= 0] = np.nan
            heat = replace(heat, pixels=ir, celsius=celsius)
        notes = (_said(placement),)
        if not self.crop:
            return Placed(ir, visible, heat, coverage, notes)
        alpha = None if visible.alpha is None else np.ascontiguousarray(placement.crop_visible(visible.alpha))
        part = replace(visible, pixels=placement.crop_visible(visible.pixels).copy(), alpha=alpha)
        return Placed(ir, part, heat, None, notes, True)

    def place_frame(self, gray: Gray, height: int, width: int) -> tuple[Gray, Gray | None]:
        """Put a thermal frame of a video onto visible frames of a size; needs a rig or points, or stretches.

        Args:
            gray: thermal, (h, w) float32 in [0, 1].
            height, width: of the visible, in pixels.

        Returns:
            The thermal, (height, width), and how much it counts; ``None`` for everywhere.
        """
        if self.stretches:
            return resize_to(gray, height, width), None
        placement = self.placement((gray.shape[1], gray.shape[0]), (width, height))
        return np.asarray(placement.apply(gray)), placement.coverage

    def placement(self, thermal: Size, visible: Size) -> Warper:
        """What puts frames of one size onto frames of another, made once; needs a rig or points."""
        from ivfuse.registration.control_points import Correspondences
        from ivfuse.registration.warp import Warper

        if (thermal, visible) not in self._ready:
            if self.rig is None:
                raise UsageError("placement: found no rig, expected one, or points")
            if isinstance(self.rig, Correspondences):
                rig = self.rig.register(thermal, visible)
            else:
                rig = self.rig.for_sizes(thermal, visible)
            self._ready[thermal, visible] = Warper(rig, self.crop)
        return self._ready[thermal, visible]

    def _registered(self, gray: Gray, visible: Visible, name: str) -> Warper:
        """The placement of one pair by itself."""
        from ivfuse.registration.register import register_grays
        from ivfuse.registration.warp import Warper

        model = "homography" if self.auto is None or self.auto == "auto" else self.auto
        registration = register_grays([(name, gray, luma(visible.pixels))], model).require(name)
        return Warper(registration, self.crop)


def stretched(gray: Gray, heat: Thermal | None, visible: Visible) -> Placed:
    """The thermal, and its temperatures, resampled to the visible's size."""
    height, width = visible.height, visible.width
    if gray.shape == (height, width):
        return Placed(gray, visible, heat)
    note = f"thermal resampled from {gray.shape[1]}x{gray.shape[0]} to {width}x{height}"
    gray = resize_to(gray, height, width)
    if heat is not None:
        celsius = heat.celsius
        if celsius is not None:
            celsius = resize_to(celsius, height, width, bounded=False)
        heat = replace(heat, pixels=gray, celsius=celsius)
    return Placed(gray, visible, heat, None, (note,))


def faded(inside: Gray, outside: Gray, coverage: Gray | None) -> Gray:
    """One image where the thermal counts, another elsewhere; all (H, W) float32."""
    if coverage is None:
        return inside
    out = inside - outside
    out *= coverage
    out += outside
    return out


def _said(placement: Warper) -> str:
    rig = placement.registration
    score = f", score {rig.score:.2f}" if rig.origin == "images" else ""
    covered = f"the thermal covers {placement.covered_fraction:.0%} of the visible"
    if placement.crop:
        covered += f", cut to {placement.size[0]}x{placement.size[1]}"
    return f"thermal placed by {rig.origin} ({rig.model}{score}); {covered}"
