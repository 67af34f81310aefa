"""The stage that brings a thermal image onto the visible's grid: by a rig or the camera's geometry.

Where the thermal camera sees nothing the visible stands alone, with a soft transition between the two.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.pair import Pair
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma, resize_to
from ivfuse.image.decode import turn
from ivfuse.image.read import Visible
from ivfuse.thermal.formats.base import EmbeddedPhoto, PhotoGeometry
from ivfuse.thermal.read import CameraFile

if TYPE_CHECKING:
    from ivfuse.registration.camera import Overlap
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.geometry import Size
    from ivfuse.registration.transform import Registration
    from ivfuse.registration.warp import Placement

Auto = Literal["auto", "translation", "similarity", "affine", "homography"]
AUTO: tuple[Auto, ...] = get_args(Auto)


@dataclass
class Aligner:
    """Brings thermal images onto visible grids, by one rig, or each pair by its own registration.

    Args:
        rig: a registration or its file, control points, ``"auto"`` or the name of a transform model to
            register each pair by itself; ``None`` to stretch the thermal over the visible.
        crop: keep only the part of the visible that the thermal covers.

    Raises:
        InputError: if the rig's file cannot be used.
    """

    rig: Registration | Correspondences | str | os.PathLike[str] | None = None
    crop: bool = False
    model: Auto | None = field(init=False, default=None)
    _warps: dict[tuple[Size, Size], Placement] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Read the rig's file."""
        if isinstance(self.rig, str) and self.rig in AUTO:
            self.model = self.rig
        elif isinstance(self.rig, str | os.PathLike):
            from ivfuse.registration.transform import load_rig

            self.rig = load_rig(self.rig)

    @property
    def stretches(self) -> bool:
        """Nothing is known of where the thermal lies: it is stretched over the visible."""
        return self.rig is None

    def align(self, pair: Pair) -> Pair:
        """Put the thermal image of a pair onto the grid of its visible one.

        Raises:
            RegistrationError: if the pair is to be registered by itself and no transform is accepted.
            UsageError, InputError: if the rig does not fit the sizes.
        """
        if pair.aligned:
            return pair
        if self.stretches:
            return stretched(pair)
        thermal, visible = pair.thermal, pair.visible
        warp = self._registered(pair) if self.model else self.warp(*sizes_of(pair))
        coverage = warp.coverage
        celsius = thermal.celsius
        if celsius is not None:
            celsius = warp.apply(celsius)
            if coverage is not None:
                celsius[coverage <= 0] = np.nan
        thermal = replace(thermal, pixels=np.clip(warp.apply(thermal.pixels), 0, 1), celsius=celsius)
        notes = (*pair.notes, _describe(warp))
        if self.crop:
            alpha = None if visible.alpha is None else np.ascontiguousarray(warp.cut(visible.alpha))
            visible = replace(visible, pixels=warp.cut(visible.pixels).copy(), alpha=alpha)
            coverage = None
        return replace(pair, thermal=thermal, visible=visible, aligned=True, coverage=coverage, notes=notes)

    def align_frame(self, thermal: Gray, height: int, width: int) -> tuple[Gray, Gray | None]:
        """Put a thermal frame of a video onto visible frames of a size; needs a rig or points, or stretches.

        Args:
            thermal: (h, w) float32 in [0, 1].
            height: of the visible, in pixels.
            width: of the visible, in pixels.

        Returns:
            The thermal, (height, width), and its weight; ``None`` for 1 everywhere.
        """
        if self.stretches:
            return resize_to(thermal, height, width), None
        warp = self.warp((thermal.shape[1], thermal.shape[0]), (width, height))
        return np.asarray(warp.apply(thermal)), warp.coverage

    def warp(self, thermal: Size, visible: Size) -> Placement:
        """What puts frames of one size onto frames of another, made once; needs a rig or points.

        Raises:
            UsageError: if there is neither.
        """
        from ivfuse.registration.control_points import Correspondences
        from ivfuse.registration.transform import Registration
        from ivfuse.registration.warp import Placement

        if (thermal, visible) not in self._warps:
            if isinstance(self.rig, Correspondences):
                rig = self.rig.register(thermal, visible)
            elif isinstance(self.rig, Registration):
                rig = self.rig.for_sizes(thermal, visible)
            else:
                raise UsageError(field="rig", found=self.rig, expected="a registration or control points")
            self._warps[thermal, visible] = Placement(rig, self.crop)
        return self._warps[thermal, visible]

    def _registered(self, pair: Pair) -> Placement:
        """The warp of one pair by itself."""
        from ivfuse.registration.register import register_grays
        from ivfuse.registration.warp import Placement

        model = "homography" if self.model is None or self.model == "auto" else self.model
        images = (pair.name, pair.thermal.pixels, luma(pair.visible.pixels))
        return Placement(register_grays([images], model).sure(pair.name), self.crop)


def sizes_of(pair: Pair) -> tuple[Size, Size]:
    """Width and height of the thermal and of the visible image."""
    height, width = pair.thermal.pixels.shape
    return (width, height), (pair.visible.width, pair.visible.height)


def stretched(pair: Pair) -> Pair:
    """The thermal, and its temperatures, resampled to the visible's size."""
    height, width = pair.visible.height, pair.visible.width
    thermal = pair.thermal
    if thermal.pixels.shape == (height, width):
        return replace(pair, aligned=True)
    old = thermal.pixels.shape
    celsius = thermal.celsius
    if celsius is not None:
        celsius = resize_to(celsius, height, width, bounded=False)
    thermal = replace(thermal, pixels=resize_to(thermal.pixels, height, width), celsius=celsius)
    note = f"thermal resampled from {old[1]}x{old[0]} to {width}x{height}"
    return replace(pair, thermal=thermal, aligned=True, notes=(*pair.notes, note))


def align_camera_file(file: CameraFile, name: str, *, parallax: bool) -> Pair:
    """Bring thermal image and photo of one camera file onto one grid, by the camera's own geometry.

    Args:
        file: both, as the sensors have them.
        name: of the file, for errors.
        parallax: correct the parallax that remains after the camera's own alignment.

    Raises:
        InputError: if the two hardly overlap by the file's parameters.
    """
    from ivfuse.image.headers import BadFileError
    from ivfuse.registration.camera import cut, onto

    thermal, photo = file.thermal, file.photo
    try:
        grid, notes = _common_grid(photo, thermal.temperatures(), parallax)
    except BadFileError as error:
        raise InputError(f"{name}: found {error}", hint="give a visible image as the second file") from error
    height, width = thermal.pixels.shape
    size = f"resampled from {width}x{height} onto the photo's {grid.width}x{grid.height}"

    def upright(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(turn(pixels, file.orientation))

    first, *rest = thermal.notes
    thermal = replace(
        thermal,
        pixels=upright(np.clip(onto(thermal.pixels, grid, smooth=True), 0, 1)),
        celsius=upright(onto(thermal.temperatures(), grid, smooth=False)),
        notes=(first, size, *notes, *rest),
    )
    return Pair(thermal, Visible(upright(cut(photo.pixels, grid))), aligned=True, name=name)


def _common_grid(
    photo: EmbeddedPhoto, celsius: NDArray[np.float32], parallax: bool
) -> tuple[Overlap, tuple[str, ...]]:
    """The common grid by the file's parameters, then shifted by the parallax that the images show."""
    from ivfuse.registration.camera import cut, onto, overlap
    from ivfuse.registration.parallax import find_shift

    grid = overlap(photo.pixels, celsius.shape, photo.geometry, photo.zoom)
    if not parallax:
        return grid, grid.notes
    shift = find_shift(onto(celsius, grid, smooth=False), luma(cut(photo.pixels, grid)))
    if shift is None:
        return grid, (*grid.notes, "no parallax was measured with confidence, the camera's geometry stands")
    pixel = (grid.box.right - grid.box.left) / grid.width  # photo pixels a grid pixel
    known = photo.geometry or PhotoGeometry(photo.zoom, 0, 0)
    moved = replace(
        known, offset_x=known.offset_x + shift.x * pixel, offset_y=known.offset_y + shift.y * pixel
    )
    note = f"shifted by {shift.x:+.0f}, {shift.y:+.0f} pixels for parallax"
    return overlap(photo.pixels, celsius.shape, moved, photo.zoom), (*grid.notes, note)


def blend(inside: Gray, outside: Gray, coverage: Gray | np.float32) -> Gray:
    """``inside`` where the coverage is 1, ``outside`` where it is 0; all (H, W) float32."""
    out = inside - outside
    out *= coverage
    out += outside
    return out


def _describe(warp: Placement) -> str:
    rig = warp.registration
    score = f", score {rig.score:.2f}" if rig.origin == "images" else ""
    covered = f"the thermal covers {warp.share:.0%} of the visible"
    if warp.crop:
        covered += f", cut to {warp.size[0]}x{warp.size[1]}"
    return f"thermal placed by {rig.origin} ({rig.model}{score}); {covered}"
