"""The align stage: resampling of a thermal image onto the visible grid, by a rig or the camera geometry.

Outside the field of view of the thermal camera the visible image is kept, with a gradual transition.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.doubts import doubts_about_fields, doubts_about_sizes
from ivfuse.fusion.field_ratio import field_ratio
from ivfuse.fusion.pair import Pair
from ivfuse.image.arrays import Gray
from ivfuse.image.black_frame import BlackFrame, find_black_frame
from ivfuse.image.color import extended, luma, resize_to
from ivfuse.image.decode import turn
from ivfuse.image.read import Visible
from ivfuse.thermal.formats.base import EmbeddedPhoto
from ivfuse.thermal.read import CameraFile, Thermal

if TYPE_CHECKING:
    from ivfuse.registration.camera import CommonGrid
    from ivfuse.registration.control_points import Correspondences
    from ivfuse.registration.geometry import Size
    from ivfuse.registration.transform import Registration
    from ivfuse.registration.warp import Warper

Auto = Literal["auto", "translation", "similarity", "affine", "homography"]
AUTO: tuple[Auto, ...] = get_args(Auto)


@dataclass
class Aligner:
    """Aligns thermal images with visible images, by a common rig or by a registration of each pair.

    Args:
        rig: a registration or its file, control points, or ``"auto"`` or the name of a transform model to
            register each pair individually; ``None`` stretches the thermal image over the visible image.
        crop: whether to crop the visible image to the part that the thermal image covers.
        keep_frame: whether the frame of a thermal image that was warped before belongs to the image.

    Raises:
        InputError: if the file of the rig cannot be used.
    """

    rig: Registration | Correspondences | str | os.PathLike[str] | None = None
    crop: bool = False
    keep_frame: bool = False
    model: Auto | None = field(init=False, default=None)
    _warps: dict[tuple[Size, Size], Warper] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Load the rig if it is given as a file."""
        if isinstance(self.rig, str) and self.rig in AUTO:
            self.model = self.rig
        elif isinstance(self.rig, str | os.PathLike):
            from ivfuse.registration.transform import load_rig

            self.rig = load_rig(self.rig)

    @property
    def stretches(self) -> bool:
        """Whether thermal images are stretched over the visible images, because no rig is given."""
        return self.rig is None

    def align(self, pair: Pair) -> Pair:
        """Resample the thermal image of a pair onto the grid of its visible image.

        Raises:
            RegistrationError: if the pair is registered individually and no transform is accepted.
            UsageError: if the rig does not match the sizes.
            InputError: if the rig does not match the sizes.
        """
        if pair.aligned:
            return pair
        if self.stretches:
            fields = doubts_about_fields(field_ratio(pair.thermal, pair.visible))
            doubts = fields or doubts_about_sizes(*sizes_of(pair))
            return stretch(self._without_frame(replace(pair, notes=(*pair.notes, *doubts))))
        warp = self._registered(pair) if self.model else self.warp(*sizes_of(pair))
        pair = self._without_frame(pair)
        thermal, visible = pair.thermal, pair.visible
        celsius, valid = thermal.celsius, thermal.valid
        coverage = _warped_coverage(warp, pair.coverage)
        if celsius is not None:
            celsius = warp.apply(celsius if valid is None else extended(celsius, valid))
            if coverage is not None:
                celsius[coverage <= 0] = np.nan
        thermal = replace(thermal, pixels=np.clip(warp.apply(thermal.pixels), 0, 1), celsius=celsius)
        notes = (*pair.notes, _describe(warp))
        if self.crop:
            alpha = None if visible.alpha is None else np.ascontiguousarray(warp.crop_visible(visible.alpha))
            visible = replace(visible, stored=warp.crop_visible(visible.stored).copy(), alpha=alpha)
        if valid is not None:
            thermal, coverage = _without_data(thermal, warp.apply(valid.astype(np.float32)), coverage)
        return replace(pair, thermal=thermal, visible=visible, aligned=True, coverage=coverage, notes=notes)

    def _without_frame(self, pair: Pair) -> Pair:
        return pair if self.keep_frame else without_black_frame(pair)

    def align_frame(
        self, thermal: Gray, height: int, width: int, weight: Gray | None = None
    ) -> tuple[Gray, Gray | None]:
        """Resample a thermal video frame onto the grid of the visible frames, by a rig or by stretching.

        Args:
            thermal: (h, w) float32 in [0, 1].
            height: height of the visible frames, in pixels.
            width: width of the visible frames, in pixels.
            weight: of the thermal frame, (h, w) float32 in [0, 1]; ``None`` for 1 everywhere.

        Returns:
            The thermal frame, (height, width), and its weight; ``None`` for a weight of 1 everywhere.
        """
        if self.stretches:
            coverage = None if weight is None else resize_to(weight, height, width)
            return resize_to(thermal, height, width), coverage
        warp = self.warp((thermal.shape[1], thermal.shape[0]), (width, height))
        return np.asarray(warp.apply(thermal)), _warped_coverage(warp, weight)

    def warp(self, thermal: Size, visible: Size) -> Warper:
        """Return the warp between frames of two sizes, computed once; requires a rig or control points.

        Raises:
            UsageError: if there is neither.
        """
        from ivfuse.registration.control_points import Correspondences
        from ivfuse.registration.transform import Registration
        from ivfuse.registration.warp import Warper

        if (thermal, visible) not in self._warps:
            if isinstance(self.rig, Correspondences):
                rig = self.rig.register(thermal, visible)
            elif isinstance(self.rig, Registration):
                rig = self.rig.for_sizes(thermal, visible)
            else:
                raise UsageError(field="rig", found=self.rig, expected="a registration or control points")
            self._warps[thermal, visible] = Warper(rig, self.crop)
        return self._warps[thermal, visible]

    def _registered(self, pair: Pair) -> Warper:
        """Register a pair and return its warp; known fields of view are the start."""
        from ivfuse.registration.register import register_grays
        from ivfuse.registration.warp import Warper

        model = "homography" if self.model is None or self.model == "auto" else self.model
        images = (pair.name, pair.thermal.pixels, luma(pair.visible.stored))
        ratio = field_ratio(pair.thermal, pair.visible)
        return Warper(register_grays([images], model, ratio).require(pair.name), self.crop)


def sizes_of(pair: Pair) -> tuple[Size, Size]:
    """Return (width, height) of the thermal and of the visible image."""
    height, width = pair.thermal.pixels.shape
    return (width, height), (pair.visible.width, pair.visible.height)


def without_black_frame(pair: Pair) -> Pair:
    """Leave out the black or white frame of a thermal image that was warped before it was stored.

    Images as they are stored are searched here; in counts the reader found the frame, since no window may
    include it.

    Returns:
        The pair, with the weight on the grid of the thermal image as coverage if there is a frame.
    """
    thermal = pair.thermal
    if thermal.framed and thermal.valid is not None:
        return replace(pair, coverage=BlackFrame(thermal.valid).weight)
    if thermal.window is not None or thermal.celsius is not None or thermal.valid is not None:
        return pair
    frame = find_black_frame(thermal.pixels)
    if frame is None:
        return pair
    thermal = replace(thermal, pixels=frame.fill(thermal.pixels))
    return replace(
        pair, thermal=thermal, coverage=frame.weight, notes=(*pair.notes, f"thermal: {frame.note}")
    )


def stretch(pair: Pair) -> Pair:
    """Resample the thermal image, its temperatures and its weight to the size of the visible image."""
    height, width = pair.visible.height, pair.visible.width
    thermal, coverage = pair.thermal, pair.coverage
    valid, celsius = thermal.valid, thermal.celsius
    if thermal.pixels.shape == (height, width):
        if valid is not None and coverage is None:
            coverage = valid.astype(np.float32)
        return replace(pair, aligned=True, coverage=coverage)
    old = thermal.pixels.shape
    if celsius is not None:
        celsius = celsius if valid is None else extended(celsius, valid)
        celsius = resize_to(celsius, height, width, bounded=False)
    if coverage is not None:
        coverage = resize_to(coverage, height, width)
    thermal = replace(thermal, pixels=resize_to(thermal.pixels, height, width), celsius=celsius)
    if valid is not None:
        weight = resize_to(valid.astype(np.float32), height, width, bounded=False)
        thermal, coverage = _without_data(thermal, weight, coverage)
    note = f"thermal resampled from {old[1]}x{old[0]} to {width}x{height}"
    return replace(pair, thermal=thermal, aligned=True, coverage=coverage, notes=(*pair.notes, note))


def _without_data(thermal: Thermal, weight: Gray, coverage: Gray | None) -> tuple[Thermal, Gray]:
    """Remove temperatures and coverage where the resampled weight of the pixels with data is low.

    In a black frame the coverage fades already.
    """
    inside = np.clip(2 * weight - 1, 0, 1).astype(np.float32)
    celsius = thermal.celsius
    if celsius is not None:
        celsius = np.where(inside > 0, celsius, np.float32(np.nan))
    thermal = replace(thermal, celsius=celsius, valid=inside > 0)
    if coverage is None:
        return thermal, inside
    return thermal, coverage if thermal.framed else inside * coverage


def align_camera_file(file: CameraFile, name: str, *, parallax: bool) -> Pair:
    """Align the thermal image and the photo of a camera file by the geometry stored in the file.

    Args:
        file: thermal image and photo in the orientation of the sensors.
        name: name of the file in error messages.
        parallax: whether to correct the parallax that remains after the camera's own alignment.

    Raises:
        InputError: if the two images hardly overlap according to the file.
    """
    from ivfuse.image.headers import BadFileError
    from ivfuse.registration.camera import crop_photo, warp_thermal

    thermal, photo, valid = file.thermal, file.photo, file.thermal.valid
    celsius = thermal.temperatures()
    if valid is not None:
        celsius = extended(celsius, valid)
    try:
        grid, notes = _common_grid(photo, celsius, parallax)
    except BadFileError as error:
        raise InputError(f"{name}: found {error}", hint="give a visible image as the second file") from error
    height, width = thermal.pixels.shape
    size = f"resampled from {width}x{height} onto the photo's {grid.width}x{grid.height}"

    def upright(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(turn(pixels, file.orientation))

    first, *rest = thermal.notes
    thermal = replace(
        thermal,
        pixels=upright(np.clip(warp_thermal(thermal.pixels, grid, smooth=True), 0, 1)),
        celsius=upright(warp_thermal(celsius, grid, smooth=False)),
        notes=(first, size, *notes, *rest),
    )
    coverage = None
    if valid is not None:
        weight = upright(warp_thermal(valid.astype(np.float32), grid, smooth=False))
        thermal, coverage = _without_data(thermal, weight, None)
    visible = Visible(upright(crop_photo(photo.pixels, grid)))
    shape = (height, width)
    return Pair(thermal, visible, aligned=True, coverage=coverage, thermal_shape=shape, name=name)


def _common_grid(
    photo: EmbeddedPhoto, celsius: NDArray[np.float32], parallax: bool
) -> tuple[CommonGrid, tuple[str, ...]]:
    """Determine the common grid from the file, shifted by the parallax measured between the images."""
    from ivfuse.registration.camera import (
        CameraGeometry,
        common_grid,
        crop_photo,
        estimate_parallax,
        warp_thermal,
    )

    stated, geometry = photo.geometry, None
    if stated is not None:
        geometry = CameraGeometry(stated.real_to_ir, stated.offset_x, stated.offset_y, photo.zoom)
    grid = common_grid(photo.pixels, celsius.shape, geometry)
    if not parallax:
        return grid, grid.notes
    shift = estimate_parallax(warp_thermal(celsius, grid, smooth=False), luma(crop_photo(photo.pixels, grid)))
    if shift is None:
        return grid, (*grid.notes, "no parallax was measured with confidence, the camera geometry is used")
    known, step = geometry or CameraGeometry(), grid.photo_pixels
    moved = replace(known, offset_x=known.offset_x + shift.x * step, offset_y=known.offset_y + shift.y * step)
    note = f"shifted by {shift.x:+.0f}, {shift.y:+.0f} pixels for parallax"
    return common_grid(photo.pixels, celsius.shape, moved), (*grid.notes, note)


def _warped_coverage(warp: Warper, weight: Gray | None) -> Gray | None:
    """Weight of a warped thermal image that had a weight before; ``None`` for 1 everywhere."""
    if weight is None:
        return warp.coverage
    warped: Gray = warp.apply(weight)
    return warped if warp.coverage is None else warped * warp.coverage


def blend(inside: Gray, outside: Gray, coverage: Gray | np.float32) -> Gray:
    """Blend ``inside`` (coverage 1) and ``outside`` (coverage 0); all (H, W) float32."""
    out = inside - outside
    out *= coverage
    out += outside
    return out


def _describe(warp: Warper) -> str:
    rig = warp.registration
    score = f", score {rig.score:.2f}" if rig.origin == "images" else ""
    covered = f"the thermal covers {warp.covered_fraction:.0%} of the visible"
    if warp.crop:
        covered += f", cropped to {warp.size[0]}x{warp.size[1]}"
    return f"thermal aligned by {rig.origin} ({rig.model}{score}); {covered}"
