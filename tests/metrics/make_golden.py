"""Write ``golden.csv``: every metric under every convention on three small triples; run it to renew the file.

The formulas were compared with other programs' values where these exist (``test_golden.py``); this table
keeps them from changing unnoticed on machines that do not have those values.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ivfuse.metrics import CONVENTIONS, METRICS, score_many

FILE = Path(__file__).with_name("golden.csv")
HEIGHT, WIDTH = 192, 224


def triples() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Infrared, visible and fused in 8 bit: warm blobs over texture, by day, at night, and in color."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ir = 60 + 20 * np.sin(columns / 17) + rng.normal(0, 2, (HEIGHT, WIDTH))
    for row, column in ((50, 60), (120, 150), (150, 40)):
        ir += 140 * (np.hypot((rows - row) / 9, (columns - column) / 5) < 1)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 1.2)
    day = 120 + 60 * (rows < 70) + 90 * grain
    night = 18 + 40 * (columns > 160) + 25 * grain
    color = np.stack([day * 1.1 - 10, day, day * 0.8 + 15], axis=-1)
    found = {}
    for name, vi in (("day", day), ("night", night), ("color", color)):
        warm = ir[..., np.newaxis] if vi.ndim == 3 else ir
        fused = np.maximum(0.75 * vi + 0.25 * warm, 0.9 * warm - 20)
        found[name] = tuple(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (ir, vi, fused))
    return found  # type: ignore[return-value]


def rows() -> Iterator[tuple[str, str, str, float]]:
    """Triple, convention, metric, value."""
    for name, (ir, vi, fused) in triples().items():
        for convention in CONVENTIONS:
            scores = score_many({"fused": fused}, ir, vi, list(METRICS), convention)["fused"]
            for metric, value in scores.values.items():
                yield name, convention, metric, value


if __name__ == "__main__":
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("triple", "convention", "metric", "value"))
        for *names, value in rows():
            writer.writerow((*names, "" if math.isnan(value) else f"{value:.9g}"))
