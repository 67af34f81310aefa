"""``ivfuse align-channels``: choose another set's patches that look like yours, and make them more so."""

from __future__ import annotations

import json as json_module
import sys
import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ivfuse.cli.terminal import echo


def align_channels(
    target: Annotated[
        Path, typer.Option(metavar="DIR", help="Your training pairs (not those you judge on): ir/ and vi/.")
    ],
    external: Annotated[Path, typer.Option(metavar="DIR", help="The other set: ir/ and vi/.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder for the patches.")],
    k: Annotated[
        int, typer.Option("-k", "--keep", min=0, help="Patches to keep, nearest first; 0: all.")
    ] = 1000,
    patch: Annotated[int, typer.Option(min=1, help="Side of the patches, in pixels.")] = 64,
    stride: Annotated[int, typer.Option(min=1, help="Step of their grid, in pixels.")] = 200,
    distance: Annotated[str, typer.Option(help="mean (the paper), wasserstein or chi2.")] = "mean",
    gamma: Annotated[
        str, typer.Option(help="One per channel for the whole set, per cluster of the target, or none.")
    ] = "set",
    clusters: Annotated[int, typer.Option(min=1, help="Of the target's patches, for --gamma cluster.")] = 4,
    bounds: Annotated[tuple[float, float], typer.Option(help="Smallest and largest gamma.")] = (0.2, 5.0),
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut levels off instead of rounding, as the paper's release.")
    ] = False,
    exclude: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Leave out pairs whose names are in this set.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the manifest, without its list of patches.")
    ] = False,
) -> None:
    """Cut another set into patches, keep those whose channels are nearest yours, correct their gamma.

    Writes PNG pairs, manifest.json, and report.html with histograms before and after.

    \b
    Examples:
      ivfuse align-channels --target roadscene/train --external m3fd -k 1000 -o aligned
      ivfuse align-channels --target mine --external m3fd --patch 128 --stride 32 --gamma cluster -o aligned
    """
    from ivfuse.training.alignment import Options, align, measure_target
    from ivfuse.training.alignment_report import check_empty, write_aligned
    from ivfuse.training.color_pairs import list_pairs, read_color_pairs, stems_of

    options = Options(k or None, patch, stride, distance, cast(Any, gamma), clusters, bounds, truncate)
    check_empty(out)
    started = time.perf_counter()
    left_out = stems_of(exclude or [])
    pairs = [list_pairs(folder, left_out) for folder in (target, external)]
    for folder in (target, external):
        _tell_left_out(folder)
    wanted = measure_target(_tracked(read_color_pairs(pairs[0]), len(pairs[0]), "target"), options)
    found = align(_tracked(read_color_pairs(pairs[1]), len(pairs[1]), "external"), wanted, options)
    about = {"target": str(target), "external": str(external)}
    manifest = write_aligned(out, found, about)
    if json:
        typer.echo(json_module.dumps({key: v for key, v in manifest.items() if key != "patches"}, indent=2))
        return
    seconds = time.perf_counter() - started
    echo(f"{out}: {manifest['kept']:,} of {manifest['candidates']:,} patches in {seconds:.1f} s")
    for index, group in enumerate(manifest["groups"]):
        gammas = "  ".join(f"{channel} {value:.4f}" for channel, value in group["gamma"].items())
        name = f"gamma {index + 1}" if len(manifest["groups"]) > 1 else "gamma"
        echo(f"{name}:  {gammas}  ({group['kept_patches']:,} patches)")
    echo(f"report: {out / 'report.html'}")


def _tell_left_out(folder: Path) -> None:
    """Say which images have no partner, or more than one."""
    from ivfuse.image.pairing import pair_folder

    found = pair_folder(folder)
    for what, count in (("without a partner", len(found.orphans)), ("ambiguous", len(found.ambiguous))):
        if count:
            echo(f"{folder}: {count} left out, {what}", err=True)


def _tracked(items: Any, total: int, what: str) -> Any:
    """The same items with a progress bar, where someone is looking."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, what, total, transient=True, console=console, disable=not sys.stderr.isatty())
