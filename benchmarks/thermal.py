"""Thermal files: temperatures compared with an independent reader, and accuracy of the parallax shift.

    python benchmarks/thermal.py [--shared ../shared] [--shifts 2] [--figure docs/images/thermal-looks.jpg]

Prints the two tables of docs/results/thermal.md. For the second, the thermal images of aligned pairs are
moved by a known random shift of up to 4 % of the width in each direction, which is then estimated.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

import cv2
import numpy as np

from common import make_parser
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.color import luma, resize_to
from ivfuse.image.pairing import pair_folder
from ivfuse.image.read import read_visible
from ivfuse.registration.camera import estimate_parallax
from ivfuse.synthetic.street import street_scene
from ivfuse.thermal.formats.flir_jpeg import read_flir
from ivfuse.thermal.read import ThermalOptions, read_thermal
from ivfuse.thermal.render import RenderOptions
from ivfuse.thermal.units import parse_scale, parse_span

SETS = ("roadscene/val", "msrs640", "m3fd", "tno_val", "m3svd_frames")
LARGEST = 0.04  # shift, of the width
EDGE = 0.05  # of the width is cut off, so that no shifted image has an empty margin


def temperatures(shared: Path) -> None:
    print("| file | payload | degC min, mean, max | largest difference | CPU seconds |")
    print("|---|---|---|---|---|")
    with (shared / "oracle" / "radiometric.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        started = time.process_time()
        flir = read_flir(shared / "data" / "radiometric" / row["file"])
        celsius = flir.celsius().astype(np.float64)
        seconds = time.process_time() - started
        found = [celsius.min(), celsius.mean(), celsius.max()]
        wanted = [row[f"celsius_{name}"] for name in ("min", "mean", "max")]
        apart = max(abs(a - float(b)) for a, b in zip(found, wanted, strict=True)) if all(wanted) else None
        size = f"{row['width']}x{row['height']}"
        print(
            f"| {row['file']} | {flir.raster.payload} {size} | {', '.join(f'{x:.2f}' for x in found)}"
            f" | {'no value to compare' if apart is None else f'{apart:.4f}'} | {seconds:.3f} |"
        )


def shifts(shared: Path, repeats: int) -> None:
    print("| set | pairs x shifts | taken | median error | largest error | CPU seconds |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for name in SETS:
        errors, asked, spent = [], 0, 0.0
        for pair in pair_folder(shared / "data" / name).pairs:
            vi = luma(read_visible(pair.vi).pixels)
            ir = resize_to(luma(read_thermal(pair.ir).pixels), *vi.shape)
            height, width = vi.shape
            edge = int(EDGE * width)
            for _ in range(repeats):
                x, y = rng.uniform(-LARGEST, LARGEST, 2) * width
                move = np.array([[1, 0, edge + x], [0, 1, edge + y]])
                size = (width - 2 * edge, height - 2 * edge)
                moved = cv2.warpAffine(ir, move, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
                started = time.process_time()
                found = estimate_parallax(np.asarray(moved, np.float32), vi[edge:-edge, edge:-edge])
                spent += time.process_time() - started
                asked += 1
                if found is not None:
                    errors.append(100 * np.hypot(found.x - x, found.y - y) / size[0])
        print(
            f"| {name} | {asked} | {len(errors)} | {np.median(errors):.2f} % of the width"
            f" | {max(errors):.2f} % | {spent / asked:.3f} |"
        )


def figure(out: Path) -> None:
    """The synthetic street of the docs: in the visible's colors, in a palette, with warm things painted."""
    scene = street_scene(480, 640, seed=0, time="night")
    counts = np.rint(100 * (273.15 + 5 + 30 * scene.ir)).astype(np.uint16)
    read = ThermalOptions(scale=parse_scale("0.01K"))
    hot = parse_span(">22C", "highlight", open_ends=True)
    looks = (None, RenderOptions("iron"), RenderOptions(highlight=hot))
    shown = [Fuser(thermal=read, render=look).fuse(counts, scene.vi) for look in looks]
    together = cv2.resize(np.hstack(shown), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    out.write_bytes(
        cv2.imencode(
            ".jpg", np.rint(together[..., ::-1] * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85]
        )[1].tobytes()
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument("--shifts", type=int, default=2, help="for each pair")
    parser.add_argument("--figure", type=Path, help="draw the figure of the docs and measure nothing")
    arguments = parser.parse_args()
    if arguments.figure:
        figure(arguments.figure)
        return
    temperatures(arguments.shared)
    print()
    shifts(arguments.shared, arguments.shifts)


if __name__ == "__main__":
    main()
