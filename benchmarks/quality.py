"""Eight metrics and the mean rank of every method on folders of pairs.

    python benchmarks/quality.py DIR... [--methods all] [--quoted FILE] [--images DIR]

A folder holds `ir/` and `vi/`. Images are fused in gray, frames of thermals like the rest as papers do, and
scored as 8-bit files would be, under the convention `default`. `--quoted` adds rows of other measurements
from a Markdown table with the columns `set | method | EN | SD | SF | MI | SCD | VIF | Qabf | SSIM`.
`--images` writes infrared, visible and fused side by side, to be looked at.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from common import make_parser, markdown_table
from inputs import Fuse, gray_methods, luma_pairs
from ivfuse.image.write import write_image
from ivfuse.metrics.evaluate import DEFAULT_METRICS, mean_ranks, score_many

NAMES = DEFAULT_METRICS

Table = dict[str, dict[str, float]]


def measure(folder: Path, methods: dict[str, Fuse], images: Path | None = None) -> Table:
    """Mean of each metric over the folder's pairs, for each method."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for pair, ir, vi in luma_pairs(folder):
        fused = {name: fuse(ir, vi) for name, fuse in methods.items()}
        for name, scores in score_many(fused, ir, vi, NAMES).items():
            rows[name].append(scores.values)
        if images:
            for name, image in fused.items():
                write_image(images / name / f"{folder.name}-{pair}.png", np.hstack((ir, vi, image)))
    return {
        name: {m: float(np.mean([row[m] for row in found if np.isfinite(row[m])])) for m in NAMES}
        for name, found in rows.items()
    }


def quoted_rows(file: Path, folder: Path, only: str) -> Table:
    """Rows named ``only`` of a Markdown table whose set is the end of the folder's path."""
    rows: Table = {}
    name = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 2 + len(NAMES) or not re.fullmatch(r"-?\d*\.\d+", cells[2]):
            continue
        name = cells[0] or name
        if folder.as_posix().endswith(name) and cells[1] == only:
            rows[f"{only} (quoted)"] = dict(zip(NAMES, map(float, cells[2:]), strict=False))
    return rows


def markdown(name: str, table: Table) -> str:
    """One table with mean ranks, best first."""
    ranks = mean_ranks(table)
    best = {m: max(row[m] for row in table.values()) for m in NAMES}
    rows = []
    for method in sorted(table, key=lambda each: ranks[each]):
        cells = [f"{v:.3f}" if v < best[m] else f"**{v:.3f}**" for m, v in table[method].items()]
        rows.append([method, *cells, f"{ranks[method]:.2f}"])
    return markdown_table([name, *NAMES, "mean rank"], rows)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--methods", default="all")
    parser.add_argument("--quoted", type=Path)
    parser.add_argument("--quoted-method", default="plain net")
    parser.add_argument("--images", type=Path)
    args = parser.parse_args()
    methods = gray_methods(args.methods, keep_frame=True)
    for folder in args.folders:
        table = measure(folder, methods, args.images)
        if args.quoted:
            table |= quoted_rows(args.quoted, folder, args.quoted_method)
        print(markdown("/".join(folder.parts[-2:]), table), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
