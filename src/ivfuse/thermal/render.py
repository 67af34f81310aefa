"""How a fused image is shown: in a palette, or with hot areas painted over it; a bar of temperatures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError
from ivfuse.image.color import luma, recolor
from ivfuse.image.read import Gray, Rgb
from ivfuse.thermal.colorbar import draw_bar
from ivfuse.thermal.colormaps import CAMERA, Palette, from_colors, palette
from ivfuse.thermal.raster import UNKNOWN
from ivfuse.thermal.read import Thermal
from ivfuse.thermal.units import Span, parse_span

_GRAYS = ("white-hot", "black-hot")
_FUSED = 0.5  # share of the fused luma in a painted image; the rest is the palette's own
_COVER = 0.85  # how much of a hot area its color covers
_FROM = 0.35  # of the palette, where the colors of hot areas begin: its dark end would hide them
_DETAIL = 0.6  # of the fused image's fine detail that stays on hot areas
_DEFAULT = "iron"


@dataclass(frozen=True)
class Look:
    """How the fused image is shown.

    Attributes:
        palette: a name, or ``camera`` for the file's own; ``None`` for the visible's colors.
        highlight: temperatures to paint over the image, which keeps its colors elsewhere; or ``None``.
        bar: draw a bar with temperatures at the right edge, where they are known.
    """

    palette: str | None = None
    highlight: Span | None = None
    bar: bool = True

    def __post_init__(self) -> None:
        """Refuse what can never be shown.

        Raises:
            UnknownNameError: if there is no such palette.
            UsageError: if the highlight is not in degrees.
        """
        if self.palette is not None and self.palette != CAMERA:
            palette(self.palette)
        if self.highlight is not None and not self.highlight.degrees:
            raise UsageError(f"--highlight: found {self.highlight}, expected temperatures, like >40C")

    @property
    def inverted(self) -> bool:
        """Hot is to be dark, in the image that is fused."""
        return self.palette == "black-hot" and self.highlight is None

    @property
    def gray(self) -> bool:
        """The image is to be gray."""
        return self.palette in _GRAYS and self.highlight is None


def parse_look(palette: str | None, highlight: str | None, bar: bool, option: str) -> Look | None:
    """A look from the words of a user; ``None`` for the fused image as it is.

    Args:
        palette: a name, or ``camera``; ``None`` if none was given.
        highlight: a range of temperatures, in degC where it names no unit; likewise.
        bar: draw the bar.
        option: what the highlight is called in errors.

    Raises:
        UnknownNameError, UsageError: if a palette is unknown or a range makes no sense.
    """
    if palette is None and highlight is None:
        return None
    span = None if highlight is None else parse_span(highlight, option, open_ends=True, unit="C")
    return Look(None if palette is None else palette.strip().lower(), span, bar)


def show(
    look: Look, fused: NDArray[np.float32], heat: Thermal, coverage: Gray | None = None
) -> NDArray[np.float32]:
    """Paint a fused image.

    Args:
        look: how.
        fused: (H, W) or (H, W, 3) float32 in [0, 1].
        heat: of the same height and width; temperatures that are not a number are no heat.
        coverage: how much the thermal counts, (H, W) float32 in [0, 1]; a palette ends where it does.

    Returns:
        A new image, (H, W, 3), or (H, W) for a gray palette without a bar.

    Raises:
        InputError: if temperatures are needed and not known, or the file has no palette of its own.
    """
    colors = _palette(look, heat)
    if look.highlight is not None:
        return _highlight(look.highlight, fused, heat, colors, look.bar)
    shown = fused
    if not look.gray:
        gray = luma(fused)
        shown = _painted(gray, heat.pixels, colors)
        if coverage is not None:
            beside = gray[..., np.newaxis]
            shown = beside + (shown - beside) * coverage[..., np.newaxis]
    if look.bar and heat.ends is not None:
        shown = draw_bar(_rgb(shown), colors.colors, *heat.ends)
    return shown


def _palette(look: Look, heat: Thermal) -> Palette:
    """The palette that was asked for."""
    if look.palette != CAMERA:
        return palette(look.palette or _DEFAULT)
    if heat.colors is None:
        raise InputError(
            f"--palette {CAMERA}: the thermal file holds no palette of its own, expected a FLIR file"
        )
    return from_colors(CAMERA, heat.colors.astype(np.float32) / 255)


def _painted(fused: Gray, thermal: Gray, colors: Palette) -> Rgb:
    """Color by the heat; lightness half of the palette, half of the fused image, whose detail stays."""
    painted = colors.paint(thermal)
    light = (1 - _FUSED) * luma(painted) + _FUSED * fused
    return recolor(painted, light.astype(np.float32), out=painted)


def _highlight(
    span: Span, fused: NDArray[np.float32], heat: Thermal, colors: Palette, bar: bool
) -> NDArray[np.float32]:
    """Paint what lies in a range of temperatures over the image."""
    import cv2

    celsius = heat.celsius
    if celsius is None:
        raise InputError(f"--highlight: {UNKNOWN}")
    shown = _rgb(fused)
    inside = span.holds(celsius)
    low = span.low if math.isfinite(span.low) else min(float(np.nanmin(celsius)), span.high - 1)
    high = span.high if math.isfinite(span.high) else max(float(np.nanmax(celsius)), span.low + 1)
    bright = colors if colors.name in _GRAYS else _upper(colors)
    if inside.any():
        base = luma(fused)
        detail = base - cv2.GaussianBlur(base, (0, 0), max(2.0, max(base.shape) / 100))
        painted = bright.paint((np.nan_to_num(celsius, nan=low) - low) / (high - low))
        painted = np.clip(painted + _DETAIL * detail[..., np.newaxis], 0, 1)
        cover = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7)[..., np.newaxis] * _COVER
        shown = (shown + (painted - shown) * cover).astype(np.float32)
    return draw_bar(shown, bright.colors, low, high) if bar else shown


def _upper(colors: Palette) -> Palette:
    """The palette without its dark end."""
    return from_colors(colors.name, colors.colors[int(_FROM * len(colors.colors)) :])


def _rgb(pixels: NDArray[np.float32]) -> Rgb:
    """Three channels, in an array of its own."""
    return np.repeat(pixels[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
