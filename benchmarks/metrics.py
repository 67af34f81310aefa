"""CPU time of each metric on a synthetic triple, and of the eight of the common tables together.

    python benchmarks/metrics.py [--size 640x480] [--repeats 10] [--json]

Times are CPU seconds of this process on one thread, the median of the repeats. "Alone" starts from bare
arrays; "together" shares histograms, gradients and moments within a triple; "next method" is a further
fused image of the same pair, for which the sources' part is at hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.metrics import CONVENTIONS, DEFAULT_METRICS, METRICS, SEEING, Scorer

Levels = NDArray[np.uint8]


def scene(width: int, height: int, seed: int = 0) -> tuple[Levels, Levels, Levels]:
    """Make a pair with smooth areas, edges and noise, and a weighted maximum of it."""
    rng = np.random.default_rng(seed)

    def plane(blur: float, offset: float) -> NDArray[np.float64]:
        field = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), blur)
        smooth = np.asarray(field, np.float64) / float(np.std(field)) * 45 + offset
        smooth[smooth > offset + 50] += 60
        return smooth + rng.normal(0, 4, (height, width))

    ir, vi = plane(9, 90), plane(3, 120)
    fused = 0.7 * np.maximum(ir, vi) + 0.3 * np.minimum(ir, vi)
    first, second, third = (np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in (ir, vi, fused))
    return first, second, third


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(width: int, height: int, repeats: int) -> dict[str, float]:
    """Return milliseconds by row name."""
    ir, vi, fused = scene(width, height)
    convention = CONVENTIONS["default"]
    rows: dict[str, float] = {}

    def tinted(gray: Levels) -> Levels:
        return np.stack([gray, gray, gray // 2], axis=2)  # in color, for the changes of hue and saturation

    def timed(name: str, names: tuple[str, ...], scorer: Scorer | None = None) -> None:
        rows[name] = 1e3 * seconds(
            lambda: (scorer or Scorer(ir, vi, convention)).score(fused, names), repeats
        )

    timed("warm-up", DEFAULT_METRICS)
    del rows["warm-up"]
    for name in METRICS:
        timed(name, (name,))
    known = Scorer(ir, vi, convention)
    known.score(fused, DEFAULT_METRICS)
    timed("the eight, together", DEFAULT_METRICS)
    timed("the eight, next method", DEFAULT_METRICS, known)
    timed("all, together", tuple(METRICS))
    vi, fused = tinted(vi), tinted(fused)
    for name in (name for name, each in METRICS.items() if each.needs == "color"):
        timed(name, (name,))
    known = Scorer(ir, vi, convention)
    known.score(fused, SEEING)
    timed("seeing, together", SEEING)
    timed("seeing, next method", SEEING, known)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT of the images")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    cv2.setNumThreads(1)
    rows = measure(width, height, options.repeats)
    if options.json:
        print(json.dumps({"size": options.size, "milliseconds": rows}))
        return
    print(f"CPU milliseconds at {options.size}, one thread")
    for name, value in rows.items():
        print(f"  {name:<24}{value:8.1f}")


if __name__ == "__main__":
    main()
