"""Outlines of the thermal targets of a pair, and which of them each image of it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ivfuse.image.read import read_visible
from ivfuse.metrics import get_convention
from ivfuse.metrics.evaluate import to_levels
from ivfuse.metrics.folder import read_sources
from ivfuse.metrics.targets import Target, TargetContrast, find_targets, measure_targets
from ivfuse.metrics.triple import Levels
from ivfuse.thermal.tone_mapping import Window

ToGray = Callable[[Levels], Levels]

_MARGIN = 2  # pixels between a target and its outline


@dataclass(frozen=True)
class OutlineJob:
    """The sources of a pair, method -> fused file, and the convention that says how they become gray."""

    ir: Path
    vi: Path
    fused: Mapping[str, Path]
    ir_window: Window | None
    convention: str = "default"


@dataclass(frozen=True)
class Outlines:
    """The targets of a pair.

    Attributes:
        width, height: of the image that the outlines are drawn on, in pixels.
        polygons: of each target, the points of an SVG polygon.
        states: image (``ir``, ``vi`` or a method) -> a letter per target: l lost, s seen, u neither.
    """

    width: int
    height: int
    polygons: list[str]
    states: dict[str, str]


def make_outlines(_: Any) -> Callable[[OutlineJob], Outlines]:
    """Make the function that outlines the targets of one pair, for a process of its own."""
    return outlines


def outlines(job: OutlineJob) -> Outlines:
    """Find the targets of a pair and say in which of its images each is seen.

    Raises:
        InputError: a source cannot be read. A fused image that cannot be used has no states.
    """
    to_gray = get_convention(job.convention).to_gray
    ir, vi = (_gray(levels, to_gray) for levels in read_sources(job.ir, job.vi, job.ir_window))
    found = find_targets(ir)
    images = {"ir": ir, "vi": vi}
    for method, path in job.fused.items() if found.targets else ():
        image = _fused(path, ir.shape, to_gray)
        if image is not None:
            images[method] = image
    states = {name: "".join(map(_state, measure_targets(found, vi, each))) for name, each in images.items()}
    if not found.targets:
        states |= dict.fromkeys(job.fused, "")
    height, width = found.shape
    return Outlines(width, height, [_polygon(target) for target in found.targets], states)


def _fused(path: Path, shape: tuple[int, ...], to_gray: ToGray) -> Levels | None:
    """A fused image in gray; ``None`` if it cannot be read or has another size, which the report says."""
    try:
        image = _gray(to_levels(read_visible(path, as_stored=True).pixels, path.name), to_gray)
    except Exception:  # one bad file must not take the outlines of the others
        return None
    return image if image.shape == shape else None


def _gray(levels: Levels, to_gray: ToGray) -> Levels:
    return to_gray(levels) if levels.ndim == 3 else levels


def _state(contrast: TargetContrast) -> str:
    return "s" if contrast.seen else "l" if contrast.lost else "u"


def _polygon(target: Target) -> str:
    """The outline of a target a little outside of it, as points of an SVG polygon."""
    mask = np.pad(target.mask.astype(np.uint8), _MARGIN)
    wide = cv2.dilate(mask, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
    contours, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    longest = max(contours, key=len)
    points = cv2.approxPolyDP(longest, 1.0, closed=True)[:, 0, :]
    left, top = target.left - _MARGIN, target.top - _MARGIN
    return " ".join(f"{left + int(x)},{top + int(y)}" for x, y in points)
