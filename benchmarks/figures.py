"""Draws the figures of the methods' documents from synthetic streets.

    python benchmarks/figures.py docs/images

`hero.jpg` is the first image of the README: a street by night, fused. `panel.jpg` shows sources and trained
methods by day, by night, in haze and over-exposed, `gamma.jpg` maefuse with a brightened thermal,
`channel-distributions.png` another sensor's levels before and after the channel alignment of crossfuse-topk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from common import make_parser
from ivfuse import Fuser
from ivfuse.benchmark.panel import Box, Panel, PanelRow, color_levels, target_boxes, write_panel
from ivfuse.synthetic.degrade import degrade
from ivfuse.synthetic.street import street_scene
from ivfuse.training.alignment import Options, align, measure_target
from ivfuse.training.alignment_report import histogram_chart
from ivfuse.training.color_pairs import ColorPair

Bytes = NDArray[np.uint8]
METHODS = ("average", "guided-filter", "crossfuse-cam", "crossfuse-topk", "maefuse", "swift")
SEED = 3
SIZE = (480, 640)


def pairs() -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Name, thermal and visible of each row."""
    day, night = (street_scene(*SIZE, seed=SEED, time=time) for time in ("day", "night"))
    yield "day", day.ir, day.vi
    yield "night", night.ir, night.vi
    yield "haze", *degrade(day.ir, day.vi, "haze", 4)
    yield "over-exposed", *degrade(day.ir, day.vi, "over-exposure", 4)


def methods_panel() -> Panel:
    fusers = [Fuser(name) for name in METHODS]
    rows = []
    boxes: tuple[Box, ...] = ()
    for name, ir, vi in pairs():
        if name in ("day", "night"):  # the other rows show the targets of the row before
            boxes = target_boxes(color_levels(ir), color_levels(vi))
        images = tuple(color_levels(image) for image in (ir, vi, *(fuser.fuse(ir, vi) for fuser in fusers)))
        rows.append(PanelRow(name, images, boxes))
    return Panel(("infrared", "visible", *METHODS), tuple(rows))


def hero() -> Bytes:
    """The fused image, large, beside its sources, (720, 1448, 3) RGB."""
    scene = street_scene(720, 960, seed=SEED, time="night")
    fused = color_levels(Fuser("swift").fuse(scene.ir, scene.vi))
    sources = [
        cv2.resize(color_levels(x), (480, 356), interpolation=cv2.INTER_AREA) for x in (scene.ir, scene.vi)
    ]
    dark = np.full((720, 480, 3), 16, np.uint8)
    left = np.vstack([sources[0], dark[:8], sources[1]])
    picture = Image.fromarray(np.hstack([left, dark[:, :8], fused]))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(22)
    for text, x, y in (("thermal", 0, 0), ("visible", 0, 364), ("fused", 488, 0)):
        draw.rectangle((x, y, x + 20 + draw.textlength(text, font), y + 36), (16, 16, 16))
        draw.text((x + 10, y + 18), text, (245, 245, 245), font, anchor="lm")
    return np.asarray(picture)


def gamma_panel() -> Panel:
    """Figure 10 of the paper of maefuse."""
    gammas = (1.0, 0.7, 0.5)
    rows = []
    for name, ir, vi in list(pairs())[:2]:
        fused = [Fuser("maefuse", ir_gamma=gamma).fuse(ir, vi) for gamma in gammas]
        rows.append(PanelRow(name, tuple(color_levels(image) for image in (ir, vi, *fused))))
    return Panel(("infrared", "visible", *(f"gamma {gamma:g}" for gamma in gammas)), tuple(rows))


def other_sensor(vi: Bytes) -> Bytes:
    """A brighter rendering with another white balance."""
    exponents = np.array([0.55, 0.7, 0.9])
    return np.rint(255 * (vi / 255) ** exponents).astype(np.uint8)


def distributions() -> Bytes:
    def scenes(seeds: range, sensor: Callable[[Bytes], Bytes]) -> Iterator[ColorPair]:
        for seed in seeds:
            scene = street_scene(240, 320, seed=seed, time="day")
            yield ColorPair(str(seed), color_levels(scene.ir)[..., 0], sensor(color_levels(scene.vi)))

    options = Options(k=None, patch=64, stride=64)
    target = measure_target(scenes(range(8), lambda vi: vi), options)
    return histogram_chart(align(scenes(range(8, 16), other_sensor), target, options))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("out", type=Path, metavar="FOLDER")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, panel in (("panel", methods_panel()), ("gamma", gamma_panel())):
            drawn = Path(folder) / f"{name}.png"
            write_panel(panel, drawn, width=11 if name == "panel" else 8, dpi=150, names=True)
            cv2.imwrite(str(out / f"{name}.jpg"), cv2.imread(str(drawn)), [cv2.IMWRITE_JPEG_QUALITY, 88])
    cv2.imwrite(str(out / "hero.jpg"), hero()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    cv2.imwrite(str(out / "channel-distributions.png"), distributions()[..., ::-1])


if __name__ == "__main__":
    main()
