"""How much a method's images jump at the borders of 16-pixel patches.

    python benchmarks/block_energy.py DIR... [--methods all] [--weights FILE] [--period 16] [--limit 20]

A folder holds `ir/` and `vi/`. Images are fused in gray. For each offset from 0 to the period less 1 the
energy is the mean squared difference between the pixels on both sides of every line at that offset, over rows
and columns of all images. An image without blocks has the same energy everywhere. Printed are the largest
energy of any offset over the median of all (1: none stands out), its offset, and the largest over that half a
period away, in which the 8-pixel blocks of JPEG files cancel. The first rows are the sources': what lies
within theirs is the images' own. The grid need not begin at an image's corner: every offset is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import make_parser, markdown_table
from inputs import Fuse, gray_methods, luma_pairs
from ivfuse import Fuser

Gray = NDArray[np.float32]


def energies(images: Iterable[Gray], period: int = 16) -> NDArray[np.float64]:
    """Mean squared step at each offset, (period,): entry k is of the lines before pixels k, k + period..."""
    total, count = np.zeros(period), np.zeros(period)
    for image in images:
        for axis in (0, 1):
            steps = np.square(np.diff(image.astype(np.float64), axis=axis))
            lines = steps.mean(1 - axis)
            offsets = (np.arange(len(lines)) + 1) % period
            np.add.at(total, offsets, lines)
            np.add.at(count, offsets, 1)
    return total / np.maximum(count, 1)


def excess(found: NDArray[np.float64]) -> tuple[float, int, float]:
    """The largest energy over the median of all, its offset, the largest over that half a period away."""
    opposite = np.roll(found, -(len(found) // 2))
    largest = found.max() / max(float(np.median(found)), 1e-12)
    return float(largest), int(found.argmax()), float((found / np.maximum(opposite, 1e-12)).max())


def measure(
    pairs: list[tuple[Gray, Gray]], methods: dict[str, Fuse], period: int
) -> dict[str, tuple[float, int, float]]:
    """Excess of the sources and of every method's images."""
    found = {
        "(infrared)": excess(energies((ir for ir, _ in pairs), period)),
        "(visible)": excess(energies((vi for _, vi in pairs), period)),
    }
    for name, fuse in methods.items():
        found[name] = excess(energies((fuse(ir, vi) for ir, vi in pairs), period))
    return found


def markdown(title: str, found: dict[str, tuple[float, int, float]]) -> str:
    """One table."""
    head = (title, "largest / median energy", "at offset", "largest / opposite")
    rows = [(name, f"{a:.3f}", str(offset), f"{b:.3f}") for name, (a, offset, b) in found.items()]
    return markdown_table(head, rows)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--methods", default="all", help="names with commas, all or none")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="networks of trainings, as files")
    parser.add_argument("--period", type=int, default=16)
    parser.add_argument("--limit", type=int, default=20, help="pairs of each folder")
    args = parser.parse_args()
    methods = gray_methods(args.methods)
    for file in args.weights:
        from ivfuse.training.torch_method import load_torch_method

        methods[str(file)] = Fuser(load_torch_method(file, "cpu"), gray=True).fuse
    for folder in args.folders:
        table = measure([(ir, vi) for _, ir, vi in luma_pairs(folder, args.limit)], methods, args.period)
        print(markdown("/".join(folder.parts[-2:]), table), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
