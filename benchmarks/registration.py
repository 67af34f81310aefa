"""How well thermal pictures are registered to visible ones: prints the tables of docs/registration.md.

    python benchmarks/registration.py --data ../shared/data --overlays /tmp/overlays

Four parts, chosen by --only: raw (RoadScene's raw pairs, against its own aligned thermal), warped (aligned
pairs warped by random homographies), unrelated (pictures of different scenes, all to be refused), drone (no
truth: overlays to look at). Times are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ivfuse.imaging.encode import write_image
from ivfuse.imaging.registration.estimate import Reduced, reduced
from ivfuse.imaging.registration.features import frame_mask
from ivfuse.imaging.registration.geometry import corner_distance, corners_of, moved, to_centres, to_corners
from ivfuse.imaging.registration.overlay import overlay
from ivfuse.imaging.registration.refine import Level, Pair, improve
from ivfuse.imaging.registration.register import Attempt, attempt, thermal_gray, visible_gray
from ivfuse.imaging.registration.rig import registration_of

Gray = NDArray[np.float32]
Matrix = NDArray[np.float64]

WRONG = 5.0  # pixels of mean corner error from which on an accepted transform counts as false
POLISH = (
    Level(160, 5, "homography"),
    Level(256, 4, "homography", 1.5),
    *(Level(448, 3, "homography", 1.5),) * 2,
)


@dataclass(frozen=True)
class Timed:
    """One registration, its full-size matrix (counting from corners) and its CPU seconds."""

    attempt: Attempt
    matrix: Matrix | None
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.attempt.trust.enough


def register(ir: Gray, vi: Gray) -> Timed:
    started = time.process_time()
    found = attempt(ir, vi, "homography")
    seconds = time.process_time() - started
    matrix = None
    if found.data is not None and found.matrix is not None:
        matrix = found.data.full(found.matrix)
    return Timed(found, matrix, seconds)


def size_of(picture: Gray) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]


def table(head: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


# --- RoadScene's raw pairs


def matched(source: Gray, target: Gray) -> Matrix:
    """The homography between two pictures of one band and one moment: SIFT points, then ECC."""
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
    """Of the thermal, placed by a matrix that counts from centres, with the aligned one."""
    placed = cv2.warpPerspective(ir, matrix, size_of(truth))
    return float(np.corrcoef(placed.ravel(), truth.ravel())[0, 1])


def raw(data: Path, overlays: Path | None) -> None:
    """RoadScene's aligned visible is the raw one cut and stretched; so is the placed thermal, then."""
    rows, ratios, times = [], [], []
    for path in sorted((data / "roadscene_raw/ir").iterdir()):
        stem = path.stem
        ir = thermal_gray(path)
        vi = visible_gray(next((data / "roadscene_raw/vi").glob(f"{stem}.*")))
        truth = thermal_gray(next((data / "roadscene/val/ir").glob(f"{stem}.*")))
        aligned = visible_gray(next((data / "roadscene/val/vi").glob(f"{stem}.*")))
        zoom = aligned.shape[1] / vi.shape[1]
        small = cv2.resize(vi, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        shrink = np.diag([small.shape[1] / vi.shape[1], small.shape[0] / vi.shape[0], 1.0])
        crop = matched(small, aligned) @ to_centres(shrink)
        best = matched(ir, truth)
        reachable = correlation(ir, best, truth)
        found = register(ir, vi)
        save(overlays, f"raw-{stem}", ir, vi, found)
        times.append(found.seconds)
        if found.matrix is None:
            rows.append([stem, "no", "", "", f"{reachable:.3f}", ""])
            continue
        reached = correlation(ir, crop @ to_centres(found.matrix), truth)
        if found.accepted:
            ratios.append(reached / reachable)
        off = np.linalg.norm(seen_error(to_corners(np.linalg.inv(crop) @ best), found.matrix, ir, vi), axis=1)
        rows.append(
            [
                stem,
                "yes" if found.accepted else "no",
                f"{found.attempt.trust.agreement:.2f}",
                f"{reached:.3f}",
                f"{reachable:.3f}",
                f"{reached / reachable:.3f}",
                f"{100 * np.sqrt((off**2).mean()) / vi.shape[1]:.2f}",
            ]
        )
    head = ["pair", "accepted", "score", "correlation", "reachable", "ratio", "off, % of width"]
    table(head, rows)
    print(
        f"{len(ratios)} of {len(rows)} accepted; median ratio of those {np.median(ratios):.3f},"
        f" lowest {min(ratios):.3f}; median CPU {np.median(times):.2f} s\n"
    )


def seen_error(truth: Matrix, found: Matrix, ir: Gray, vi: Gray) -> Matrix:
    """Differences of the two transforms at thermal points that the visible shows, in visible pixels."""
    x, y = np.meshgrid(*(np.linspace(0, side, 9) for side in size_of(ir)))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    there = moved(truth, points)
    inside = ((there >= 0) & (there <= np.array(size_of(vi)))).all(axis=1)
    return (moved(found, points) - there)[inside]


# --- aligned pairs, warped


def warped(ir: Gray, rng: np.random.Generator, size: float, framed: bool) -> tuple[Gray, Matrix]:
    """A thermal whose corners are moved by up to ``size`` of the width in any direction; and the way back.

    ``framed``: the whole thermal, parts of it pushed out of the frame, black where it shows nothing; else the
    part inside of a margin, so that the frame is full of picture.
    """
    width, height = size_of(ir)
    margin = size * width
    angle, radius = rng.uniform(0, 2 * np.pi, 4), margin * np.sqrt(rng.uniform(0, 1, 4))
    offset = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None]
    if framed:
        corners = corners_of((width, height))
        forth = cv2.getPerspectiveTransform(np.float32(corners), np.float32(corners + offset))
        out = cv2.warpPerspective(ir, to_centres(forth), (width, height))
        return out, np.linalg.inv(forth)
    inner = (round(width - 2 * margin), round(height - 2 * margin))
    quad = corners_of(inner) + margin + offset
    back = cv2.getPerspectiveTransform(np.float32(corners_of(inner)), np.float32(quad))
    return cv2.warpPerspective(ir, to_centres(np.linalg.inv(back)), inner), back


def aligned_pairs(data: Path, name: str) -> list[tuple[str, Gray, Gray]]:
    folder = data / name
    return [
        (path.stem, thermal_gray(path), visible_gray(next((folder / "vi").glob(f"{path.stem}.*"))))
        for path in sorted((folder / "ir").iterdir())
    ]


def polished(data: list[Reduced]) -> Matrix:
    """What registration makes of aligned pairs, started at no transform at all, all of them as one rig."""
    matrix = np.eye(3)
    for level in POLISH:
        step = improve([one.pair for one in data], matrix, level)
        if step is not None:
            matrix = step[0]
    return matrix


def unwarped(ir: Gray, vi: Gray) -> Reduced:
    data = reduced(ir, vi)
    return Reduced(Pair(data.pair.ir, data.pair.vi, frame_mask(data.pair.ir)), data.ir_scale, data.vi_scale)


def warps(data: Path, draws: int, overlays: Path | None) -> None:
    rows = []
    for name, size in itertools.product(("msrs640", "roadscene/val"), (0.05, 0.1)):
        pairs = aligned_pairs(data, name)
        own = {stem: polished([unwarped(ir, vi)]) for stem, ir, vi in pairs}
        # MSRS is one rig: what its other pairs say of its alignment does not depend on the pair at hand.
        rig = name == "msrs640"
        others = [polished([unwarped(ir, vi) for _, ir, vi in pairs[1 - i :: 2]]) for i in (0, 1) if rig]
        to_set, to_rig, to_own, times, tried = [], [], [], [], 0
        for (index, (stem, ir, vi)), draw in itertools.product(enumerate(pairs), range(draws)):
            rng = np.random.default_rng((index, draw))
            thermal, back = warped(ir, rng, size, framed=bool(draw % 2))
            found = register(thermal, vi)
            tried += 1
            times.append(found.seconds)
            save(overlays, f"warped-{name.split('/')[0]}-{size:g}-{stem}-{draw}", thermal, vi, found)
            if found.accepted and found.matrix is not None:
                to_set.append(corner_distance(found.matrix, back, size_of(thermal)))
                if rig:
                    to_rig.append(corner_distance(found.matrix, others[index % 2] @ back, size_of(thermal)))
                to_own.append(corner_distance(found.matrix, own[stem] @ back, size_of(thermal)))
        rows.append(
            [
                name,
                f"{size:.0%}",
                f"{len(to_set)} of {tried}",
                f"{np.median(to_set):.2f}",
                f"{sum(x > WRONG for x in to_set)}",
                f"{np.median(to_rig):.2f}" if rig else "",
                f"{np.median(to_own):.2f}",
                f"{sum(x > WRONG for x in to_own)}",
                f"{np.median(times):.2f}",
                f"{np.max(times):.2f}",
            ]
        )
        print(f"<!-- {' '.join(rows[-1])} -->", flush=True)
    head = [
        "set", "corners moved by up to", "accepted", "corner error, px", f"over {WRONG:g} px",
        "against the rig's other pairs, px", "against the unwarped pair, px", f"over {WRONG:g} px",
        "CPU s", "longest",
    ]  # fmt: skip
    table(head, rows)
    halves(data)


def halves(data: Path) -> None:
    """How far the sets' own alignment is off: for MSRS, which is one rig, from two halves of its pairs."""
    pairs = aligned_pairs(data, "msrs640")
    rows = []
    for name, part in (("1st, 3rd, ...", pairs[::2]), ("2nd, 4th, ...", pairs[1::2])):
        matrix = polished([unwarped(ir, vi) for _, ir, vi in part])
        size = size_of(part[0][2])
        shifts = moved(matrix, corners_of(size)) - corners_of(size)
        rows.append([name, *(f"{x:+.1f}, {y:+.1f}" for x, y in shifts)])
    table(["pairs of msrs640", "upper left", "upper right", "lower right", "lower left"], rows)


# --- pictures of different scenes, and drones


def unrelated(data: Path, count: int) -> None:
    names = ("msrs640", "roadscene/val", "m3fd", "tno_val")
    pairs = [pair for name in names for pair in aligned_pairs(data, name)]
    rng = np.random.default_rng(7)
    accepted, scores, times = 0, [], []
    for _ in range(count):
        a, b = rng.choice(len(pairs), 2, replace=False)
        found = register(pairs[a][1], pairs[b][2])
        accepted += found.accepted
        scores.append((found.attempt.trust.agreement, found.attempt.trust.distinctness))
        times.append(found.seconds)
        if found.accepted:
            print(f"accepted: thermal {pairs[a][0]} on visible {pairs[b][0]}")
    agreement, distinctness = np.max(scores, axis=0)
    print(
        f"{accepted} of {count} unrelated pairs accepted; highest agreement {agreement:.2f}, highest"
        f" distinctness {distinctness:.2f}; median CPU {np.median(times):.2f} s\n"
    )


def drone(data: Path, overlays: Path | None) -> None:
    rows = []
    for path in sorted((data / "wisard/ir").iterdir()):
        ir, vi = thermal_gray(path), visible_gray(next((data / "wisard/vi").glob(f"{path.stem}.*")))
        found = register(ir, vi)
        save(overlays, f"drone-{path.stem}", ir, vi, found)
        trust = found.attempt.trust
        rows.append(
            [path.stem, "yes" if found.accepted else "no", f"{trust.agreement:.2f}", f"{found.seconds:.2f}"]
        )
    table(["pair", "accepted", "score", "CPU s"], rows)


def save(overlays: Path | None, name: str, ir: Gray, vi: Gray, found: Timed) -> None:
    if overlays is None or found.matrix is None:
        return
    rig = registration_of(found.matrix, size_of(ir), size_of(vi), "homography")
    mark = "" if found.accepted else "-refused"
    write_image(overlays / f"{name}{mark}.jpg", overlay(ir, vi, rig))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=["raw", "warped", "unrelated", "drone"], action="append")
    parser.add_argument("--overlays", type=Path, help="folder for pictures to look at; not for publication")
    parser.add_argument("--draws", type=int, default=2, help="random warps of each aligned pair")
    parser.add_argument("--unrelated", type=int, default=100, help="pairs of different scenes")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    for part in options.only or ("raw", "warped", "unrelated", "drone"):
        print(f"## {part}\n")
        if part == "raw":
            raw(options.data, options.overlays)
        elif part == "warped":
            warps(options.data, options.draws, options.overlays)
        elif part == "unrelated":
            unrelated(options.data, options.unrelated)
        else:
            drone(options.data, options.overlays)


if __name__ == "__main__":
    main()
