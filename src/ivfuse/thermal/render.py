"""Rendering of a fused image with a colormap or with highlighted temperatures, and a color bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, UsageError, check_type
from ivfuse.image.arrays import Gray, Pixels, Rgb
from ivfuse.image.color import luma, recolor
from ivfuse.thermal.colorbar import draw_bar
from ivfuse.thermal.colormaps import CAMERA, Colormap, find_colormap, from_colors
from ivfuse.thermal.read import Thermal
from ivfuse.thermal.units import Span, parse_span

_GRAYS = ("white-hot", "black-hot")
_FUSED = 0.5  # weight of the fused luma in a rendered image; the rest is the luma of the colormap
_COVER = 0.85  # opacity of the color over highlighted areas
_FROM = 0.35  # start of the colors for highlights within the colormap, whose dark end would hide them
_DETAIL = 0.6  # weight of the fine detail of the fused image in highlighted areas
_DEFAULT = "iron"


@dataclass(frozen=True)
class RenderOptions:
    """Options for rendering a fused image.

    Attributes:
        colormap: name of a colormap, or ``camera`` for that of the file; ``None`` keeps the visible colors.
        highlight: temperatures to color in the image, which keeps its own colors elsewhere; or ``None``.
        colorbar: whether to draw a color bar at the right edge if temperatures are known.
    """

    colormap: str | None = None
    highlight: Span | None = None
    colorbar: bool = True

    def __post_init__(self) -> None:
        """Validate the options.

        Raises:
            UnknownNameError: if there is no such colormap.
            UsageError: if the highlight is not in degrees.
        """
        check_type("colormap", self.colormap, (str, type(None)), "a name or None")
        check_type("highlight", self.highlight, (Span, type(None)), "a span of temperatures or None")
        if self.colormap is not None and self.colormap != CAMERA:
            find_colormap(self.colormap)
        if self.highlight is not None and not self.highlight.degrees:
            raise UsageError(field="highlight", found=self.highlight, expected="temperatures, like >40C")

    @property
    def inverted(self) -> bool:
        """Whether the thermal image is inverted before fusion, so that hot is dark."""
        return self.colormap == "black-hot" and self.highlight is None

    @property
    def gray(self) -> bool:
        """Whether the rendered image is gray."""
        return self.colormap in _GRAYS and self.highlight is None


def parse_render_options(
    colormap: str | None, highlight: str | None, colorbar: bool = True
) -> RenderOptions | None:
    """Create options from user input; ``None`` if the fused image is not rendered.

    Args:
        colormap: name of a colormap, or ``camera``; ``None`` if not given.
        highlight: range of temperatures, in degC unless it states a unit; ``None`` if not given.
        colorbar: whether to draw the color bar.

    Raises:
        UnknownNameError: if there is no such colormap.
        UsageError: if the range cannot be parsed.
    """
    if colormap is None and highlight is None:
        return None
    span = None if highlight is None else parse_span(highlight, "highlight", open_ends=True, unit="C")
    return RenderOptions(None if colormap is None else colormap.strip().lower(), span, colorbar)


def render(options: RenderOptions, fused: Pixels, thermal: Thermal, coverage: Gray | None = None) -> Pixels:
    """Render a fused image.

    Args:
        options: the colormap or highlight, and whether to draw a color bar.
        fused: (H, W) or (H, W, 3) float32 in [0, 1].
        thermal: thermal image of the same height and width; NaN temperatures are never highlighted.
        coverage: weight of the thermal image, (H, W) float32 in [0, 1], which limits the colormap to the area
            that the thermal image covers; ``None`` if it covers the whole image.

    Returns:
        A new image, (H, W, 3), or (H, W) for a gray colormap without a color bar.

    Raises:
        InputError: if temperatures are required but unknown, or the file has no colormap.
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


def note_on_highlight(options: RenderOptions | None, thermal: Thermal) -> str | None:
    """Say that no temperature is within the highlighted range; ``None`` if one is, or none are known."""
    if options is None or options.highlight is None or thermal.celsius is None:
        return None
    if options.highlight.holds(thermal.celsius).any():
        return None
    finite = thermal.celsius[np.isfinite(thermal.celsius)]
    found = "there are no temperatures"
    if finite.size:
        found = f"the temperatures are from {finite.min():.1f} to {finite.max():.1f} degC"
    return f"thermal: nothing was highlighted, {found}"


def _colormap(options: RenderOptions, thermal: Thermal) -> Colormap:
    """Look up the requested colormap."""
    if options.colormap != CAMERA:
        return find_colormap(options.colormap or _DEFAULT)
    if thermal.colormap is None:
        raise InputError(
            f"{CAMERA}: the thermal file contains no colormap",
            field="colormap",
            expected="a FLIR file",
        )
    return from_colors(CAMERA, thermal.colormap.astype(np.float32) / 255)


def _painted(fused: Gray, thermal: Gray, colors: Colormap) -> Rgb:
    """Color an image by its thermal values; the luma is the mean of that of colormap and fused image."""
    painted = colors.paint(thermal)
    light = (1 - _FUSED) * luma(painted) + _FUSED * fused
    return recolor(painted, light.astype(np.float32), out=painted)


def _highlight(
    span: Span, fused: Pixels, celsius: NDArray[np.float32], colors: Colormap, colorbar: bool
) -> Rgb:
    """Color the pixels within a range of temperatures; without any, nothing is drawn, nor a bar."""
    import cv2

    shown = _rgb(fused)
    inside = span.holds(celsius)
    if not inside.any():
        return shown
    low = span.low if math.isfinite(span.low) else min(float(np.nanmin(celsius)), span.high - 1)
    high = span.high if math.isfinite(span.high) else max(float(np.nanmax(celsius)), span.low + 1)
    bright = colors if colors.name in _GRAYS else _upper(colors)
    base = luma(fused)
    detail = base - cv2.GaussianBlur(base, (0, 0), max(2.0, max(base.shape) / 100))
    painted = bright.paint((np.nan_to_num(celsius, nan=low) - low) / (high - low))
    painted = np.clip(painted + _DETAIL * detail[..., np.newaxis], 0, 1)
    cover = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7)[..., np.newaxis] * _COVER
    shown = (shown + (painted - shown) * cover).astype(np.float32)
    return draw_bar(shown, bright.colors, low, high) if colorbar else shown


def _upper(colors: Colormap) -> Colormap:
    """Return the colormap without its dark end."""
    return from_colors(colors.name, colors.colors[int(_FROM * len(colors.colors)) :])


def _rgb(pixels: Pixels) -> Rgb:
    """Copy to three channels."""
    return np.repeat(pixels[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
