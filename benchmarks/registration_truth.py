"""Errors of the data sets' own alignment, for docs/results/registration.md and recipes/matcher/cpu.yaml.

    python benchmarks/registration_truth.py --data ../shared/data

Blocks are compared by edge orientation (the gradient's doubled angle, relative to the surroundings) and not
by the network, which was trained on these sets. A set of one rig is measured by groups of its pairs that are
matched together; RoadScene, aligned pair by pair, by each pair alone, by edges and by the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from common import make_parser
from ivfuse.fusion.register import thermal_gray, visible_gray
from ivfuse.image.pairing import pair_folder
from ivfuse.registration import blocks, refine
from ivfuse.registration.geometry import corner_distance, image_corners, transform_points
from ivfuse.registration.prepare import PreparedPair, prepare
from ivfuse.registration.refine import Level, refine_step

Gray = NDArray[np.float32]
Matrix = NDArray[np.float64]

SURROUNDINGS = 6.0  # pixels, sigma of the neighborhood an edge is compared with
LEVELS = (
    Level(96, 5, "homography"),
    Level(160, 4, "homography"),
    *(Level(240, 3, "homography", 1.5),) * 3,
)


def edge_features(gray: Gray, band: str) -> Gray:
    """Cosine and sine of the gradient's doubled angle and of its double, by their relative strength.

    Source: the doubled angle, Granlund & Knutsson 1995, ch. 6; channels of orientation, Ye et al. 2019
        (CFOG); relative strength, Haber & Modersitzki 2006.
    """
    blurred = cv2.GaussianBlur(gray, (0, 0), 1.0)
    gx, gy = (cv2.Sobel(blurred, cv2.CV_32F, *way, ksize=3) for way in ((1, 0), (0, 1)))
    power = gx * gx + gy * gy
    around = np.sqrt(cv2.GaussianBlur(power, (0, 0), SURROUNDINGS))
    weight = np.minimum(np.sqrt(power) / (around + 0.5 * np.median(around) + 1e-6), 2)
    cosine, sine = (gx * gx - gy * gy) / (power + 1e-12), 2 * gx * gy / (power + 1e-12)
    channels = (cosine, sine, cosine * cosine - sine * sine, 2 * cosine * sine)
    return np.stack([cv2.GaussianBlur(weight * x, (0, 0), 1.0) for x in channels]).astype(np.float32)


@contextmanager
def by_edges() -> Iterator[None]:
    """Let registration compare edges instead of the network's features."""
    with (
        patch.multiple(blocks, describe=edge_features, FLOOR=0.05),
        patch.object(refine, "SHARPNESS", 12.0),
    ):
        yield


def agreed(pairs: Sequence[PreparedPair]) -> Matrix:
    """The transform that aligned pairs support as one rig, starting from the set's own alignment."""
    matrix = pairs[0].vi_scale @ np.linalg.inv(pairs[0].ir_scale)
    for level in LEVELS:
        step = refine_step(pairs, matrix, level)
        matrix = matrix if step is None else step[0]
    return pairs[0].to_original(matrix)


def read_pairs(folder: Path, size: tuple[int, int] | None = None) -> dict[str, tuple[Gray, Gray]]:
    pairs = {}
    for pair in pair_folder(folder).pairs:
        both = thermal_gray(pair.ir), visible_gray(pair.vi)
        if size:
            both = tuple(cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in both)
        pairs[pair.name] = both
    return pairs


def rig(name: str, pairs: list[tuple[Gray, Gray]]) -> None:
    size = pairs[0][0].shape[::-1]
    with by_edges():
        matrix = agreed([prepare(*pair) for pair in pairs])
    corners = image_corners(size)
    shifts = 100 * (transform_points(matrix, corners) - corners) / size[0]
    print(
        f"| {name} | {len(pairs)} | " + " | ".join(f"{x:+.2f}, {y:+.2f}" for x, y in shifts) + " |",
        flush=True,
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print("Displacement of the infrared's corners in % of the width, to the right and down:\n")
    print("| set | pairs | upper left | upper right | lower right | lower left |\n|---|---|---|---|---|---|")
    known = {path.stem for path in (options.data / "msrs640/ir").iterdir()}
    msrs = {k: v for k, v in read_pairs(options.data / "msrs128", (320, 240)).items() if k not in known}
    rng = np.random.default_rng(0)
    for letter, when in (("D", "day"), ("N", "night")):
        stems = rng.permutation([stem for stem in msrs if stem.endswith(letter)])
        for group in range(3):
            rig(f"MSRS, {when}", [msrs[stem] for stem in stems[60 * group : 60 * group + 60]])
    m3fd = list(read_pairs(options.data / "m3fd").values())
    for half in (0, 1):
        rig("M3FD", m3fd[half::2])
    frames = read_pairs(options.data / "m3svd_frames")
    for scene in sorted({stem.rsplit("_", 1)[0] for stem in frames}):
        rig(f"M3SVD {scene}", [pair for stem, pair in frames.items() if stem.startswith(scene)])
    print()
    roadscene(options.data)


def roadscene(data: Path) -> None:
    """Distances between the transforms of the set, of edges and of the network."""
    to_edges, to_network, between = [], [], []
    for ir, vi in read_pairs(data / "roadscene/val").values():
        size, found = ir.shape[::-1], []
        for how in (by_edges(), nullcontext()):
            with how:
                found.append(agreed([prepare(ir, vi)]))
        to_edges.append(corner_distance(found[0], np.eye(3), size))
        to_network.append(corner_distance(found[1], np.eye(3), size))
        between.append(corner_distance(*found, size))
    print(
        f"roadscene/val, median corner distance in pixels: set and edges {np.median(to_edges):.2f}, set and"
        f" network {np.median(to_network):.2f}, edges and network {np.median(between):.2f}"
    )


if __name__ == "__main__":
    main()
