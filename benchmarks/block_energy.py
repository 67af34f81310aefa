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

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse import Fuser
from ivfuse.fusion.registry import list_methods
from ivfuse.image.color import luma, resize_to
from ivfuse.image.pairing import pair_folder
from ivfuse.image.read import read_visible
from ivfuse.thermal.read import read_thermal

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


def read(folder: Path, limit: int) -> list[tuple[Gray, Gray]]:
    """The folder's first pairs as luma."""
    out = []
    for pair in pair_folder(folder).pairs[:limit]:
        vi = luma(read_visible(pair.vi).pixels)
        out.append((resize_to(read_thermal(pair.ir).pixels, *vi.shape), vi))
    return out


def measure(
    pairs: list[tuple[Gray, Gray]], methods: dict[str, Callable[[Gray, Gray], Gray]], period: int
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
    lines = [f"| {title} | largest / median energy | at offset | largest / opposite |", "|---|---|---|---|"]
    for name, (largest, offset, opposite) in found.items():
        lines.append(f"| {name} | {largest:.3f} | {offset} | {opposite:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--methods", default="all", help="names with commas, all or none")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="networks of trainings, as files")
    parser.add_argument("--period", type=int, default=16)
    parser.add_argument("--limit", type=int, default=20, help="pairs of each folder")
    args = parser.parse_args()
    names = {"all": list_methods(), "none": []}.get(args.methods, args.methods.split(","))
    methods = {name: Fuser(name, gray=True).fuse for name in names}
    for file in args.weights:
        from ivfuse.training.torch_method import load_torch_method

        methods[str(file)] = Fuser(load_torch_method(file, "cpu"), gray=True).fuse
    for folder in args.folders:
        table = measure(read(folder, args.limit), methods, args.period)
        print(markdown("/".join(folder.parts[-2:]), table), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
