"""Accuracy of the registration: prints the tables of docs/results/registration.md.

    python benchmarks/registration.py --data ../shared/data --overlays overlays

Parts, chosen by --only: raw (RoadScene's raw pairs, against its own aligned thermal), warped (aligned pairs
warped by random homographies), limits (rotated, cropped, inverted contrast), unrelated (images of different
scenes, all to be rejected), drone (no truth: overlays for checking by eye). Times are CPU seconds of one
thread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common import make_parser, markdown_table
from ivfuse.image.write import write_image
from ivfuse.registration.geometry import (
    corner_distance,
    four_point_homography,
    image_corners,
    to_centers,
    to_corners,
    transform_points,
)
from ivfuse.registration.overlay import overlay
from ivfuse.registration.prepare import prepare
from ivfuse.registration.register import PairEstimate, register_grays, register_pair
from ivfuse.registration.transform import registration_of
from ivfuse.training.recipe import load_recipe
from registration_truth import agreed, read_pairs

Gray = NDArray[np.float32]
Matrix = NDArray[np.float64]

PARTS = ("raw", "warped", "limits", "unrelated", "drone")
WRONG = 5.0  # pixels: an accepted transform with a larger mean corner error is counted as wrong
RECIPE = Path(__file__).resolve().parents[1] / "recipes/matcher/cpu.yaml"


@dataclass(frozen=True)
class Timed:
    """One registration, its full-size matrix (counting from corners) and its CPU seconds."""

    estimate: PairEstimate
    matrix: Matrix | None
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.estimate.quality.accepted


def register(ir: Gray, vi: Gray) -> Timed:
    started = time.process_time()
    found = register_pair(ir, vi, "homography")
    seconds = time.process_time() - started
    return Timed(found, found.original_matrix, seconds)


def size_of(image: Gray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def table(head: list[str], rows: list[list[str]]) -> None:
    print(markdown_table(head, rows), end="\n\n", flush=True)


# --- RoadScene's raw pairs


def matched(source: Gray, target: Gray) -> Matrix:
    """The homography between two images of one band and one moment: SIFT matches, then ECC."""
    sift = cv2.SIFT_create(4000)
    (a, x), (b, y) = (
        sift.detectAndCompute(np.rint(p * 255).astype(np.uint8), None) for p in (source, target)
    )
    good = [p for p, q in cv2.BFMatcher().knnMatch(x, y, k=2) if p.distance < 0.75 * q.distance]
    points = [
        np.float32([a[m.queryIdx].pt for m in good]),
        np.float32([b[m.trainIdx].pt for m in good]),
    ]
    start = cv2.findHomography(*points, cv2.RANSAC, 2.0)[0]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
    back = np.linalg.inv(start).astype(np.float32)
    _, back = cv2.findTransformECC(target, source, back, cv2.MOTION_HOMOGRAPHY, criteria, None, 5)
    return np.linalg.inv(back.astype(np.float64))


def correlation(ir: Gray, matrix: Matrix, truth: Gray) -> float:
    """Correlation of the thermal, warped by a matrix of pixel centers, with the aligned one."""
    placed = cv2.warpPerspective(ir, matrix, size_of(truth))
    return float(np.corrcoef(placed.ravel(), truth.ravel())[0, 1])


def raw(data: Path, overlays: Path | None) -> None:
    """RoadScene's aligned visible is the raw one cropped and stretched, and so is the warped thermal here."""
    rows, ratios, times = [], [], []
    known = read_pairs(data / "roadscene/val")
    for stem, (ir, vi) in read_pairs(data / "roadscene_raw").items():
        truth, aligned = known[stem]
        zoom = aligned.shape[1] / vi.shape[1]
        small = cv2.resize(vi, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        shrink = np.diag([small.shape[1] / vi.shape[1], small.shape[0] / vi.shape[0], 1.0])
        crop = matched(small, aligned) @ to_centers(shrink)
        best = matched(ir, truth)
        reachable = correlation(ir, best, truth)
        found = register(ir, vi)
        save(overlays, f"raw-{stem}", ir, vi, found)
        times.append(found.seconds)
        if found.matrix is None:
            rows.append([stem, "no", "", "", f"{reachable:.3f}", ""])
            continue
        reached = correlation(ir, crop @ to_centers(found.matrix), truth)
        if found.accepted:
            ratios.append(reached / reachable)
        off = np.linalg.norm(seen_error(to_corners(np.linalg.inv(crop) @ best), found.matrix, ir, vi), axis=1)
        rows.append(
            [
                stem,
                "yes" if found.accepted else "no",
                f"{found.estimate.quality.inlier_ratio:.2f}",
                f"{reached:.3f}",
                f"{reachable:.3f}",
                f"{reached / reachable:.3f}",
                f"{100 * np.sqrt((off**2).mean()) / vi.shape[1]:.2f}",
            ]
        )
    head = ["pair", "accepted", "inlier ratio", "correlation", "reachable", "ratio", "off, % of width"]
    table(head, rows)
    print(
        f"{len(ratios)} of {len(rows)} accepted; median ratio of those {np.median(ratios):.3f},"
        f" lowest {min(ratios):.3f}; median CPU {np.median(times):.2f} s\n"
    )


def seen_error(truth: Matrix, found: Matrix, ir: Gray, vi: Gray) -> Matrix:
    """Differences of two transforms at thermal points inside the visible, in visible pixels."""
    x, y = np.meshgrid(*(np.linspace(0, side, 9) for side in size_of(ir)))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    there = transform_points(truth, points)
    inside = ((there >= 0) & (there <= np.array(size_of(vi)))).all(axis=1)
    return (transform_points(found, points) - there)[inside]


# --- aligned pairs, warped


def warped(ir: Gray, rng: np.random.Generator, size: float, framed: bool) -> tuple[Gray, Matrix]:
    """Warp a thermal by moving its corners by up to ``size`` of the width; also return the inverse transform.

    ``framed``: the whole thermal, partly outside of the frame, with black where there is no image; otherwise
    the part inside of a margin, so that the frame is full.
    """
    width, height = size_of(ir)
    margin = size * width
    angle, radius = rng.uniform(0, 2 * np.pi, 4), margin * np.sqrt(rng.uniform(0, 1, 4))
    offset = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    if framed:
        corners = image_corners((width, height))
        forth = four_point_homography(corners, corners + offset)
        out = cv2.warpPerspective(ir, to_centers(forth), (width, height))
        return out, np.linalg.inv(forth)
    inner = (round(width - 2 * margin), round(height - 2 * margin))
    quad = image_corners(inner) + margin + offset
    back = four_point_homography(image_corners(inner), quad)
    return cv2.warpPerspective(ir, to_centers(np.linalg.inv(back)), inner), back


def aligned_pairs(data: Path, name: str) -> list[tuple[str, Gray, Gray]]:
    return [(stem, *pair) for stem, pair in read_pairs(data / name).items()]


def rig_of_msrs() -> Matrix:
    """The transform that other pairs of the rig determine at 640x480 (benchmarks/registration_truth.py)."""
    sets = load_recipe(RECIPE).data.train
    shifts = next(np.array(one.corners) for one in sets if one.path == "msrs128")
    corners = image_corners((640, 480))
    return four_point_homography(corners, corners + shifts * 6.4)


def warps(data: Path, draws: int, overlays: Path | None) -> None:
    """Corner errors of warped pairs, against three kinds of truth."""
    rows = []
    for name, size in itertools.product(("msrs640", "roadscene/val"), (0.05, 0.1)):
        pairs = aligned_pairs(data, name)
        own = {stem: agreed([prepare(ir, vi)]) for stem, ir, vi in pairs}
        truths = {"set": np.eye(3)} | ({"rig": rig_of_msrs()} if name == "msrs640" else {})
        errors: dict[str, list[float]] = {"set": [], "rig": [], "own": [], "inside": []}
        times = []
        for (index, (stem, ir, vi)), draw in itertools.product(enumerate(pairs), range(draws)):
            rng = np.random.default_rng((index, draw))
            thermal, back = warped(ir, rng, size, framed=bool(draw % 2))
            found = register(thermal, vi)
            times.append(found.seconds)
            save(overlays, f"warped-{name.split('/')[0]}-{size:g}-{stem}-{draw}", thermal, vi, found)
            if found.accepted and found.matrix is not None:
                for kind, truth in (truths | {"own": own[stem]}).items():
                    errors[kind].append(corner_distance(found.matrix, truth @ back, size_of(thermal)))
                best = truths.get("rig", truths["set"]) @ back
                off = np.linalg.norm(seen_error(best, found.matrix, thermal, vi), axis=1)
                errors["inside"].append(float(off.mean()))
        medians = [f"{np.median(errors[kind]):.2f}" if errors[kind] else "" for kind in errors]
        wrong = sum(x > WRONG for x in errors["own"])
        accepted = f"{len(errors['set'])} of {len(times)}"
        seconds = f"{np.median(times):.2f}", f"{np.max(times):.2f}"
        rows.append([name, f"{size:.0%}", accepted, *medians, str(wrong), *seconds])
        print(f"<!-- {' '.join(rows[-1])} -->", flush=True)
    head = [
        "set", "corners moved by up to", "accepted", "corner error against the set, px",
        "against its rig, px", "against the unwarped pair, px", "over the image, px", f"over {WRONG:g} px",
        "CPU s", "longest",
    ]  # fmt: skip
    table(head, rows)


def rigs(data: Path) -> None:
    """The pairs of msrs640 as one rig: all warped alike and registered together."""
    pairs, rows = aligned_pairs(data, "msrs640"), []
    for size, draw in itertools.product((0.05, 0.1), range(4)):
        shots = []
        for stem, ir, vi in pairs:
            thermal, back = warped(ir, np.random.default_rng((99, draw)), size, framed=bool(draw % 2))
            shots.append((stem, thermal, vi))
        found = register_grays(shots).registration
        if found is None:
            raise SystemExit("no pair of the rig was registered")
        error = corner_distance(to_corners(found.array), rig_of_msrs() @ back, found.thermal)
        rows.append([f"{size:.0%}", f"{found.pairs} of {len(pairs)}", f"{error:.2f}"])
    table(["msrs640 as one rig, corners moved by up to", "pairs used", "against its rig, px"], rows)
    print(f"median {np.median([float(row[-1]) for row in rows]):.2f}\n")


# --- limits: rotation, small fields of view, inverted contrast

Change = Callable[[Gray, Gray], tuple[Gray, Gray, Matrix]]  # thermal, visible, and the matrix between them


def rotated(degrees: float) -> Change:
    """Rotate the thermal, and shrink it so that its corners stay inside."""

    def change(ir: Gray, vi: Gray) -> tuple[Gray, Gray, Matrix]:
        width, height = size_of(ir)
        turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.85), [0, 0, 1]])
        return cv2.warpPerspective(ir, to_centers(turn), (width, height)), vi, np.linalg.inv(turn)

    return change


def cropped(ir_share: float, vi_share: float) -> Change:
    """Crop each image to a share of its width and height; the thermal off the center."""

    def change(ir: Gray, vi: Gray) -> tuple[Gray, Gray, Matrix]:
        (thermal, a), (visible, b) = part(ir, ir_share, (0.3, 0.7)), part(vi, vi_share, (0.5, 0.5))
        shift = np.eye(3)
        shift[:2, 2] = a - b
        return thermal, visible, shift

    def part(x: Gray, share: float, where: tuple[float, float]) -> tuple[Gray, Matrix]:
        size = np.rint(np.array(size_of(x)) * share).astype(int)
        left, top = np.rint((size_of(x) - size) * where).astype(int)
        return x[top : top + size[1], left : left + size[0]].copy(), np.array([left, top])

    return change


def limits(data: Path) -> None:
    """Every second pair of roadscene/val, changed in one way after the other."""
    changes: dict[str, Change] = {
        **{f"thermal rotated by {angle} degrees": rotated(angle) for angle in (10, 15, 20, 25, 30)},
        **{f"thermal shows {share:.0%} of the width": cropped(share, 1) for share in (0.7, 0.5, 0.4, 0.33)},
        **{f"visible shows {share:.0%} of the width": cropped(1, share) for share in (0.7, 0.5, 0.43)},
        "contrast of the thermal inverted": lambda ir, vi: (1 - ir, vi, np.eye(3)),
    }
    pairs, rows = aligned_pairs(data, "roadscene/val")[::2], []
    for name, change in changes.items():
        errors, times = [], []
        for _, ir, vi in pairs:
            thermal, visible, truth = change(ir, vi)
            found = register(thermal, visible)
            times.append(found.seconds)
            if found.accepted and found.matrix is not None:
                off = np.linalg.norm(seen_error(truth, found.matrix, thermal, visible), axis=1)
                errors.append(100 * float(off.mean()) / size_of(visible)[0])
        accepted = f"{len(errors)} of {len(pairs)}"
        numbers = f"{np.median(errors):.2f}", f"{max(errors):.2f}", f"{np.median(times):.2f}"
        rows.append([name, accepted, *numbers])
    table(["roadscene/val", "accepted", "mean error, % of width", "largest", "CPU s"], rows)


# --- images of different scenes, and drones


def unrelated(data: Path, count: int) -> None:
    names = ("msrs640", "roadscene/val", "m3fd", "tno_val")
    sets, pairs = zip(*((name, pair) for name in names for pair in aligned_pairs(data, name)), strict=True)
    rng = np.random.default_rng(7)
    accepted, scores, times = 0, [], []
    while len(times) < count:
        a, b = rng.choice(len(pairs), 2, replace=False)
        if sets[a] == sets[b]:  # some sets show one place several times
            continue
        found = register(pairs[a][1], pairs[b][2])
        accepted += found.accepted
        scores.append((found.estimate.quality.inlier_ratio, found.estimate.quality.peak_zscore))
        times.append(found.seconds)
        if found.accepted:
            print(f"accepted: thermal {pairs[a][0]} on visible {pairs[b][0]}")
    inlier_ratio, peak_zscore = np.max(scores, axis=0)
    print(
        f"{accepted} of {count} unrelated pairs accepted; highest inlier ratio {inlier_ratio:.2f}, highest"
        f" peak z-score {peak_zscore:.2f}; median CPU {np.median(times):.2f} s\n"
    )


def drone(data: Path, overlays: Path | None) -> None:
    rows = []
    for name, (ir, vi) in read_pairs(data / "wisard").items():
        found = register(ir, vi)
        save(overlays, f"drone-{name}", ir, vi, found)
        quality = found.estimate.quality
        rows.append(
            [name, "yes" if found.accepted else "no", f"{quality.inlier_ratio:.2f}", f"{found.seconds:.2f}"]
        )
    table(["pair", "accepted", "inlier ratio", "CPU s"], rows)


def save(overlays: Path | None, name: str, ir: Gray, vi: Gray, found: Timed) -> None:
    if overlays is None or found.matrix is None:
        return
    rig = registration_of(found.matrix, size_of(ir), size_of(vi), "homography")
    mark = "" if found.accepted else "-rejected"
    write_image(overlays / f"{name}{mark}.jpg", overlay(ir, vi, rig))


def main(arguments: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument(
        "--overlays", type=Path, help="folder for overlays, to check by eye; not for publication"
    )
    parser.add_argument("--draws", type=int, default=2, help="random warps of each aligned pair")
    parser.add_argument("--unrelated", type=int, default=100, help="pairs of different scenes")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    for part in options.only or PARTS:
        print(f"## {part}\n")
        if part == "raw":
            raw(options.data, options.overlays)
        elif part == "warped":
            warps(options.data, options.draws, options.overlays)
            rigs(options.data)
        elif part == "limits":
            limits(options.data)
        elif part == "unrelated":
            unrelated(options.data, options.unrelated)
        else:
            drone(options.data, options.overlays)


if __name__ == "__main__":
    main()
