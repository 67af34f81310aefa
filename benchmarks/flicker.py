"""Flicker and temporal consistency of fused video, smoothed over time and not, beside its sources.

    python benchmarks/flicker.py DATA/m3svd_video [--frames 150] [--scored 60] [--methods a,b]

Flicker, in gray levels of 255, averaged over frames and clips. "mean": change of the mean of the image.
"static patches": change of the means of those 16x16 patches in which both sources change least, a fifth of
all; what changes there is noise, coding artifacts and flicker. "ratio": the fused divided by the source that
changes more; up to 1, fusion adds no flicker. Then BiSWE and MS2R, as `ivfuse eval --video` computes them, of
the first frames of each clip. "smoothed" is what `ivfuse video` does, "each frame" is with `--no-smooth`.
Nothing is encoded in between.

The last table is about automatic gain: the thermal clips as 14-bit counts, mapped by each frame's own
percentiles, by the smoothed window of `ivfuse video`, or by a fixed window.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import make_parser, markdown_table
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import list_methods
from ivfuse.metrics.temporal import TemporalScorer, TemporalScores
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.frame import Frame, decode_luma, encode_luma
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.open import open_source
from ivfuse.video.source import Modality

PATCH, STATIC = 16, 0.2  # side of a patch in pixels; the share of patches that counts as static
GAINS = (("each frame's own", 0.0), ("smoothed (1 s)", 1.0), ("fixed", None))
SOURCES = ("thermal", "visible")

Gray = NDArray[np.float32]
Clip = tuple[NDArray[np.float32], NDArray[np.float32]]  # thermal and visible luma, (N, H, W) in [0, 1]


@dataclass(frozen=True)
class Change:
    """Frame-to-frame change in gray levels: of the image mean, and of each patch mean (frames, patches)."""

    mean: float
    patches: NDArray[np.float64]


def measure_change(images: NDArray[np.float32]) -> Change:
    """Change of a video, (N, H, W) in [0, 1]."""
    return change_of([image_levels(image) for image in images])


def image_levels(image: Gray) -> tuple[float, NDArray[np.float64]]:
    """The mean of an image, and those of its patches, in gray levels."""
    rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
    patches = image[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    patch_means = patches.mean((1, 3), dtype=np.float64).ravel() * 255
    return float(image.mean(dtype=np.float64)) * 255, patch_means


def change_of(levels: list[tuple[float, NDArray[np.float64]]]) -> Change:
    """Change of a video, from the levels of its images."""
    means, patches = ([each[part] for each in levels] for part in (0, 1))
    return Change(float(np.abs(np.diff(means)).mean()), np.abs(np.diff(patches, axis=0)))


def read_lumas(path: Path, modality: Modality, frames: int) -> NDArray[np.float32]:
    """Luma of the first frames of a clip."""
    source = open_source(str(path), modality)
    found = (item for item in source.items() if isinstance(item, Frame))
    return np.stack([decode_luma(frame) for frame in islice(found, frames)])


def static_patches(*sources: Change) -> NDArray[np.bool_]:
    """The patches in which all sources change least."""
    worst = np.max([source.patches.mean(0) for source in sources], axis=0)
    return np.asarray(worst <= np.quantile(worst, STATIC))


@dataclass(frozen=True)
class Measured:
    """What was measured of the videos of a clip: the sources, and each method as it is and smoothed."""

    changes: dict[str, Change]
    scores: dict[str, TemporalScores]


def videos(clip: Clip, methods: dict[str, Fuser]) -> Iterator[dict[str, Gray]]:
    """The frames of all videos at a time, by name; fused as `ivfuse video` does, in 8 bits."""
    fusers = {name: FrameFuser(fuser, smoother=None) for name, fuser in methods.items()}
    fusers |= {f"{name}, smoothed": FrameFuser(fuser) for name, fuser in methods.items()}
    for index, (ir, vi) in enumerate(zip(*clip, strict=True)):
        frames = dict(zip(SOURCES, (ir, vi), strict=True))
        pair = [Frame((encode_luma(image, limited=False),), index / 30, index) for image in (ir, vi)]
        for name in methods:
            for each in (name, f"{name}, smoothed"):
                frames[each] = decode_luma(fusers[each].fuse(*pair))
        yield frames


def measure_clip(clip: Clip, methods: dict[str, Fuser], scored: int) -> Measured:
    """Fuse and measure a clip by all methods at once, so that the flow of the sources is computed once."""
    levels: dict[str, list[tuple[float, NDArray[np.float64]]]] = {}
    scorer: TemporalScorer | None = None
    for index, frames in enumerate(videos(clip, methods)):
        for name, frame in frames.items():
            levels.setdefault(name, []).append(image_levels(frame))
        scorer = scorer or TemporalScorer(len(frames))
        if index < scored:
            ir, vi, *others = (encode_luma(frame, limited=False) for frame in frames.values())
            scorer.add(ir, vi, [ir, vi, *others])
        if index % 30 == 29:
            print(f"{index + 1} frames", file=sys.stderr, flush=True)
    scores = scorer.scores() if scorer else []
    return Measured(
        {name: change_of(each) for name, each in levels.items()}, dict(zip(levels, scores, strict=True))
    )


def table_of_flicker(measured: list[Measured]) -> str:
    """The first table."""
    pairs = [tuple(each.changes[name] for name in SOURCES) for each in measured]
    static = [static_patches(*pair) for pair in pairs]

    def values(name: str) -> NDArray[np.float64]:
        found = [each.changes[name] for each in measured]
        of_patches = [x.patches[:, where].mean() for x, where in zip(found, static, strict=True)]
        return np.array([np.mean([x.mean for x in found]), np.mean(of_patches)])

    reference = np.mean(
        [
            (max(x.mean for x in pair), max(x.patches[:, where].mean() for x in pair))
            for pair, where in zip(pairs, static, strict=True)
        ],
        axis=0,
    )
    heads = ("each frame: mean", "ratio", "static patches", "ratio", "smoothed: mean", "ratio")
    rows = []
    for name in measured[0].changes:
        if name.endswith(", smoothed"):
            continue
        versions = [name] if name in SOURCES else [name, f"{name}, smoothed"]
        cells = [""] * 8
        for at, version in enumerate(versions):
            found = values(version)
            ratios = ["", ""] if name in SOURCES else [f"{ratio:.2f}" for ratio in found / reference]
            pairs_of_cells = zip((f"{each:.3f}" for each in found), ratios, strict=True)
            cells[4 * at : 4 * at + 4] = [cell for pair in pairs_of_cells for cell in pair]
        rows.append([name, *cells])
    return markdown_table(("", *heads, "static patches", "ratio"), rows)


def table_of_scores(measured: list[Measured]) -> str:
    """The second table: means over the clips."""
    rows = []
    for name in measured[0].scores:
        if name.endswith(", smoothed"):
            continue
        cells = []
        for version in (name, f"{name}, smoothed"):
            found = [each.scores[version] for each in measured if version in each.scores]
            cells += [f"{np.mean([x.biswe for x in found]):.3f}" if found else ""]
            cells += [f"{np.mean([x.ms2r for x in found]):.4f}" if found else ""]
        rows.append([name, *cells])
    return markdown_table(("", "each frame: BiSWE", "MS2R", "smoothed: BiSWE", "MS2R"), rows)


def table_of_gains(clips: list[Clip]) -> str:
    """The last table."""
    rows = []
    for label, time_constant in GAINS:
        found = []
        for ir, _ in clips:
            counts = np.rint(7000 + 4000 * ir).astype(np.uint16)
            if time_constant is None:
                low, high = np.percentile(counts[0], (1, 99))
                gain = AutoGain((float(low), float(high)))
            else:
                gain = AutoGain(time_constant=time_constant)
            mapped = measure_change(
                np.stack([gain.apply(Frame((x,), i / 30, i)) for i, x in enumerate(counts)])
            )
            static = static_patches(measure_change(ir))
            found.append((mapped.mean, mapped.patches[:, static].mean()))
        mean, patches = np.mean(found, axis=0)
        rows.append((label, f"{mean:.3f}", f"{patches:.3f}"))
    return markdown_table(("window of 14-bit thermal", "mean", "static patches"), rows)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path, help="a folder with ir/ and vi/ that contain clips of equal names")
    parser.add_argument("--frames", type=int, default=150, help="of each clip")
    parser.add_argument("--scored", type=int, default=60, help="frames of each clip for BiSWE and MS2R")
    parser.add_argument("--methods", default="all", help="comma-separated names, or all")
    args = parser.parse_args()
    methods = list_methods() if args.methods == "all" else args.methods.split(",")
    clips = [
        (
            read_lumas(args.data / "ir" / path.name, "ir", args.frames),
            read_lumas(args.data / "vi" / path.name, "vi", args.frames),
        )
        for path in sorted((args.data / "ir").iterdir())
    ]
    fusers = {name: Fuser(name) for name in methods}
    measured = [measure_clip(clip, fusers, args.scored) for clip in clips]
    print(table_of_flicker(measured), table_of_scores(measured), sep="\n\n", end="\n\n", flush=True)
    print(table_of_gains(clips))


if __name__ == "__main__":
    main()
