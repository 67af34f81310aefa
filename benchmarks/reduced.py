"""Fusion at half the thermal's resolution, carried up, against full size: quality and processor time.

    python benchmarks/reduced.py DATA [--sets m3fd msrs640 roadscene_raw wisard] [--method swift] [--limit 4]

Visibles larger than their thermals: `m3fd` with the thermal shrunk to 640x480, `msrs640` with the visible
enlarged three times, and `roadscene_raw` and `wisard`, registered pair by pair and cropped to what the
thermal covers. The columns are those of `seeing.py` and the eight metrics, on images in full size. The last
line compares the processor time of fusing luma in one thread; both ways take turns. `--sheets` writes
visible, thermal, full and half side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from common import make_parser
from ivfuse import Fuser
from ivfuse.errors import RegistrationError
from ivfuse.fusion.reduced import reduced_shape
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma, resize_to
from ivfuse.image.pairing import pair_folder
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.metrics.evaluate import DEFAULT_METRICS as EIGHT
from ivfuse.metrics.evaluate import score_many
from ivfuse.metrics.targets import find_targets, measure_targets
from ivfuse.thermal.read import read_thermal
from quality import markdown
from seeing import Found, natural, seeing_table

Sample = tuple[str, Gray, Gray, Gray]  # name; thermal as recorded, on the grid of the visible; visible


def samples(folder: Path, limit: int) -> Iterator[Sample]:
    """The pairs of a set, prepared as described above."""
    register = Fuser("average", rig="auto", crop=True) if folder.name in ("roadscene_raw", "wisard") else None
    for pair in pair_folder(folder).pairs[: limit or None]:
        if register is not None:
            try:
                aligned = register.read(pair.ir, pair.vi)
            except RegistrationError as error:
                print(f"{pair.name}: left out: {error}")
                continue
            native = read_thermal(pair.ir).pixels
            yield pair.name, native, aligned.thermal.pixels, luma(aligned.visible.pixels)
            continue
        native, vi = read_thermal(pair.ir).pixels, luma(read_visible(pair.vi).pixels)
        if folder.name == "m3fd":
            native = resize_to(native, 480, 640)
        if folder.name == "msrs640":
            vi = resize_to(vi, 3 * vi.shape[0], 3 * vi.shape[1])
        yield pair.name, native, resize_to(native, *vi.shape), vi


def measure(
    folder: Path, method: str, limit: int, sheets: Path | None
) -> tuple[dict[str, Found], dict[str, float]]:
    """Quality and processor seconds of both ways."""
    fuser = Fuser(method, threads=1)
    found = {"full": Found(), "half": Found()}
    seconds = dict.fromkeys(found, 0.0)
    for name, native, ir, vi in samples(folder, limit):
        shape = reduced_shape(vi.shape, native.shape)
        if shape is None:
            continue
        fused = {}
        for way in found:
            started = time.process_time()
            fused[way] = fuser.fuse_covered(ir, vi, None, shape if way == "half" else None)
            seconds[way] += time.process_time() - started
        targets = find_targets(np.rint(ir * 255))
        ir8, vi8 = np.rint(ir * 255), np.rint(vi * 255)
        scores = score_many(fused, ir, vi, EIGHT)
        for way, image in fused.items():
            image = np.rint(image * 255)
            found[way].contrasts += measure_targets(targets, vi8, image)
            found[way].measures.append(natural(image, ir8, vi8))
            found[way].eight.append(scores[way].values)
        if sheets:
            write_image(sheets / f"{folder.name}-{name}.png", np.hstack((vi, ir, *fused.values())))
    return found, seconds


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["m3fd", "msrs640", "roadscene_raw", "wisard"])
    parser.add_argument("--method", default="swift")
    parser.add_argument("--limit", type=int, default=0, help="pairs of a set; 0 for all")
    parser.add_argument("--sheets", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for name in args.sets:
        found, seconds = measure(args.data / name, args.method, args.limit, args.sheets)
        print(seeing_table(name, {way: each.row() for way, each in found.items()}), end="\n\n")
        print(markdown(name, {way: each.metrics() for way, each in found.items()}), end="\n\n")
        print(f"CPU time, full / half: {seconds['full'] / seconds['half']:.1f}\n", flush=True)


if __name__ == "__main__":
    main()
