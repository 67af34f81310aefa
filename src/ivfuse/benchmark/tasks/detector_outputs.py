"""What detectors give, decoded: one function for each family, registered under its name.

The more particular shapes come first: whoever recognizes an output first gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_END_TO_END = 1000  # more rows than a model keeps after it has suppressed overlaps itself
_BINS = 8  # of a side's distance in NanoDet: reg_max 7

Floats = NDArray[np.float32]
Raw = tuple[Floats, Floats, Floats]  # corners (N, 4) in pixels of the input, scores (N,), classes (N,)
Grid = tuple[int, int]  # height, width
Shape = tuple[int, ...]
Decode = Callable[[Floats, Grid], Raw]


@dataclass(frozen=True)
class Prepare:
    """How an image becomes a detector's input.

    Attributes:
        order: of the channels.
        scale: what levels of 0 to 255 are multiplied by, after ``mean`` is taken off and ``std`` divided by.
        letterbox: keep the proportions and fill up with gray; else stretch.
        mean, std: of the channels in that order.
    """

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 255
    letterbox: bool = True
    mean: tuple[float, float, float] = (0, 0, 0)
    std: tuple[float, float, float] = (1, 1, 1)


@dataclass(frozen=True)
class OutputFormat:
    """A family of detectors.

    Attributes:
        name: for the command line.
        recognize: tells by the shape of the (only) output and the size of the input whether it may be this.
        decode: output and size of the input -> corners, scores and classes.
        class_count: number of classes by the output's shape; 0 if it does not tell.
        prepare: of its input.
        overlap: intersection over union above which the weaker of two boxes of a class is dropped; 1 for
            detectors that have done so.
        summary: one line.
    """

    name: str
    recognize: Callable[[Shape, Grid], bool]
    decode: Decode
    class_count: Callable[[Shape], int]
    prepare: Prepare
    overlap: float
    summary: str


OUTPUT_FORMATS: dict[str, OutputFormat] = {}


def output_format(
    name: str,
    summary: str,
    recognize: Callable[[Shape, Grid], bool],
    class_count: Callable[[Shape], int],
    prepare: Prepare,
    overlap: float = 0.6,
) -> Callable[[Decode], Decode]:
    """Register how a family's output is decoded."""

    def register(decode: Decode) -> Decode:
        OUTPUT_FORMATS[name] = OutputFormat(name, recognize, decode, class_count, prepare, overlap, summary)
        return decode

    return register


@output_format(
    "fastestdet",
    "(1, 5 + classes, rows, columns)",
    lambda shape, size: len(shape) == 4 and shape[0] == 1 and shape[1] > 5,
    lambda shape: shape[1] - 5,
    Prepare("bgr", letterbox=False),
    overlap=0.45,
)
def fastestdet(output: Floats, size: Grid) -> Raw:
    """FastestDet (dog-qiuqiu, 2022): objectness, offsets, sides and class scores of each cell."""
    _, depth, rows, columns = output.shape
    cells = output[0].reshape(depth, -1)
    x, y = _cells(rows, columns)
    middle_x = (x + np.tanh(cells[1])) / columns * size[1]
    middle_y = (y + np.tanh(cells[2])) / rows * size[0]
    width, height = _sigmoid(cells[3]) * size[1], _sigmoid(cells[4]) * size[0]
    classes = cells[5:].argmax(axis=0)
    # The exponents are those of the release's own decoding.
    scores = np.clip(cells[0], 0, 1) ** 0.6 * np.clip(cells[5:].max(axis=0), 0, 1) ** 0.4
    return _corners(middle_x, middle_y, width, height), scores, classes.astype(np.float32)


@output_format(
    "yolo-end-to-end",
    "(1, up to 1000, 6): corners, score, class",
    lambda shape, size: len(shape) == 3 and shape[0] == 1 and shape[2] == 6 and shape[1] <= _END_TO_END,
    lambda shape: 0,
    Prepare(),
    overlap=1,
)
def yolo_end_to_end(output: Floats, size: Grid) -> Raw:
    """YOLOv10, and others that were exported with the suppression of overlaps inside."""
    rows = output[0]
    return rows[:, :4], rows[:, 4], np.rint(rows[:, 5])


@output_format(
    "nanodet",
    "(1, cells of strides 8, 16, 32 (and 64), classes + 32)",
    lambda shape, size: (
        len(shape) == 3 and shape[0] == 1 and shape[2] > 4 * _BINS and _strides(shape[1], size) is not None
    ),
    lambda shape: shape[2] - 4 * _BINS,
    Prepare("bgr", 1, letterbox=False, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395)),
)
def nanodet(output: Floats, size: Grid) -> Raw:
    """NanoDet and NanoDet-Plus (RangiLyu): class scores and distributions of the distances to four sides."""
    rows = output[0]
    strides = _strides(len(rows), size) or ()
    half = 0.0 if len(strides) == 4 else 0.5  # NanoDet-Plus measures from the cell's corner
    middles, steps = [], []
    for stride in strides:
        x, y = _cells(-(-size[0] // stride), -(-size[1] // stride))
        middles.append(np.stack([x + half, y + half], axis=1) * stride)
        steps.append(np.full(len(x), stride, np.float32))
    middle, step = np.concatenate(middles), np.concatenate(steps)
    bins = rows[:, -4 * _BINS :].reshape(-1, 4, _BINS)
    bins = np.exp(bins - bins.max(axis=2, keepdims=True))
    distance = (bins @ np.arange(_BINS, dtype=np.float32)) / bins.sum(axis=2) * step[:, np.newaxis]
    corners = np.concatenate([middle - distance[:, :2], middle + distance[:, 2:]], axis=1)
    scores = rows[:, : -4 * _BINS]
    return corners, scores.max(axis=1), scores.argmax(axis=1).astype(np.float32)


@output_format(
    "yolov5",
    "(1, boxes, 5 + classes): middle, sides, objectness, class scores; YOLOv5 to v7",
    lambda shape, size: len(shape) == 3 and shape[0] == 1 and shape[1] > shape[2] > 5,
    lambda shape: shape[2] - 5,
    Prepare(),
)
def yolov5(output: Floats, size: Grid) -> Raw:
    """YOLOv5, v6 and v7."""
    rows = output[0]
    scores = rows[:, 5:] * rows[:, 4:5]
    return _corners(*rows[:, :4].T), scores.max(axis=1), scores.argmax(axis=1).astype(np.float32)


@output_format(
    "yolov8",
    "(1, 4 + classes, boxes): middle, sides, class scores; YOLOv8, v9, v11",
    lambda shape, size: len(shape) == 3 and shape[0] == 1 and shape[2] > shape[1] > 4,
    lambda shape: shape[1] - 4,
    Prepare(),
)
def yolov8(output: Floats, size: Grid) -> Raw:
    """YOLOv8, v9, v11 and their like."""
    columns = output[0]
    return _corners(*columns[:4]), columns[4:].max(axis=0), columns[4:].argmax(axis=0).astype(np.float32)


def _strides(rows: int, size: Grid) -> tuple[int, ...] | None:
    for strides in ((8, 16, 32, 64), (8, 16, 32)):
        if rows == sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides):
            return strides
    return None


def _cells(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Column and row of each cell, row by row."""
    y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float32)
    return x, y


def _corners(x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)
