"""``ivfuse degrade``: weather and faults of cameras laid over a pair of files or all pairs of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivfuse.cli import reading, sources
from ivfuse.cli.flags import flag_of
from ivfuse.cli.terminal import echo
from ivfuse.errors import IvfuseError, UsageError


def degrade(
    ir: Annotated[
        Path | None,
        typer.Argument(metavar="IR", help="Thermal file or folder; or one folder that holds both."),
    ] = None,
    vi: Annotated[Path | None, typer.Argument(metavar="VI", help="Visible file or folder.")] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder to write ir/ and vi/ into.")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME:STRENGTH",
            help="What is laid over the pair, strength 1 to 5; several with commas between, or given again.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Another seed, another rain; equal seeds, equal files.")
    ] = 0,
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white, 255 0 for black-hot images; else the 1st and 99th "
            "percentile of 16-bit files.",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List what there is and exit.")] = False,
    recursive: sources.Recursive = False,
    allow_damaged: reading.AllowDamaged = False,
    max_pixels: reading.MaxPixels = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Lay rain, snow, haze, noise and other faults over pairs, to test methods or to train them.

    Writes 8-bit PNG files of equal names below ir/ and vi/; earlier ones are replaced. Each pair of a folder
    gets weather of its own.
    Exit code: 0 done, 1 some pairs failed (they are listed), 2 wrong use.

    \b
    Examples:
      ivfuse degrade thermal.png visible.jpg -o hazy --with haze:3
      ivfuse degrade ir/ vi/ -o worse --with rain:4,noise:2 --seed 7
      ivfuse degrade --list
    """
    from ivfuse.synthetic.degrade import DEGRADATIONS, parse_degradations

    if list_:
        width = max(map(len, DEGRADATIONS))
        for each in DEGRADATIONS.values():
            echo(f"{each.name:<{width}}  {each.kind:<7}  {each.summary}")
        return
    if ir is None or out is None or not with_:
        raise UsageError(
            "expected a pair, --out and --with, as in: ivfuse degrade IR VI -o DIR --with haze:3"
        )
    steps = parse_degradations(",".join(with_))
    if ir.is_file() and vi is None:
        raise UsageError(f"{ir} is a file: give the visible file too")
    if vi is not None and ir.is_dir() != vi.is_dir():
        raise UsageError(f"{ir} and {vi}: expected two files or two folders")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: found a file, expected a folder to write into")

    reading.limit_pixels(max_pixels)

    from ivfuse.benchmark.degraded import degrade_pair
    from ivfuse.image.decode import allowing_damage

    failed = 0
    for pair in sources.pairs_of(ir, vi, f"{out}/", recursive=recursive).pairs:
        try:
            with allowing_damage(allow_damaged):
                worse = degrade_pair(pair, out, steps, seed, ir_window)
        except IvfuseError as error:
            failed += 1
            echo(f"failed: {pair.name}: {error.render(flag_of)}", err=True)
            continue
        if not quiet:
            echo(f"{worse.ir} {worse.vi}")
    raise typer.Exit(1 if failed else 0)
