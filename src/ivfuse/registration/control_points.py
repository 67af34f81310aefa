"""Registration from control points that a user has marked, read from CSV or JSON."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.errors import InputError, UsageError
from ivfuse.registration.geometry import (
    MIN_POINTS,
    MODELS,
    Model,
    Points,
    Size,
    find_implausibility,
    fit_transform,
    scale_matrix,
    transform_points,
)
from ivfuse.registration.transform import Registration, registration_of
from ivfuse.runtime.files import check_regular

COLUMNS = ("ir_x", "ir_y", "vi_x", "vi_y")
MAX_BYTES = 1 << 20  # of a file
MAX_RESIDUAL = 0.05  # root mean square distance, relative to the visible's diagonal
_MARGIN = 0.25  # how far outside of a frame a point may lie, relative to its size


@dataclass(frozen=True)
class Correspondences:
    """Corresponding points of a thermal and a visible image.

    Attributes:
        thermal: (N, 2) columns and rows in the thermal image; 0, 0 is the center of the first pixel.
        visible: (N, 2) in the visible image.
        name: their source, for messages.
    """

    thermal: Points
    visible: Points
    name: str = "points"

    def register(self, thermal: Size, visible: Size, model: Model | None = None) -> Registration:
        """Fit a transform to the points, by least squares.

        Args:
            thermal: width and height of the thermal frame.
            visible: width and height of the visible frame.
            model: the family of transforms; ``None`` for the largest that the points determine.

        Raises:
            UsageError: if there are too few points for the model.
            InputError: if points lie outside of their frame or on one line, or contradict each other.
        """
        count = len(self.thermal)
        chosen: Model = model or [name for name in MODELS if MIN_POINTS[name] <= count][-1]
        if count < MIN_POINTS[chosen]:
            raise UsageError(
                f"{self.name}: found {count} points, expected {MIN_POINTS[chosen]} or more for {chosen}"
            )
        self._check_inside(thermal, visible)
        base = scale_matrix(visible[0] / thermal[0], visible[1] / thermal[1])
        matrix = fit_transform(self.thermal + 0.5, self.visible + 0.5, chosen, base)
        fault = find_implausibility(matrix, thermal, visible)
        if fault and not np.isfinite(matrix).all():
            fault = "the points lie on a line or on each other"
        if fault:
            raise InputError(f"{self.name}: the points give no usable {chosen}: {fault}")
        distances = np.linalg.norm(transform_points(matrix, self.thermal + 0.5) - self.visible - 0.5, axis=1)
        residual = float(np.sqrt((distances**2).mean()))
        if residual > MAX_RESIDUAL * float(np.hypot(*visible)):
            worst = int(distances.argmax()) + 1
            raise InputError(
                f"{self.name}: the points contradict each other by {residual:.1f} pixels;"
                f" point {worst} deviates most"
            )
        return registration_of(matrix, thermal, visible, chosen, pairs=0, origin="points", residual=residual)

    def _check_inside(self, thermal: Size, visible: Size) -> None:
        for kind, points, size in (("ir", self.thermal, thermal), ("vi", self.visible, visible)):
            margin = np.array(size) * _MARGIN
            bad = np.flatnonzero(((points < -margin) | (points > np.array(size) + margin)).any(axis=1))
            if bad.size:
                x, y = points[bad[0]]
                raise InputError(
                    f"{self.name}: point {bad[0] + 1}: found {kind} at {x:g}, {y:g}, expected it inside the"
                    f" {size[0]}x{size[1]} frame"
                )


def read_points(path: str | os.PathLike[str]) -> Correspondences:
    """Read control points.

    Args:
        path: a .json file with a list of objects with ir_x, ir_y, vi_x, vi_y or of lists of four numbers;
            otherwise CSV with these columns and an optional header.

    Raises:
        InputError: if the file is missing, holds no point, or holds a value that is not a number.
    """
    path = Path(path)
    check_regular(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path}: found a file of more than {MAX_BYTES} bytes, expected a list of points"
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot read the points: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: found no text, expected points as CSV or JSON") from error
    rows = _from_json(path, text) if path.suffix.lower() == ".json" else _from_csv(path, text)
    if not rows:
        raise InputError(f"{path}: found no point, expected {','.join(COLUMNS)}")
    values = np.array([_numbers(path, index, row) for index, row in enumerate(rows, 1)])
    return Correspondences(values[:, :2], values[:, 2:], str(path))


def _from_json(path: Path, text: str) -> list[list[Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: found no JSON, expected a list of points") from error
    if isinstance(content, dict):
        content = content.get("points")
    if not isinstance(content, list):
        raise InputError(f"{path}: found no list, expected a list of points")
    return [
        [row.get(key) for key in COLUMNS]
        if isinstance(row, dict)
        else row
        if isinstance(row, list)
        else [row]
        for row in content
    ]


def _from_csv(path: Path, text: str) -> list[list[Any]]:
    delimiter = ";" if text.count(";") > text.count(",") else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    except csv.Error as error:
        raise InputError(f"{path}: found no CSV ({error}), expected {','.join(COLUMNS)}") from error
    rows = [row for row in rows if any(row) and not row[0].startswith("#")]
    if rows and rows[0] and not _is_number(rows[0][0]):
        header = [cell.lower() for cell in rows[0]]
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise InputError(f"{path}: found no column {missing[0]}, expected {','.join(COLUMNS)}")
        order = [header.index(column) for column in COLUMNS]
        return [[row[i] if i < len(row) else None for i in order] for row in rows[1:]]
    return list(rows)


def _numbers(path: Path, index: int, row: list[Any]) -> list[float]:
    if len(row) != 4 or not all(map(_is_number, row)):
        raise InputError(
            f"{path}: point {index}: found {str(row)[:60]}, expected four numbers {','.join(COLUMNS)}"
        )
    return [float(value) for value in row]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return abs(float(value)) < 1e9
    except (ValueError, OverflowError):
        return False
