"""``ivfuse demo``: render a street by night and by day, fuse both, and lay the images side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ivfuse.cli.terminal import echo
from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.image.arrays import Rgb

Folder = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder to write into.")]
TIMES: tuple[Literal["night", "day"], ...] = ("night", "day")


def demo(
    out: Folder = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, another street.", min=0)] = 0,
    size: Annotated[str, typer.Option(help="Width and height of the scenes, in pixels.")] = "640x480",
    method: Annotated[
        str | None, typer.Option(help="Name of a method; `ivfuse methods` lists them and marks the default.")
    ] = None,
) -> None:
    """Render a synthetic scene by night and by day and fuse it.

    Writes the thermal, the visible and the fused image of each, and a labeled side-by-side. Files of an
    earlier demo are replaced.

    \b
    Examples:
      ivfuse demo -o demo
      ivfuse demo -o demo --method laplacian --seed 7
    """
    width, height = _parse_size(size)

    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.image.read import read_visible
    from ivfuse.image.write import write_image
    from ivfuse.runtime.files import make_folder
    from ivfuse.synthetic.street import street_scene

    fuser = Fuser(method)
    name = fuser.method.info.name
    make_folder(out)
    for moment in TIMES:
        scene = street_scene(height, width, seed, moment)
        write_image(out / f"{moment}-ir.png", scene.ir)
        write_image(out / f"{moment}-vi.png", scene.vi)
        result = fuser.fuse_files(
            out / f"{moment}-ir.png", out / f"{moment}-vi.png", out / f"{moment}-fused.png"
        )
        fused = read_visible(out / f"{moment}-fused.png").pixels
        panels = [("infrared", scene.ir), ("visible", scene.vi), (f"fused ({name})", fused)]
        write_image(out / f"{moment}-side-by-side.png", side_by_side(panels))
        for part in ("ir", "vi", "fused", "side-by-side"):
            echo(out / f"{moment}-{part}.png")
        echo(f"  {width}x{height}, fused by {name} in {result.seconds:.2f} s")


def side_by_side(panels: list[tuple[str, Rgb]]) -> Rgb:
    """Images of one size in a row, each under its label.

    Args:
        panels: label and image, (H, W) or (H, W, 3) float32 in [0, 1].

    Returns:
        One image, (H + label, sum of W and gaps, 3) float32 in [0, 1].
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    height, width = panels[0][1].shape[:2]
    font_size = max(11, min(height, width) // 22)
    bar, gap = font_size * 2, max(2, width // 80)
    font = ImageFont.load_default(font_size)
    canvas = Image.new("RGB", (len(panels) * (width + gap) - gap, height + bar), (24, 24, 24))
    draw = ImageDraw.Draw(canvas)
    for index, (label, _) in enumerate(panels):
        draw.text(
            (index * (width + gap) + font_size // 2, bar // 2), label, (235, 235, 235), font, anchor="lm"
        )
    row = np.asarray(canvas, dtype=np.float32) / 255.0
    for index, (_, image) in enumerate(panels):
        left = index * (width + gap)
        row[bar:, left : left + width] = image[..., np.newaxis] if image.ndim == 2 else image
    return row


def _parse_size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text.lower())
    if not found or not (64 <= int(found[1]) <= 4096 and 64 <= int(found[2]) <= 4096):
        raise UsageError(f"--size: found {text!r}, expected WIDTHxHEIGHT with sides of 64 to 4096 pixels")
    return int(found[1]), int(found[2])
