"""CPU time of each metric on one triple, and of the eight of the common tables together.

    python benchmarks/metrics.py [--size 640x480 | --pair IR VI] [--repeats 10] [--json]
    python benchmarks/metrics.py --pair IR VI --against OTHER/src [--without-numba]

Times are CPU seconds of this process on one thread, the median of the repeats. "Alone" starts from bare
arrays; "together" shares histograms, gradients and moments within a triple; "next method" is a further
fused image of the same pair, for which the sources' part is at hand. ``--against`` measures another version
of the package in turns with this one and prints both, the least of the rounds, and their ratio.
``--without-numba`` measures this version as if the extra ``metrics`` were not installed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common import make_parser
from ivfuse.metrics import CONVENTIONS, DEFAULT_METRICS, METRICS, SEEING, Scorer
from ivfuse.metrics.folder import read_sources

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
    first, second, third = (
        np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in (ir, vi, weighted_maximum(ir, vi))
    )
    return first, second, third


def weighted_maximum(ir: NDArray[np.float64], vi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fuse a pair."""
    return 0.7 * np.maximum(ir, vi) + 0.3 * np.minimum(ir, vi)


def read_pair(ir: Path, vi: Path) -> tuple[Levels, Levels, Levels]:
    """Read a pair as gray, and make a weighted maximum of it."""
    first, second = read_sources(ir, vi)
    gray = CONVENTIONS["default"].to_gray(second) if second.ndim == 3 else second
    fused = weighted_maximum(first.astype(np.float64), gray.astype(np.float64))
    return first, gray, np.rint(fused).astype(np.uint8)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measure(ir: Levels, vi: Levels, fused: Levels, repeats: int) -> dict[str, float]:
    """Return milliseconds by row name."""
    convention = CONVENTIONS["default"]
    rows: dict[str, float] = {}

    def tinted(gray: Levels) -> Levels:
        return np.stack([gray, gray, gray // 2], axis=2)  # in color, for the changes of hue and saturation

    def timed(name: str, names: tuple[str, ...], scorer: Scorer | None = None) -> None:
        rows[name] = 1e3 * seconds(
            lambda: (scorer or Scorer(ir, vi, convention)).score(fused, names), repeats
        )

    timed("warm-up", tuple(METRICS))  # compiles, or loads what was compiled
    del rows["warm-up"]
    for name in METRICS:
        timed(name, (name,))
    known = Scorer(ir, vi, convention)
    known.score(fused, DEFAULT_METRICS)
    timed("the eight, together", DEFAULT_METRICS)
    timed("the eight, next method", DEFAULT_METRICS, known)
    timed("all, together", tuple(METRICS))
    known.score(fused, tuple(METRICS))
    timed("all, next method", tuple(METRICS), known)
    vi, fused = tinted(vi), tinted(fused)
    for name in (name for name, each in METRICS.items() if each.needs == "color"):
        timed(name, (name,))
    known = Scorer(ir, vi, convention)
    known.score(fused, SEEING)
    timed("seeing, together", SEEING)
    timed("seeing, next method", SEEING, known)
    return rows


def compare(source: Path, rounds: int, arguments: list[str]) -> None:
    """Print the rows of another version of the package and of this one, measured in turns."""
    ours = Path(__file__).resolve().parents[1] / "src"
    found: dict[Path, dict[str, float]] = {source: {}, ours: {}}
    for _ in range(rounds):
        for path, rows in found.items():
            done = subprocess.run(
                [sys.executable, __file__, *arguments, "--json"],
                env={**os.environ, "PYTHONPATH": str(path.resolve())},
                stdout=subprocess.PIPE,
                check=True,
            )
            for name, value in json.loads(done.stdout)["milliseconds"].items():
                rows[name] = min(value, rows.get(name, value))
    print(f"CPU milliseconds, one thread, the least of {rounds} rounds\n")
    print(f"  {'':<24}{'before':>8}{'now':>8}{'ratio':>8}")
    for name, before in found[source].items():
        now = found[ours][name]
        print(f"  {name:<24}{before:8.1f}{now:8.1f}{now / before:8.2f}")


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT of the synthetic images")
    parser.add_argument("--pair", nargs=2, type=Path, metavar=("IR", "VI"), help="measure on these images")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--against", type=Path, help="src folder of another version to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="turns of --against")
    parser.add_argument("--without-numba", action="store_true", help="compile nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    if options.against:
        pair = ["--pair", *map(str, options.pair)] if options.pair else ["--size", options.size]
        plain = ["--without-numba"] if options.without_numba else []
        compare(options.against, options.rounds, [*pair, "--repeats", str(options.repeats), *plain])
        return
    if options.without_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]  # as if it were not installed
    cv2.setNumThreads(1)
    width, height = (int(side) for side in options.size.split("x"))
    images = read_pair(*options.pair) if options.pair else scene(width, height)
    size = f"{images[0].shape[1]}x{images[0].shape[0]}"
    rows = measure(*images, options.repeats)
    if options.json:
        print(json.dumps({"size": size, "milliseconds": rows}))
        return
    print(f"CPU milliseconds at {size}, one thread")
    for name, value in rows.items():
        print(f"  {name:<24}{value:8.1f}")


if __name__ == "__main__":
    main()
