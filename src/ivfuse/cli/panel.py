"""``ivfuse panel``: the figure of scenes and methods that a paper shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivfuse.cli import method_options
from ivfuse.errors import UsageError


def panel(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pairs.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .png, .pdf or .svg file.")],
    methods: method_options.MethodNames = "swift,average",
    fused: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Fused images of another program; may be given several times."),
    ] = None,
    scene: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A pair to show; may be given several times. Else the first ones."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=50, help="Scenes without --scene.")] = 4,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SCENE:]X,Y,W,H",
            help="A detail to magnify, in pixels or fractions of the visible; up to four of a scene. "
            "Else two thermal targets.",
        ),
    ] = None,
    no_boxes: Annotated[bool, typer.Option("--no-boxes", help="Magnify nothing.")] = False,
    names: Annotated[bool, typer.Option("--names", help="Write the scenes' names beside the rows.")] = False,
    gray: method_options.Gray = False,
    width: Annotated[float, typer.Option(min=1, max=40, help="Width of the figure, in inches.")] = 7.16,
    dpi: Annotated[int, typer.Option(min=30, max=1200, help="Resolution of a PNG.")] = 300,
    quiet: method_options.Quiet = False,
) -> None:
    """Draw the figure of a fusion paper: rows of scenes, columns of methods, details magnified.

    \b
    Examples:
      ivfuse panel pairs/ --methods swift,guided-filter,average -o figure.pdf
      ivfuse panel pairs/ --methods swift@natural,swift,swift@targets -o emphases.pdf
      ivfuse panel TNO/ --scene soldier --box 0.4,0.3,0.1,0.2 --fused CDDFuse=results/ -o figure.pdf
    """
    if box and no_boxes:
        raise UsageError("--box and --no-boxes: give one of the two")
    from ivfuse.benchmark.panel import check_suffix, make_panel, write_panel

    check_suffix(out)
    drawn = make_panel(
        data,
        methods,
        fused or (),
        scenes=scene or (),
        most=most,
        boxes=None if no_boxes else (box or ()),
        gray=gray,
    )
    write_panel(drawn, out, width=width, dpi=dpi, names=names)
    if not quiet:
        typer.echo(f"{out}: {len(drawn.rows)} scenes, {len(drawn.columns)} columns")
