"""A registration: the transform from a rig's thermal image to its visible one, and its file format."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ivfuse.errors import InputError, UsageError, check_type
from ivfuse.registration.geometry import (
    MODELS,
    Matrix,
    Model,
    Size,
    find_implausibility,
    scale_matrix,
    to_centers,
    to_corners,
)
from ivfuse.runtime.files import check_regular, write_atomic

FORMAT = "ivfuse rig"
VERSION = 1
MAX_BYTES = 1 << 16  # of a file
_MAX_SIDE = 1 << 17  # pixels
_ASPECT_TOLERANCE = 0.01  # relative difference up to which two aspect ratios are equal

Rows = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
Origin = Literal["images", "points", "calibration"]


@dataclass(frozen=True)
class Registration:
    """The transform from a thermal image to a visible one.

    Attributes:
        matrix: rows of the 3 x 3 matrix that maps a thermal pixel (column, row, 1) to a visible one; 0, 0 is
            the center of the upper left pixel, as in OpenCV.
        thermal: width and height of the thermal frame, in pixels.
        visible: width and height of the visible frame.
        model: the family of transforms.
        score: 0..1; the inlier ratio for images, 1 for points.
        pairs: how many pairs of images were used; 0 for points and calibrations.
        origin: whether it was estimated from images or points, or follows from calibrated cameras.
        residual: root mean square distance of points, in visible pixels; 0 for images.
        program: the version of the program that estimated it.
    """

    matrix: Rows
    thermal: Size
    visible: Size
    model: Model = "homography"
    score: float = 1.0
    pairs: int = 1
    origin: Origin = "images"
    residual: float = 0.0
    program: str = ""

    @property
    def array(self) -> Matrix:
        """The matrix, (3, 3) float64."""
        return np.array(self.matrix, float)

    def for_sizes(self, thermal: Size, visible: Size) -> Registration:
        """Scale the registration to frames of other sizes but equal aspect ratios.

        Args:
            thermal: width and height.
            visible: width and height.

        Raises:
            UsageError: if an aspect ratio differs: the frames were cropped, and it is not known where.
        """
        if (thermal, visible) == (self.thermal, self.visible):
            return self
        scales = []
        for name, new, old in (("thermal", thermal, self.thermal), ("visible", visible, self.visible)):
            x, y = new[0] / old[0], new[1] / old[1]
            if abs(x - y) > _ASPECT_TOLERANCE * max(x, y):
                raise UsageError(
                    field="rig",
                    found=f"{name} frames of {new[0]}x{new[1]} for a rig of {old[0]}x{old[1]}",
                    expected="frames of the same aspect ratio",
                )
            scales.append(scale_matrix(x, y))
        matrix = to_centers(scales[1] @ to_corners(self.array) @ np.linalg.inv(scales[0]))
        return replace(self, matrix=to_rows(matrix), thermal=thermal, visible=visible)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a rig file, atomically.

        Raises:
            OutputError: if it cannot be written.
        """
        content = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "matrix": [list(row) for row in self.matrix],
            "thermal": {"width": self.thermal[0], "height": self.thermal[1]},
            "visible": {"width": self.visible[0], "height": self.visible[1]},
            "score": round(self.score, 4),
            "pairs": self.pairs,
            "origin": self.origin,
            "residual": round(self.residual, 4),
            "program": self.program,
        }
        lines = ",\n".join(f"  {json.dumps(key)}: {_format_value(value)}" for key, value in content.items())
        write_atomic(Path(path), f"{{\n{lines}\n}}\n".encode())


def registration_of(matrix: Matrix, thermal: Size, visible: Size, model: Model, **facts: Any) -> Registration:
    """Build a registration from a matrix in corner-based coordinates; ``facts`` are its other attributes."""
    from importlib.metadata import version

    rows = to_rows(to_centers(matrix))
    return Registration(rows, thermal, visible, model, program=f"ivfuse {version('ivfuse')}", **facts)


def to_rows(matrix: Matrix) -> Rows:
    """The rows of a matrix as plain numbers."""
    a, b, c = ((float(row[0]), float(row[1]), float(row[2])) for row in matrix)
    return a, b, c


def load_rig(path: str | os.PathLike[str]) -> Registration:
    """Read a rig file.

    Raises:
        UsageError: if it is no path.
        InputError: if it is missing, not a rig file, of another version, or its matrix is implausible.
    """
    check_type("path", path, (str, os.PathLike), "a rig file")
    path = Path(path)
    content = _content(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: found no rig, expected a file that `ivfuse register` wrote")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path}: found a rig of version {_shorten(content.get('version'))}, expected {VERSION}"
        )
    fields = _Fields(path, content)
    rig = Registration(
        fields.matrix(),
        fields.size("thermal"),
        fields.size("visible"),
        fields.choice("model", MODELS),
        fields.number("score", 0, 1),
        int(fields.number("pairs", 0, 1e9)),
        fields.choice("origin", get_args(Origin)),
        fields.number("residual", 0, 1e6),
        str(content.get("program", ""))[:100],
    )
    fault = find_implausibility(to_corners(rig.array), rig.thermal, rig.visible)
    if fault:
        raise InputError(f"{path}: the matrix is implausible: {fault}")
    return rig


def _content(path: Path) -> dict[str, Any]:
    """The JSON object of a file."""
    check_regular(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: found a file of more than {MAX_BYTES} bytes, expected a rig file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the rig file: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: found no JSON, expected a rig file that `ivfuse register` wrote"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: found no rig, expected a file that `ivfuse register` wrote")
    return content


@dataclass(frozen=True)
class _Fields:
    """Validated access to the fields of a rig file."""

    path: Path
    content: dict[str, Any]

    def error(self, key: str, found: Any, expected: str) -> InputError:
        return InputError(f"{self.path}: {key}: found {_shorten(found)}, expected {expected}")

    def number(self, key: str, low: float, high: float) -> float:
        value: Any = self.content.get(key)
        if not _is_number(value) or not low <= value <= high:
            raise self.error(key, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, key: str, choices: tuple[Any, ...]) -> Any:
        value = self.content.get(key)
        if value not in choices:
            raise self.error(key, value, f"one of {', '.join(choices)}")
        return value

    def size(self, key: str) -> Size:
        value = self.content.get(key)
        sides: list[Any] = [
            value.get(side) if isinstance(value, dict) else None for side in ("width", "height")
        ]
        for side in sides:
            if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= _MAX_SIDE:
                raise self.error(key, value, "width and height in pixels")
        return sides[0], sides[1]

    def matrix(self) -> Rows:
        value: Any = self.content.get("matrix")
        good = (
            isinstance(value, list)
            and len(value) == 3
            and all(isinstance(row, list) and len(row) == 3 and all(map(_is_number, row)) for row in value)
        )
        if not good or abs(value[2][2]) < 1e-12:
            raise self.error("matrix", value, "three rows of three finite numbers")
        return to_rows(np.array(value, float) / float(value[2][2]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _shorten(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _format_value(value: Any) -> str:
    """JSON on one line; a matrix has one line per row."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
    return json.dumps(value)
