"""Detectors in ONNX Runtime: the usual outputs of YOLO, NanoDet and FastestDet, told apart by their shapes.

Example:
    >>> detector = open_detector(Path("yolov8n.onnx"))
    >>> found = detector.detect(image)  # (H, W, 3) uint8 in R, G, B order
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.tasks.class_names import COCO
from ivfuse.benchmark.tasks.detector_outputs import OUTPUT_FORMATS, Floats, Grid, OutputFormat, Prepare
from ivfuse.errors import InputError, UnknownNameError, UsageError
from ivfuse.runtime.limits import check_threads
from ivfuse.runtime.onnx import open_session

CANDIDATES = 3000  # boxes that go into the suppression of overlaps, best first
KEPT = 100  # boxes of an image that COCO's measure looks at
_LARGEST = 8192  # side of an input


@dataclass(frozen=True)
class DetectorOptions:
    """What a user may say about a detector.

    Attributes:
        format: name of an :class:`OutputFormat`; ``None`` recognizes it.
        names: of its classes; ``None`` takes those in the file, or COCO's if there are 80.
        size: height and width of the input, where the file leaves them open.
        confidence: boxes below are dropped; low, since average precision looks at all of them.
        threads: of ONNX Runtime; ``None`` leaves it to it.
    """

    format: str | None = None
    names: tuple[str, ...] | None = None
    size: Grid | None = None
    confidence: float = 0.001
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if the threads are not 1 to 1024."""
        check_threads(self.threads)


@dataclass(frozen=True)
class Detections:
    """What was found in an image, best first.

    Attributes:
        corners: (N, 4) float64, left, top, right, bottom in pixels of the image.
        scores: (N,) float64.
        classes: (N,) int64.
    """

    corners: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]


class Detector:
    """A detector that is ready; see :func:`open_detector`."""

    def __init__(
        self, session: Any, form: OutputFormat, names: tuple[str, ...], size: Grid, confidence: float
    ) -> None:
        """Take what was found out about it."""
        self.form, self.names, self.size = form, names, size
        self._session, self._confidence = session, confidence
        self._input = session.get_inputs()[0].name

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects.

        Args:
            image: (H, W, 3) uint8 in R, G, B order, or (H, W) gray.

        Raises:
            InputError: the detector fails, or gives what is not finite.
        """
        prepared, factors, offset = prepare(image, self.form.prepare, self.size)
        output = _run(self._session, self._input, prepared)
        corners, scores, classes = self.form.decode(output, self.size)
        if classes.size and not 0 <= int(classes.min()) <= int(classes.max()) < len(self.names):
            raise InputError(
                f"detector: gives class {int(classes.max())}, there are {len(self.names)} names of classes"
            )
        placed = (corners - np.tile(offset, 2)) / np.tile(factors, 2)
        height, width = image.shape[:2]
        inside = np.clip(placed, 0, [width, height, width, height])
        return suppress(inside, scores, classes, self._confidence, self.form.overlap)


def open_detector(path: Path, options: DetectorOptions = DetectorOptions()) -> Detector:
    """Open a detector and find out what it gives, by one run on a gray image.

    Args:
        path: an ONNX file with one image input (1, 3, H, W).
        options: what the file does not tell.

    Raises:
        InputError: the file cannot be used.
        UnknownNameError: there is no such format.
        UsageError: the format cannot be recognized, or the number of names is wrong.
    """
    if options.format is not None and options.format not in OUTPUT_FORMATS:
        raise UnknownNameError("detector format", options.format, OUTPUT_FORMATS)
    session = load_model(path, options.threads)
    size = input_size(session, path.name, options.size)
    gray = np.full((1, 3, *size), 0.45, np.float32)
    shape = _run(session, session.get_inputs()[0].name, gray, path.name).shape
    form = OUTPUT_FORMATS[options.format] if options.format else _recognized(shape, size, path.name)
    if options.format and not form.recognize(shape, size):
        raise UsageError(f"{path.name}: its output {_said(shape)} is not one of {form.name} ({form.summary})")
    names = options.names or _names_inside(session)
    count = form.class_count(shape)
    if names is None and count in (0, len(COCO)):
        names = COCO
    if names is None or (count and len(names) != count):
        found = f"{len(names)} names" if names else "no names"
        raise UsageError(
            f"{path.name}: {count} classes by its output {_said(shape)} as {form.name}, {found}; give a file "
            "with the names, or another format"
        )
    return Detector(session, form, tuple(names), size, options.confidence)


def load_model(path: Path, threads: int | None = None) -> Any:
    """An ONNX Runtime session; its input is checked by :func:`input_size`.

    Raises:
        InputError: the file is missing or no model that the runtime can load.
        UsageError: if the threads are not 1 to 1024.
    """
    check_threads(threads)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a model in ONNX")
    try:
        return open_session(path, threads)
    except Exception as error:  # the runtime has classes of its own for every fault
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path.name}: not a model that ONNX Runtime can load: {reason}") from error


def input_size(session: Any, name: str, wanted: Grid | None = None, default: int = 640) -> Grid:
    """Height and width of a model's input.

    Args:
        session: of ONNX Runtime.
        name: of the file, for messages.
        wanted: where the model leaves them open.
        default: side where nobody says.

    Raises:
        InputError: the input is no image of three channels.
        UsageError: the model wants another size than was asked for.
    """
    inputs = session.get_inputs()
    shape = list(inputs[0].shape) if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or inputs[0].type != "tensor(float)" or shape[1] not in (3, "3"):
        found = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
        raise InputError(f"{name}: found the inputs {found}, expected one image (1, 3, H, W) of float32")
    if isinstance(shape[0], int) and shape[0] != 1:
        raise InputError(f"{name}: takes {shape[0]} images at a time, expected a model for one or any number")
    fixed = [side if isinstance(side, int) and 0 < side <= _LARGEST else None for side in shape[2:]]
    size = tuple(side or (wanted[index] if wanted else default) for index, side in enumerate(fixed))
    if wanted and size != tuple(wanted):
        raise UsageError(f"{name}: takes images of {size[1]}x{size[0]}, asked for {wanted[1]}x{wanted[0]}")
    return size[0], size[1]


def prepare(image: NDArray[np.uint8], how: Prepare, size: Grid) -> tuple[Floats, Floats, Floats]:
    """An image as a detector takes it.

    Returns:
        (1, 3, H, W) float32; (x, y) factors and (x, y) offset from the image's pixels to the input's.
    """
    rgb = np.repeat(image[..., np.newaxis], 3, axis=2) if image.ndim == 2 else image
    height, width = rgb.shape[:2]
    factors = np.array([size[1] / width, size[0] / height], np.float32)
    if how.letterbox:
        factors[:] = factors.min()
    inner = [
        max(1, round(float(side * factor))) for side, factor in zip((width, height), factors, strict=True)
    ]
    kind = cv2.INTER_AREA if factors.max() < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, inner, interpolation=kind)
    offset = np.array([(size[1] - inner[0]) // 2, (size[0] - inner[1]) // 2], np.float32)
    canvas = np.full((*size, 3), 114, np.float32)  # the gray that YOLO fills up with
    left, top = int(offset[0]), int(offset[1])
    canvas[top : top + inner[1], left : left + inner[0]] = small
    if how.order == "bgr":
        canvas = canvas[..., ::-1]
    canvas = (canvas - np.array(how.mean, np.float32)) * (
        np.float32(how.scale) / np.array(how.std, np.float32)
    )
    exact = np.array([inner[0] / width, inner[1] / height], np.float32)
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[np.newaxis], np.float32), exact, offset


def suppress(
    corners: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], confidence: float, overlap: float
) -> Detections:
    """The best boxes, without weaker ones of the same class that overlap them.

    Args:
        corners: (N, 4).
        scores: (N,).
        classes: (N,).
        confidence: lowest score.
        overlap: highest intersection over union; 1 keeps all.
    """
    good = np.flatnonzero((scores >= confidence) & np.isfinite(corners).all(axis=1))
    order = good[np.argsort(-scores[good], kind="stable")[:CANDIDATES]]
    boxes, kinds = corners[order].astype(np.float64), classes[order].astype(np.int64)
    kept: list[int] = []
    alive = np.ones(len(order), np.bool_)
    for index in range(len(order)):
        if not alive[index]:
            continue
        kept.append(index)
        if len(kept) == KEPT:
            break
        if overlap < 1:
            rest = np.flatnonzero(alive[index + 1 :] & (kinds[index + 1 :] == kinds[index])) + index + 1
            alive[rest[overlaps(boxes[index], boxes[rest]) > overlap]] = False
    chosen = order[kept]
    return Detections(boxes[kept], scores[chosen].astype(np.float64), kinds[kept])


def overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with others (N, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + float(np.prod(box[2:] - box[:2]))
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))


def read_names(path: Path) -> tuple[str, ...]:
    """Names of classes from a text file, one a line.

    Raises:
        InputError: it cannot be read or holds none.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    if not names:
        raise InputError(f"{path}: empty, expected a name of a class on each line")
    return names


def _run(session: Any, name: str, image: Floats, file: str = "detector") -> Floats:
    """The first output; where there are more, it is the one that holds all boxes."""
    try:
        outputs = session.run(None, {name: image})
    except Exception as error:  # as above
        raise InputError(f"{file}: fails: {' '.join(str(error).split())[:200]}") from error
    output = np.asarray(outputs[0], np.float32)
    if not np.isfinite(output).all():
        raise InputError(f"{file}: its output holds NaN or infinite values")
    return output


def _recognized(shape: tuple[int, ...], size: Grid, name: str) -> OutputFormat:
    for form in OUTPUT_FORMATS.values():
        if form.recognize(shape, size):
            return form
    known = "; ".join(f"{form.name}: {form.summary}" for form in OUTPUT_FORMATS.values())
    raise UsageError(f"{name}: its output {_said(shape)} is none that is known ({known})")


def _names_inside(session: Any) -> tuple[str, ...] | None:
    """Names of classes as the exporter of YOLO writes them into the file: a Python dict or list as text."""
    text = session.get_modelmeta().custom_metadata_map.get("names", "")
    try:
        found = ast.literal_eval(text[:100_000])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    values: Sequence[Any] = [found[key] for key in sorted(found)] if isinstance(found, dict) else found
    return tuple(map(str, values)) if isinstance(values, (list, tuple)) and values else None


def _said(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
