"""Rendering of a fused image: by a colormap, or with hot areas painted over it, with a color bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError
from ivfuse.image.arrays import Gray, Pixels, Rgb
from ivfuse.image.color import luma, recolor
from ivfuse.thermal.colorbar import draw_bar
from ivfuse.thermal.colormaps import CAMERA, Colormap, find_colormap, from_colors
from ivfuse.thermal.read import Thermal
from ivfuse.thermal.units import Span, parse_span

_GRAYS = ("white-hot", "black-hot")
_FUSED = 0.5  # share of the fused luma in a painted image; the rest is the colormap's own
_COVER = 0.85  # how much of a hot area its color covers
_FROM = 0.35  # of the colormap, where the colors of hot areas begin: its dark end would hide them
_DETAIL = 0.6  # of the fused image's fine detail that stays on hot areas
_DEFAULT = "iron"


@dataclass(frozen=True)
class RenderOptions:
    """How the fused image is rendered.

    Attributes:
        colormap: a name, or ``camera`` for the file's own; ``None`` for the visible's colors.
        highlight: temperatures to paint over the image, which keeps its colors elsewhere; or ``None``.
        colorbar: draw a bar with temperatures at the right edge, where they are known.
    """

    colormap: str | None = None
    highlight: Span | None = None
    colorbar: bool = True

    def __post_init__(self) -> None:
        """Refuse what can never be shown.

        Raises:
            UnknownNameError: if there is no such colormap.
            UsageError: if the highlight is not in degrees.
        """
        if self.colormap is not None and self.colormap != CAMERA:
            find_colormap(self.colormap)
        if self.highlight is not None and not self.highlight.degrees:
            raise UsageError(field="highlight", found=self.highlight, expected="temperatures, like >40C")

    @property
    def inverted(self) -> bool:
        """Hot is to be dark, in the image that is fused."""
        return self.colormap == "black-hot" and self.highlight is None

    @property
    def gray(self) -> bool:
        """The image is to be gray."""
        return self.colormap in _GRAYS and self.highlight is None


def parse_render_options(
    colormap: str | None, highlight: str | None, colorbar: bool = True
) -> RenderOptions | None:
    """Options from the words of a user; ``None`` for the fused image as it is.

    Args:
        colormap: a name, or ``camera``; ``None`` if none was given.
        highlight: a range of temperatures, in degC where it names no unit; likewise.
        colorbar: draw the color bar.

    Raises:
        UnknownNameError, UsageError: if a colormap is unknown or a range makes no sense.
    """
    if colormap is None and highlight is None:
        return None
    span = None if highlight is None else parse_span(highlight, "highlight", open_ends=True, unit="C")
    return RenderOptions(None if colormap is None else colormap.strip().lower(), span, colorbar)


def render(options: RenderOptions, fused: Pixels, thermal: Thermal, coverage: Gray | None = None) -> Pixels:
    """Paint a fused image.

    Args:
        options: how.
        fused: (H, W) or (H, W, 3) float32 in [0, 1].
        thermal: of the same height and width; temperatures that are NaN are never highlighted.
        coverage: weight of the thermal, (H, W) float32 in [0, 1]; a colormap ends where it does.

    Returns:
        A new image, (H, W, 3), or (H, W) for a gray colormap without a color bar.

    Raises:
        InputError: if temperatures are needed and not known, or the file has no colormap of its own.
    """
    colors = _colormap(options, thermal)
    if options.highlight is not None:
        return _highlight(options.highlight, fused, thermal.temperatures(), colors, options.colorbar)
    shown = fused
    if not options.gray:
        gray = luma(fused)
        shown = _painted(gray, thermal.pixels, colors)
        if coverage is not None:
            beside = gray[..., np.newaxis]
            shown = beside + (shown - beside) * coverage[..., np.newaxis]
    if options.colorbar and thermal.ends is not None:
        shown = draw_bar(_rgb(shown), colors.colors, *thermal.ends)
    return shown


def _colormap(options: RenderOptions, thermal: Thermal) -> Colormap:
    """The colormap that was asked for."""
    if options.colormap != CAMERA:
        return find_colormap(options.colormap or _DEFAULT)
    if thermal.colormap is None:
        raise InputError(
            f"{CAMERA}: the thermal file holds no colormap of its own",
            field="colormap",
            expected="a FLIR file",
        )
    return from_colors(CAMERA, thermal.colormap.astype(np.float32) / 255)


def _painted(fused: Gray, thermal: Gray, colors: Colormap) -> Rgb:
    """Color by the thermal; lightness is half the colormap's, half the fused image's, whose detail stays."""
    painted = colors.paint(thermal)
    light = (1 - _FUSED) * luma(painted) + _FUSED * fused
    return recolor(painted, light.astype(np.float32), out=painted)


def _highlight(
    span: Span, fused: Pixels, celsius: NDArray[np.float32], colors: Colormap, colorbar: bool
) -> Rgb:
    """Paint what lies in a range of temperatures over the image."""
    import cv2

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
    return draw_bar(shown, bright.colors, low, high) if colorbar else shown


def _upper(colors: Colormap) -> Colormap:
    """The colormap without its dark end."""
    return from_colors(colors.name, colors.colors[int(_FROM * len(colors.colors)) :])


def _rgb(pixels: Pixels) -> Rgb:
    """Three channels, in an array of its own."""
    return np.repeat(pixels[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
