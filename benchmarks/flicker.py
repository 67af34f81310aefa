"""Flicker: frame-to-frame change of fused video compared with that of its sources.

    python benchmarks/flicker.py DATA/m3svd_video [--frames 150] [--methods a,b]

Two measures, in gray levels of 255, averaged over frames and clips. "mean": change of the mean of the image.
"static patches": change of the means of those 16x16 patches in which both sources change least, a fifth of
all; what changes there is noise, coding artifacts and flicker. "ratio": the fused divided by the source that
changes more; up to 1, fusion adds no flicker.

The second table is about automatic gain: the thermal clips as 14-bit counts, mapped by each frame's own
percentiles, by the smoothed window of `ivfuse video`, or by a fixed window.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import list_methods
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.frame import Frame, decode_luma
from ivfuse.video.open import open_source
from ivfuse.video.source import Modality

PATCH, STATIC = 16, 0.2  # side of a patch in pixels; the share of patches that counts as static
GAINS = (("each frame's own", 0.0), ("smoothed (1 s)", 1.0), ("fixed", None))

Clip = tuple[NDArray[np.float32], NDArray[np.float32]]  # thermal and visible luma, (N, H, W) in [0, 1]


@dataclass(frozen=True)
class Change:
    """Frame-to-frame change in gray levels: of the image mean, and of each patch mean (frames, patches)."""

    mean: float
    patches: NDArray[np.float64]


def measure_change(images: NDArray[np.float32]) -> Change:
    """Change of a video, (N, H, W) in [0, 1]."""
    count, height, width = images.shape
    rows, columns = height // PATCH, width // PATCH
    patches = images[:, : rows * PATCH, : columns * PATCH].reshape(count, rows, PATCH, columns, PATCH)
    patch_means = patches.mean((2, 4), dtype=np.float64).reshape(count, -1) * 255
    means = images.mean((1, 2), dtype=np.float64) * 255
    return Change(float(np.abs(np.diff(means)).mean()), np.abs(np.diff(patch_means, axis=0)))


def read_lumas(path: Path, modality: Modality, frames: int) -> NDArray[np.float32]:
    """Luma of the first frames of a clip."""
    source = open_source(str(path), modality)
    found = (item for item in source.items() if isinstance(item, Frame))
    return np.stack([decode_luma(frame) for frame in islice(found, frames)])


def static_patches(*sources: Change) -> NDArray[np.bool_]:
    """The patches in which all sources change least."""
    worst = np.max([source.patches.mean(0) for source in sources], axis=0)
    return np.asarray(worst <= np.quantile(worst, STATIC))


def table_of_methods(clips: list[Clip], methods: list[str]) -> str:
    """The first table."""
    changes = [(measure_change(ir), measure_change(vi)) for ir, vi in clips]
    static = [static_patches(*pair) for pair in changes]

    def values(found: list[Change]) -> tuple[float, float]:
        of_patches = [x.patches[:, where].mean() for x, where in zip(found, static, strict=True)]
        return float(np.mean([x.mean for x in found])), float(np.mean(of_patches))

    reference = np.mean(
        [
            (max(a.mean, b.mean), max(a.patches[:, where].mean(), b.patches[:, where].mean()))
            for (a, b), where in zip(changes, static, strict=True)
        ],
        axis=0,
    )
    lines = ["| | mean | ratio | static patches | ratio |", "|---|---|---|---|---|"]
    for index, name in enumerate(("thermal", "visible")):
        mean, patches = values([pair[index] for pair in changes])
        lines.append(f"| {name} | {mean:.3f} | | {patches:.3f} | |")
    for name in methods:
        fuser = Fuser(name)
        fused = (np.stack([fuser.fuse_luma(a, b) for a, b in zip(*clip, strict=True)]) for clip in clips)
        mean, patches = values([measure_change(video) for video in fused])
        ratios = mean / reference[0], patches / reference[1]
        lines.append(f"| {name} | {mean:.3f} | {ratios[0]:.2f} | {patches:.3f} | {ratios[1]:.2f} |")
    return "\n".join(lines)


def table_of_gains(clips: list[Clip]) -> str:
    """The second table."""
    lines = ["| window of 14-bit thermal | mean | static patches |", "|---|---|---|"]
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
        lines.append(f"| {label} | {mean:.3f} | {patches:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder with ir/ and vi/ that contain clips of equal names")
    parser.add_argument("--frames", type=int, default=150, help="of each clip")
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
    print(table_of_methods(clips, methods), end="\n\n", flush=True)
    print(table_of_gains(clips))


if __name__ == "__main__":
    main()
