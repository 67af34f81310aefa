"""Fuse the pairs of a folder and print their scores, with types that strict checkers accept.

    python fuse_folder.py PAIRS OUT

PAIRS holds ir/ and vi/ with files of equal names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ivfuse

METRICS = ["EN", "VIF", "Qabf"]


def scores_of(fuser: ivfuse.Fuser, ir: Path, vi: Path) -> dict[str, float]:
    """Fuse a pair in memory and score it."""
    pair = fuser.read(ir, vi)
    fused: NDArray[np.float32] = fuser.fuse_pair(pair)
    return ivfuse.evaluate(fused, pair.thermal.pixels, pair.visible.pixels, metrics=METRICS)


def main(pairs: Path, out: Path) -> int:
    """Fuse all pairs; returns the exit code."""
    options = ivfuse.FuseOptions(method="laplacian", thermal=ivfuse.ThermalOptions(), strength=0.9)
    fuser = ivfuse.Fuser(options=options)
    failed = 0
    for ir in sorted((pairs / "ir").iterdir()):
        vi = pairs / "vi" / ir.name
        try:
            fuser.fuse_files(ir, vi, out / f"{ir.stem}.png")
            scores = scores_of(fuser, ir, vi)
        except ivfuse.IvfuseError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed += 1
            continue
        print(ir.stem, *(f"{name} {value:.3f}" for name, value in scores.items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
