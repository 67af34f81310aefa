"""A registration: where a rig's thermal image lies on its visible one; as a file that people can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ivfuse.errors import InputError, UsageError
from ivfuse.registration.geometry import (
    MODELS,
    Matrix,
    Model,
    Size,
    fault_of,
    scaling,
    to_centers,
    to_corners,
)
from ivfuse.runtime.files import write_atomic

FORMAT = "ivfuse rig"
VERSION = 1
LARGEST = 1 << 16  # bytes of a file
_LONGEST_SIDE = 1 << 17  # pixels
_EQUAL_ASPECT = 0.01  # relative difference of aspects up to which frames are of one shape

Rows = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
Origin = Literal["images", "points"]


@dataclass(frozen=True)
class Registration:
    """Where the thermal image lies on the visible one.

    Attributes:
        matrix: rows of the 3 x 3 matrix from a thermal pixel (column, row, 1) to a visible one, counted from
            the center of the upper left pixel, as OpenCV does.
        thermal: width and height of the thermal frame, in pixels.
        visible: width and height of the visible frame.
        model: what the transform may do.
        score: 0..1; for images the share of their parts that agree, for points 1.
        pairs: how many pairs of images it comes from; 0 for points.
        origin: whether images or points were matched.
        residual: of points: root mean square distance, in visible pixels; else 0.
        program: what wrote it.
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
        """The same rig with frames of other sizes but equal shapes.

        Args:
            thermal: width and height.
            visible: width and height.

        Raises:
            UsageError: if a shape differs: then a part was cut off, and where is not known.
        """
        if (thermal, visible) == (self.thermal, self.visible):
            return self
        scales = []
        for name, new, old in (("thermal", thermal, self.thermal), ("visible", visible, self.visible)):
            x, y = new[0] / old[0], new[1] / old[1]
            if abs(x - y) > _EQUAL_ASPECT * max(x, y):
                raise UsageError(
                    f"rig: made for {name} frames of {old[0]}x{old[1]}, found {new[0]}x{new[1]}, expected"
                    " frames of the same aspect"
                )
            scales.append(scaling(x, y))
        matrix = to_centers(scales[1] @ to_corners(self.array) @ np.linalg.inv(scales[0]))
        return replace(self, matrix=rows_of(matrix), thermal=thermal, visible=visible)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a rig file, whole or not at all.

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
        lines = ",\n".join(f"  {json.dumps(key)}: {_line(value)}" for key, value in content.items())
        write_atomic(Path(path), f"{{\n{lines}\n}}\n".encode())


def registration_of(matrix: Matrix, thermal: Size, visible: Size, model: Model, **facts: Any) -> Registration:
    """A registration from a matrix that counts from corners, signed by this program."""
    from importlib.metadata import version

    rows = rows_of(to_centers(matrix))
    return Registration(rows, thermal, visible, model, program=f"ivfuse {version('ivfuse')}", **facts)


def rows_of(matrix: Matrix) -> Rows:
    """A matrix as rows of plain numbers."""
    a, b, c = ((float(row[0]), float(row[1]), float(row[2])) for row in matrix)
    return a, b, c


def load_rig(path: str | os.PathLike[str]) -> Registration:
    """Read a rig file.

    Raises:
        InputError: if it is missing, no rig file, of a newer version, or its matrix makes no sense.
    """
    path = Path(path)
    content = _content(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: found no rig, expected a file that `ivfuse register` wrote")
    if content.get("version") != VERSION:
        raise InputError(
            f"{path}: found a rig of version {_short(content.get('version'))}, expected {VERSION}"
        )
    read = _Fields(path, content)
    rig = Registration(
        read.matrix(),
        read.size("thermal"),
        read.size("visible"),
        read.choice("model", MODELS),
        read.number("score", 0, 1),
        int(read.number("pairs", 0, 1e9)),
        read.choice("origin", ("images", "points")),
        read.number("residual", 0, 1e6),
        str(content.get("program", ""))[:100],
    )
    fault = fault_of(to_corners(rig.array), rig.thermal, rig.visible)
    if fault:
        raise InputError(f"{path}: the matrix cannot be right: {fault}")
    return rig


def _content(path: Path) -> dict[str, Any]:
    """The JSON object of a file."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: found a file of more than {LARGEST} bytes, expected a rig file")
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
    """Checked access to the fields of a rig file."""

    path: Path
    content: dict[str, Any]

    def fail(self, key: str, found: Any, expected: str) -> InputError:
        return InputError(f"{self.path}: {key}: found {_short(found)}, expected {expected}")

    def number(self, key: str, low: float, high: float) -> float:
        value: Any = self.content.get(key)
        if not _is_number(value) or not low <= value <= high:
            raise self.fail(key, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def choice(self, key: str, choices: tuple[Any, ...]) -> Any:
        value = self.content.get(key)
        if value not in choices:
            raise self.fail(key, value, f"one of {', '.join(choices)}")
        return value

    def size(self, key: str) -> Size:
        value = self.content.get(key)
        sides: list[Any] = [
            value.get(side) if isinstance(value, dict) else None for side in ("width", "height")
        ]
        for side in sides:
            if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= _LONGEST_SIDE:
                raise self.fail(key, value, "width and height in pixels")
        return sides[0], sides[1]

    def matrix(self) -> Rows:
        value: Any = self.content.get("matrix")
        good = (
            isinstance(value, list)
            and len(value) == 3
            and all(isinstance(row, list) and len(row) == 3 and all(map(_is_number, row)) for row in value)
        )
        if not good or abs(value[2][2]) < 1e-12:
            raise self.fail("matrix", value, "three rows of three finite numbers")
        return rows_of(np.array(value, float) / float(value[2][2]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _line(value: Any) -> str:
    """JSON on one line, but a matrix with a line for each row."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
    return json.dumps(value)
