"""What one sees in fused images: warm targets, tones, contrast, under clear sky and in weather.

    python benchmarks/seeing.py DATA --sets roadscene/val tno_val msrs640 m3fd --methods swift,average \\
        --weather none haze:3 snow:3 rain:3 [--ranks] [--quoted FILE] [--sheets DIR]

A method is a name or a file of weights (`NAME=FILE.safetensors` gives it a name); `NAME@full` and `NAME@half`
set the size at which it decides, `NAME@natural` and the like the emphasis. Targets are found in the infrared
without weather; shares are over all targets of a set, `h` over those that the visible hides; `r` and `d` are
over pairs by daylight. `--ranks` adds the eight metrics and the mean rank among all methods; `--quoted` adds
rows of other measurements, as in `quality.py`. `--sheets` writes infrared, visible and fused side by side, to
be looked at. `--skies` tells how uneven the skies of six synthetic streets become: the deviation of fused
less visible in them, blurred by 4 pixels, in levels of 255.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from common import make_parser, markdown_table
from inputs import Fuse, gray_methods, luma_pairs
from ivfuse.errors import IvfuseError
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma
from ivfuse.image.write import write_image
from ivfuse.metrics import naturalness
from ivfuse.metrics.evaluate import DEFAULT_METRICS as EIGHT
from ivfuse.metrics.evaluate import score_many
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.targets import TargetContrast, find_targets, measure_targets, target_shares
from ivfuse.synthetic.degrade import degrade_all, parse_degradations
from ivfuse.synthetic.street import SCENE_CLASSES, street_scene
from quality import markdown, quoted_rows

Row = dict[str, float]


@dataclass
class Found:
    """What one method gave on one set in one weather."""

    contrasts: list[TargetContrast] = field(default_factory=list)
    measures: list[Row] = field(default_factory=list)
    eight: list[Row] = field(default_factory=list)

    def row(self) -> Row:
        """Means over the targets and over the pairs."""
        every, hidden = target_shares(self.contrasts), target_shares(self.contrasts, hidden=True)
        shares = {"targets": every.count, "lost": every.lost, "seen": every.seen, "kept": every.kept}
        shares |= {"hidden": hidden.count, "lost h": hidden.lost, "seen h": hidden.seen}
        names = list(dict.fromkeys(name for row in self.measures for name in row))
        means = {name: np.mean([row[name] for row in self.measures if name in row]) for name in names}
        day = {"day": sum("r" in row for row in self.measures)}
        return {name: float(value) for name, value in (shares | means | day).items()}

    def metrics(self) -> Row:
        """Means of the eight."""
        return {m: float(np.mean([row[m] for row in self.eight if np.isfinite(row[m])])) for m in EIGHT}


def measure(
    folder: Path, methods: dict[str, Fuse], weather: str, args: argparse.Namespace
) -> dict[str, Found]:
    """Everything about all methods on one set."""
    found = {name: Found() for name in methods}
    for number, (pair, ir, vi) in enumerate(luma_pairs(folder, args.limit)):
        targets = find_targets(np.rint(ir * 255))
        if weather != "none":
            ir, vi = degrade_all(ir, vi, parse_degradations(weather), seed=number)
        fused = {name: fuse(ir, vi) for name, fuse in methods.items()}
        eight = score_many(fused, ir, vi, EIGHT) if args.ranks and weather == "none" else {}
        ir8, vi8 = np.rint(ir * 255), np.rint(vi * 255)
        for name, image in fused.items():
            image = np.rint(np.clip(image, 0, 1) * 255)
            found[name].contrasts += measure_targets(targets, vi8, image)
            found[name].measures.append(natural(image, ir8, vi8))
            if name in eight:
                found[name].eight.append(eight[name].values)
        if args.sheets:
            sheet = np.hstack((ir, vi, *fused.values()))
            write_image(args.sheets / f"{folder.name}-{weather.replace(':', '')}-{pair}.png", sheet)
    return found


def uneven_skies(fuse: Fuse, scenes: int = 6) -> float:
    """Mean over the scenes of the deviation of fused less visible in the sky, in levels of 255."""
    found = []
    for seed in range(scenes):
        scene = street_scene(480, 640, seed=seed, time="day")
        vi = luma(scene.vi).astype(np.float32)
        change = cv2.GaussianBlur(fuse(scene.ir.astype(np.float32), vi) - vi, (0, 0), 4)
        sky = cv2.erode((scene.labels == SCENE_CLASSES.index("sky")).astype(np.uint8), np.ones((9, 9))) > 0
        found.append(255 * float(change[sky].std()))
    return float(np.mean(found))


def natural(fused: Gray, ir: Gray, vi: Gray) -> Row:
    """Tones by daylight, local contrast, overshoot; levels 0..255."""
    row = {"overshoot": naturalness.overshoot(fused, ir, vi)}
    for name, value in (
        ("r", lambda: naturalness.tone_correlation(fused, vi)),
        ("d", lambda: naturalness.tone_distance(fused, vi)),
        ("contrast", lambda: naturalness.local_contrast(fused, ir, vi)),
    ):
        try:
            row[name] = value()
        except Undefined:
            continue
    return row


COLUMNS = ("lost", "seen", "kept", "lost h", "seen h", "r", "d", "contrast", "overshoot")


def _cell(name: str, row: Row) -> str:
    if name not in row:
        return "-"
    return f"{row[name]:.1f}" if name == "d" else f"{row[name]:.3f}".replace("0.", ".")


def seeing_table(title: str, rows: dict[str, Row]) -> str:
    """One table of Markdown."""
    first = next(iter(rows.values()))
    title = (
        f"{title} ({first['targets']:.0f} targets, {first['hidden']:.0f} hidden, {first['day']:.0f} by day)"
    )
    cells = [[method, *(_cell(name, row) for name in COLUMNS)] for method, row in rows.items()]
    return markdown_table([title, *COLUMNS], cells)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["roadscene/val", "tno_val", "msrs640", "m3fd"])
    parser.add_argument("--methods", default="swift,guided-filter,visual-saliency,average")
    parser.add_argument("--weather", nargs="+", default=["none"])
    parser.add_argument("--ranks", action="store_true")
    parser.add_argument("--quoted", type=Path)
    parser.add_argument("--quoted-method", default="plain net")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--skies", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    methods, kept = gray_methods(args.methods), {}
    if args.skies:
        kept["skies"] = {name: uneven_skies(fuse) for name, fuse in methods.items()}
        rows = [(name, f"{value:.1f}") for name, value in kept["skies"].items()]
        print(markdown_table(("", "unevenness of skies"), rows), flush=True)
    for weather in args.weather:
        for name in args.sets:
            found = measure(args.data / name, methods, weather, args)
            rows = {method: each.row() for method, each in found.items()}
            print(seeing_table(f"{name}, {weather}", rows), end="\n\n", flush=True)
            kept[f"{name} {weather}"] = rows
            if args.ranks and weather == "none":
                table = {method: each.metrics() for method, each in found.items()}
                kept[f"{name} eight"] = table
                if args.quoted:
                    table = table | quoted_rows(args.quoted, args.data / name, args.quoted_method)
                print(markdown(name, table), end="\n\n", flush=True)
    if args.json:
        args.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except IvfuseError as error:
        raise SystemExit(str(error)) from None
