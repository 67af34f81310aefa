"""The figure of a fusion paper: rows of scenes, columns of methods, details magnified below each image.

Drawn by Matplotlib, so that a PDF has text as text and images at their own resolution.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.datasets import open_set
from ivfuse.benchmark.plan import Entry, external_entry, method_entries
from ivfuse.errors import InputError, MissingExtraError, UnknownNameError, UsageError
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.arrays import to_float, to_levels
from ivfuse.image.color import luma
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.metrics.targets import find_targets
from ivfuse.runtime.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Levels = NDArray[np.uint8]

COLORS = ("#e6194b", "#ffd500", "#00c2ff", "#3cb44b")  # of the boxes, in their order
SUFFIXES = (".png", ".pdf", ".svg")
_MOST_BOXES = len(COLORS)
_AUTO_BOXES = 2  # details of a scene for which none was given
_DETAIL = 0.16  # side of such a detail, as a fraction of the larger side of the image
_GAP = 0.04  # between images, in inches
_EDGE = 0.02  # around the figure, for the frames of outer details
_NAME = 0.16  # width of the scenes' names, in inches
_TITLE = 0.2  # height of the line of titles, in inches


@dataclass(frozen=True)
class Box:
    """A detail to magnify.

    Attributes:
        x, y, width, height: in pixels of the visible image.
    """

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: Levels) -> Levels:
        """The detail of an image, (height, width, 3)."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class BoxText:
    """A detail as it was given: a scene, or ``None`` for all, and four numbers."""

    scene: str | None
    values: tuple[float, float, float, float]

    def in_image(self, width: int, height: int) -> Box:
        """Turn numbers of at most 1 from fractions into pixels.

        Raises:
            UsageError: if the box does not lie in the image.
        """
        sides = (width, height, width, height)
        scaled = (
            self.values
            if max(self.values) > 1
            else tuple(v * s for v, s in zip(self.values, sides, strict=True))
        )
        box = Box(*(round(value) for value in scaled))
        if box.width < 2 or box.height < 2 or box.x + box.width > width or box.y + box.height > height:
            raise UsageError(
                field="box",
                found=",".join(f"{v:g}" for v in self.values),
                expected=f"a part of {width}x{height}",
            )
        return box


def parse_box(text: str) -> BoxText:
    """Parse ``X,Y,WIDTH,HEIGHT`` or ``SCENE:X,Y,WIDTH,HEIGHT``, in pixels or in fractions of the image.

    Raises:
        UsageError: if the text is neither.
    """
    scene, colon, numbers = text.rpartition(":")
    match = re.fullmatch(r"\s*" + r"\s*,\s*".join([r"(\d*\.?\d+)"] * 4) + r"\s*", numbers)
    if match is None or (colon and not scene):
        raise UsageError(
            field="box", found=repr(text), expected="[SCENE:]X,Y,WIDTH,HEIGHT, pixels or fractions"
        )
    x, y, width, height = (float(number) for number in match.groups())
    return BoxText(scene if colon else None, (x, y, width, height))


@dataclass(frozen=True)
class PanelRow:
    """A scene.

    Attributes:
        name: of the scene.
        images: one per column, (H, W, 3) uint8, all of one size.
        boxes: details to frame and to magnify.
    """

    name: str
    images: tuple[Levels, ...]
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Rows of scenes and columns of images: the sources, then the methods."""

    columns: tuple[str, ...]
    rows: tuple[PanelRow, ...]


def make_panel(
    data: Path,
    methods: str,
    fused: Sequence[str] = (),
    *,
    scenes: Sequence[str] = (),
    most: int = 4,
    boxes: Sequence[str] | None = (),
    gray: bool = False,
) -> Panel:
    """Read and fuse the scenes of a panel.

    Args:
        data: a folder of pairs.
        methods: as for a benchmark: names or ``.onnx`` files with commas between, ``all`` or ``none``; see
            :func:`ivfuse.benchmark.plan.method_entries`.
        fused: ``NAME=DIR`` for the fused images of other programs.
        scenes: names of pairs, in the order of the rows; none for the first ``most``.
        most: number of scenes if none are named.
        boxes: details for :func:`parse_box`. A scene without one shows its clearest thermal targets;
            ``None`` for no details at all.
        gray: whether methods fuse in gray.

    Raises:
        InputError: if a folder or an image cannot be used.
        UnknownNameError: if there is no such method, emphasis or scene.
        UsageError: if a box makes no sense, or there is no column.
    """
    found = open_set(data, camera_files=True)
    given = [parse_box(text) for text in boxes or ()]
    pairs = {pair.name: pair for pair in found.pairs}
    for name in (*scenes, *(box.scene for box in given if box.scene)):
        if name not in pairs:
            raise UnknownNameError("scene", name, list(pairs), field="scene")
    chosen = [pairs[name] for name in scenes] or list(pairs.values())[:most]
    entries = [*method_entries(methods), *(external_entry(text, [found]) for text in fused)]
    if not entries:
        raise UsageError(field="methods", found=repr(methods), expected="a method or fused images")
    fusers = {
        e.name: Fuser(e.method or e.name, emphasis=e.emphasis, gray=gray, allow_damaged=None)
        for e in entries
        if e.external is None
    }
    rows = []
    for pair in chosen:
        images = tuple(_row_images(pair, entries, fusers, found.name))
        height, width = images[0].shape[:2]
        ours = [box for box in given if box.scene in (None, pair.name)]
        if len(ours) > _MOST_BOXES:
            raise UsageError(
                field="box", found=f"{len(ours)} for {pair.name}", expected=f"at most {_MOST_BOXES}"
            )
        details = tuple(box.in_image(width, height) for box in ours)
        if boxes is not None and not details:
            details = target_boxes(images[0], images[1])
        rows.append(PanelRow(pair.name, images, details))
    return Panel(("infrared", "visible", *(entry.name for entry in entries)), tuple(rows))


def _row_images(
    pair: FilePair, entries: Sequence[Entry], fusers: Mapping[str, Fuser], data: str
) -> Iterator[Levels]:
    """The sources as they are fused, then the methods' images."""
    reader = next(iter(fusers.values()), None) or Fuser("average", allow_damaged=None)
    sources = reader.read(pair.ir, pair.vi)
    yield color_levels(sources.thermal.pixels)
    yield color_levels(sources.visible.pixels)
    shape = sources.visible.height, sources.visible.width
    for entry in entries:
        if entry.external is None:
            yield color_levels(fusers[entry.name].fuse_pair(sources))
            continue
        path = entry.external[data].get(pair.name)
        if path is None:
            raise InputError(f"{entry.name}: no fused image of {pair.name}")
        image = read_visible(path, as_stored=True).pixels
        if image.shape[:2] != shape:
            height, width = image.shape[:2]
            raise InputError(
                f"{path}: {width}x{height}", expected=f"{shape[1]}x{shape[0]}, as the visible image"
            )
        yield color_levels(image)


def color_levels(pixels: NDArray[Any]) -> Levels:
    """(H, W) or (H, W, 3) float32 in [0, 1] as (H, W, 3) uint8."""
    levels: Levels = to_levels(pixels, 8)
    return levels if levels.ndim == 3 else np.repeat(levels[..., np.newaxis], 3, axis=2)


def target_boxes(ir: Levels, vi: Levels) -> tuple[Box, ...]:
    """Squares around thermal targets that rise most above what the visible shows, from left to right."""
    height, width = ir.shape[:2]
    side = max(2, min(round(_DETAIL * max(height, width)), height, width))
    infrared, visible = (255 * luma(to_float(image)).astype(np.float64) for image in (ir, vi))
    scored = []
    for target in find_targets(infrared).targets:
        inside, around = target.pixels(visible)
        scored.append((target.rise - abs(inside.mean() - around.mean()), target.box))
    chosen: list[Box] = []
    for _, (left, top, wide, tall) in sorted(scored, reverse=True):
        size = min(max(side, round(1.3 * max(wide, tall))), height, width)
        x = min(max(left + wide // 2 - size // 2, 0), width - size)
        y = min(max(top + tall // 2 - size // 2, 0), height - size)
        if all(abs(x - box.x) > size or abs(y - box.y) > size for box in chosen):
            chosen.append(Box(x, y, size, size))
    return tuple(sorted(chosen[:_AUTO_BOXES], key=lambda box: box.x))


def check_suffix(out: Path) -> None:
    """Raise UsageError unless a figure can be written as this, and MissingExtraError without Matplotlib."""
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(field="out", found=out.name, expected=f"a name that ends in {', '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("a panel", "report")


def write_panel(panel: Panel, out: Path, *, width: float = 7.16, dpi: int = 300, names: bool = False) -> None:
    """Draw a panel and write it atomically.

    Args:
        panel: what to draw.
        out: a ``.png``, ``.pdf`` or ``.svg`` file.
        width: of the figure, in inches; 7.16 is the text of a page of two columns.
        dpi: resolution of a PNG.
        names: whether the scenes' names stand to the left of their rows.

    Raises:
        UsageError: if the suffix is another.
        OutputError: if the file cannot be written.
        MissingExtraError: without the extra ``report``.
    """
    check_suffix(out)
    from matplotlib import rc_context

    figure = draw_panel(panel, width=width, names=names)
    with rc_context({"svg.hashsalt": "ivfuse"}), replacing(out) as part:
        figure.savefig(part, format=out.suffix[1:].lower(), dpi=dpi, metadata=_UNDATED[out.suffix.lower()])


# A figure that is drawn again is the same file.
_UNDATED: dict[str, dict[str, Any]] = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def draw_panel(panel: Panel, *, width: float = 7.16, names: bool = False) -> Figure:
    """Draw a panel; see :func:`write_panel`."""
    from matplotlib.figure import Figure

    left = _EDGE + (_NAME if names else 0)
    cell = (width - left - _EDGE - _GAP * (len(panel.columns) - 1)) / len(panel.columns)
    heights = [_row_height(row, cell) for row in panel.rows]
    total = _TITLE + sum(heights) + _GAP * 2 * (len(heights) - 1) + _EDGE
    figure = Figure(figsize=(width, total))
    size = min(9.0, 72 * cell / 6)
    for index, title in enumerate(panel.columns):
        x = left + index * (cell + _GAP) + cell / 2
        figure.text(x / width, 1 - 0.6 * _TITLE / total, title, ha="center", va="center", size=size)
    top = total - _TITLE
    for row, height in zip(panel.rows, heights, strict=True):
        if names:
            middle = (top - height / 2) / total
            figure.text(
                0.45 * left / width, middle, row.name, rotation=90, ha="center", va="center", size=size
            )
        for index, image in enumerate(row.images):
            _draw_cell(figure, image, row.boxes, left + index * (cell + _GAP), top, cell)
        top -= height + 2 * _GAP
    return figure


def _row_height(row: PanelRow, cell: float) -> float:
    """Of the image and the strip of details below it, in inches."""
    height, width = row.images[0].shape[:2]
    tall = float(cell * height / width)
    return tall + _GAP / 2 + _strip_height(row.boxes, cell) if row.boxes else tall


def _strip_height(boxes: Sequence[Box], cell: float) -> float:
    """Of details side by side that together are as wide as the image."""
    aspects = sum(box.width / box.height for box in boxes)
    return (cell - _GAP / 2 * (len(boxes) - 1)) / aspects


def _draw_cell(
    figure: Figure, image: Levels, boxes: Sequence[Box], left: float, top: float, cell: float
) -> None:
    """An image with its framed details, and the details magnified in a strip below."""
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    tall = cell * height / width
    axes = _axes(figure, left, top - tall, cell, tall)
    axes.imshow(image, interpolation="none" if width > 600 * cell / 2 else "nearest", aspect="auto")
    for box, color in zip(boxes, COLORS, strict=False):
        corner = (box.x - 0.5, box.y - 0.5)
        axes.add_patch(Rectangle(corner, box.width, box.height, fill=False, edgecolor=color, linewidth=0.8))
    if not boxes:
        return
    strip, x = _strip_height(boxes, cell), left
    for box, color in zip(boxes, COLORS, strict=False):
        wide = strip * box.width / box.height
        detail = _axes(figure, x, top - tall - _GAP / 2 - strip, wide, strip)
        detail.imshow(box.cut(image), interpolation="nearest", aspect="auto")
        for spine in detail.spines.values():
            spine.set(visible=True, edgecolor=color, linewidth=1.2)
        x += wide + _GAP / 2


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without ticks, placed in inches."""
    wide, tall = figure.get_size_inches()
    axes = figure.add_axes((left / wide, bottom / tall, width / wide, height / tall))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes
