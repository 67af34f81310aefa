"""Registration with and without known fields of view: prints a table of docs/results/registration.md.

    python benchmarks/registration_lenses.py --data ../shared/data

Aligned pairs become those of a drone with parallel cameras: of the thermal image a part is kept, as by a
longer lens, moved by up to 5 % and turned by up to 1 degree. The stated ratio of the fields is wrong by up to
5 %, as the round focal lengths in EXIF are. Times are CPU seconds of one thread. The unrelated pairs are
thermal images on the visible images of another set, all of which are to be rejected.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common import make_parser
from ivfuse.registration.geometry import to_centers, transform_points
from ivfuse.registration.register import register_pair
from registration_truth import read_pairs

Gray = NDArray[np.float32]
Matrix = NDArray[np.float64]

SETS = ("m3fd", "roadscene/val", "msrs640", "tno_val")
RATIOS = (0.6, 0.45)  # M3T and M30T: 24 mm / 40 mm; H20T, H30T and M4T: 24 mm / 52 to 58 mm
WRONG = 2.0  # % of the width: an accepted transform with a larger mean error is counted as wrong


def seen_by_a_longer_lens(ir: Gray, ratio: float, rng: np.random.Generator) -> tuple[Gray, Matrix]:
    """Cut a part out of a thermal image; returns it, (512, 640), and its transform to the whole image."""
    height, width = ir.shape
    diagonal = ratio * np.hypot(height, width) / np.hypot(512, 640)
    turn = cv2.getRotationMatrix2D((320, 256), rng.uniform(-1, 1), diagonal)
    center = np.array((width, height)) / 2 + rng.uniform(-0.05, 0.05, 2) * width
    turn[:, 2] += center - (320, 256)
    back = np.vstack([turn, [0, 0, 1]])
    part = cv2.warpPerspective(ir, to_centers(np.linalg.inv(back)), (640, 512), borderMode=cv2.BORDER_REFLECT)
    return part.astype(np.float32), back


def mean_error(found: Matrix, truth: Matrix, width: int) -> float:
    """Mean distance over the thermal image, in % of the visible's width."""
    x, y = np.meshgrid(np.linspace(0, 640, 9), np.linspace(0, 512, 9))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    off = transform_points(found, points) - transform_points(truth, points)
    return 100 * float(np.linalg.norm(off, axis=1).mean()) / width


def related(data: Path, every: int) -> None:
    print("| set | ratio | start | accepted | wrong | median error, % of width | CPU s | longest |")
    print("|---|---|---|---|---|---|---|---|")
    for name, ratio in itertools.product(SETS, RATIOS):
        results: dict[str, list[tuple[float | None, float]]] = {"none": [], "known": []}
        for index, (ir, vi) in enumerate(list(read_pairs(data / name).values())[::every]):
            rng = np.random.default_rng((index, round(100 * ratio)))
            thermal, truth = seen_by_a_longer_lens(ir, ratio, rng)
            stated = ratio * rng.uniform(0.95, 1.05)
            for start, given in (("none", None), ("known", stated)):
                begun = time.process_time()
                found = register_pair(thermal, vi, field_ratio=given)
                seconds = time.process_time() - begun
                matrix = found.original_matrix if found.quality.accepted else None
                error = None if matrix is None else mean_error(matrix, truth, vi.shape[1])
                results[start].append((error, seconds))
        for start, rows in results.items():
            errors = [error for error, _ in rows if error is not None]
            times = [seconds for _, seconds in rows]
            median = f"{np.median(errors):.2f}" if errors else ""
            print(
                f"| {name} | {ratio} | {start} | {len(errors)} of {len(rows)}"
                f" | {sum(error > WRONG for error in errors)} | {median}"
                f" | {np.median(times):.2f} | {max(times):.2f} |",
                flush=True,
            )


def unrelated(data: Path, count: int) -> None:
    pairs = [(name, *pair) for name in SETS for pair in read_pairs(data / name).values()]
    rng, accepted, tried = np.random.default_rng(7), 0, 0
    while tried < count:
        a, b = rng.choice(len(pairs), 2, replace=False)
        if pairs[a][0] != pairs[b][0]:
            ratio = float(rng.uniform(0.4, 0.65))
            accepted += register_pair(pairs[a][1], pairs[b][2], field_ratio=ratio).quality.accepted
            tried += 1
    print(f"\n{accepted} of {count} unrelated pairs accepted with a stated ratio of 0.4 to 0.65")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every n-th pair of a set")
    parser.add_argument("--unrelated", type=int, default=40)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    related(arguments.data, arguments.every)
    unrelated(arguments.data, arguments.unrelated)


if __name__ == "__main__":
    main()
