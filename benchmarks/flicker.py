"""Does fusing add flicker? Frame-to-frame change of the fused video beside that of its sources.

    python benchmarks/flicker.py DATA/m3svd_video [--frames 150] [--methods a,b]

Two measures, in gray levels of 255, means over frames and clips. "mean": change of the mean of the image.
"static": change of the mean of 16x16 patches in which both sources change least, the calmest fifth of them;
what changes there is noise, coding and flicker. "times": the fused divided by the livelier of its sources; up
to 1, fusing adds no flicker.

The second table is about thermal windows: the clips' thermal as 14-bit counts, mapped by each frame's own
percentiles or by the window of `ivfuse video`, which follows slowly.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import list_methods
from ivfuse.video.auto_gain import SteadyWindow
from ivfuse.video.frame import Frame, luma_of
from ivfuse.video.source import open_source

PATCH, CALM = 16, 0.2


@dataclass(frozen=True)
class Change:
    """Frame-to-frame change, gray levels: of the mean, and of each patch's mean (a row for each frame)."""

    mean: float
    patches: NDArray[np.float64]


def change(images: NDArray[np.float32]) -> Change:
    """Change of a video, (N, H, W) in [0, 1]."""
    count, height, width = images.shape
    rows, columns = height // PATCH, width // PATCH
    cut = images[:, : rows * PATCH, : columns * PATCH].reshape(count, rows, PATCH, columns, PATCH)
    means = cut.mean((2, 4), dtype=np.float64).reshape(count, -1) * 255
    whole = images.mean((1, 2), dtype=np.float64) * 255
    return Change(float(np.abs(np.diff(whole)).mean()), np.abs(np.diff(means, axis=0)))


def lumas(path: Path, role: str, frames: int) -> NDArray[np.float32]:
    """The first frames of a clip."""
    source = open_source(str(path), role)  # type: ignore[arg-type]
    found = (item for item in source.items() if isinstance(item, Frame))
    return np.stack([luma_of(frame) for frame in islice(found, frames)])


def calm_patches(*sources: Change) -> NDArray[np.bool_]:
    """The patches in which all sources change least."""
    worst = np.max([source.patches.mean(0) for source in sources], axis=0)
    return np.asarray(worst <= np.quantile(worst, CALM))


def table_of_methods(clips: list[tuple[NDArray[np.float32], NDArray[np.float32]]], methods: list[str]) -> str:
    """The first table."""
    changes = [(change(ir), change(vi)) for ir, vi in clips]
    calm = [calm_patches(*pair) for pair in changes]

    def means(found: list[Change]) -> tuple[float, float]:
        static = [x.patches[:, where].mean() for x, where in zip(found, calm, strict=True)]
        return float(np.mean([x.mean for x in found])), float(np.mean(static))

    livelier = [
        np.mean([[max(a.mean, b.mean), max(a.patches[:, c].mean(), b.patches[:, c].mean())]], axis=0)
        for (a, b), c in zip(changes, calm, strict=True)
    ]
    limit = np.mean(livelier, axis=0)
    lines = ["| | mean | times | static | times |", "|---|---|---|---|---|"]
    for name, which in (("thermal", 0), ("visible", 1)):
        whole, static = means([pair[which] for pair in changes])
        lines.append(f"| {name} | {whole:.3f} | | {static:.3f} | |")
    for name in methods:
        fuser = Fuser(name)
        fused = [
            change(np.stack([fuser.fuse_luma(a, b) for a, b in zip(ir, vi, strict=True)])) for ir, vi in clips
        ]
        whole, static = means(fused)
        lines.append(
            f"| {name} | {whole:.3f} | {whole / limit[0]:.2f} | {static:.3f} | {static / limit[1]:.2f} |"
        )
    return "\n".join(lines)


def table_of_windows(clips: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> str:
    """The second table."""
    lines = ["| window of 14-bit thermal | mean | static |", "|---|---|---|"]
    for label, seconds in (("each frame's own", 0.0), ("followed slowly (1 s)", 1.0), ("fixed", None)):
        found = []
        for ir, _ in clips:
            counts = np.rint(7000 + 4000 * ir).astype(np.uint16)
            fixed = tuple(np.percentile(counts[0], (1, 99))) if seconds is None else None
            steady = SteadyWindow(fixed, seconds or 0.0)  # type: ignore[arg-type]
            frame = Frame((), 0, 0)
            shown = [steady.apply(replace(frame, planes=(x,), time=i / 30)) for i, x in enumerate(counts)]
            changed, plain = change(np.stack(shown)), change(ir)
            found.append((changed.mean, changed.patches[:, calm_patches(plain)].mean()))
        whole, static = np.mean(found, axis=0)
        lines.append(f"| {label} | {whole:.3f} | {static:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder with ir/ and vi/ that hold clips of equal names")
    parser.add_argument("--frames", type=int, default=150, help="of each clip")
    parser.add_argument("--methods", default="all", help="names with commas between, or all")
    args = parser.parse_args()
    methods = list_methods() if args.methods == "all" else args.methods.split(",")
    names = sorted(path.name for path in (args.data / "ir").iterdir())
    clips = [
        tuple(lumas(args.data / role / name, role, args.frames) for role in ("ir", "vi")) for name in names
    ]
    print(table_of_methods(clips, methods), end="\n\n", flush=True)  # type: ignore[arg-type]
    print(table_of_windows(clips))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
