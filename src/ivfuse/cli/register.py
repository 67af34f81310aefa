"""``ivfuse register``: where a rig's thermal images lie on its visible ones, into a file."""

from __future__ import annotations

import json as json_module
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.errors import RegistrationError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from ivfuse.image.pairing import FilePair
    from ivfuse.registration.geometry import Model
    from ivfuse.registration.register import RigResult
    from ivfuse.registration.transform import Registration


def register(
    ir: Annotated[
        Path, typer.Argument(metavar="IR", help="Thermal file or folder; or one folder that holds both.")
    ],
    vi: Annotated[Path | None, typer.Argument(metavar="VI", help="Visible file or folder.")] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RIG", help="The .json file to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="translation, similarity, affine or homography (default; with --points, by their number)."
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Points that a person marked, CSV or JSON: ir_x,ir_y,vi_x,vi_y; nothing is estimated then.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An image to look at; written even if the images are refused."),
    ] = None,
    style: Annotated[
        str, typer.Option(help="Of the overlay: edges (thermal ones over the visible) or checkerboard.")
    ] = "edges",
    json: Annotated[bool, typer.Option("--json", help="Print what became of each pair as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find where thermal images lie on visible ones, from one pair or from several of the same rig.

    Several pairs are safer: those that are sure must agree, and all of them decide together. An existing rig
    is replaced.
    Exit code: 0 done, 1 refused, because no transform is sure, 2 wrong use.

    \b
    Examples:
      ivfuse register thermal.png visible.jpg -o rig.json --overlay look.jpg
      ivfuse register ir/ vi/ -o rig.json --model affine
      ivfuse register thermal.png visible.jpg -o rig.json --points points.csv
      ivfuse fuse ir/ vi/ -o fused/ --rig rig.json
    """
    _check(out, overlay, style)
    pairs = _pairs(ir, vi)
    result = None if points else _by_images(pairs, model, shown=not (json or quiet))
    rig = _by_points(points, pairs[0], model) if points else result.registration if result else None
    if overlay is not None and rig is not None:
        _draw(overlay, style, _shown(pairs, result), rig)
    if json:
        typer.echo(json_module.dumps(_as_json(out, overlay, rig, result), indent=2))
    if rig is None or (result is not None and result.reason):
        from ivfuse.registration.register import HINT

        reason = result.reason if result else ""
        seen = f"; {overlay} shows the best guess" if overlay is not None and rig is not None else ""
        raise RegistrationError(f"{pairs[0].ir if len(pairs) == 1 else ir}: {reason}; {HINT}{seen}")
    rig.save(out)
    if not (json or quiet):
        _say(out, overlay, rig, result)


def _check(out: Path, overlay: Path | None, style: str) -> None:
    from ivfuse.image.formats import check_output
    from ivfuse.registration.overlay import STYLES

    if out.suffix.lower() != ".json":
        raise UsageError(f"{out}: a rig is written as JSON, expected a name that ends in .json")
    if overlay is not None:
        check_output(overlay)
    if style not in STYLES:
        raise UnknownNameError("style", style, STYLES)


def _pairs(ir: Path, vi: Path | None) -> tuple[FilePair, ...]:
    """The pairs that were asked for, one or many."""
    from ivfuse.cli.fuse import pairs_of

    if vi is None and not ir.is_dir():
        raise UsageError(f"{ir} is a file: give the visible file too, or one folder that holds both")
    return pairs_of(ir, vi, "rig.json").pairs


def _by_points(points: Path, pair: FilePair, model: str | None) -> Registration:
    from ivfuse.registration.control_points import read_points
    from ivfuse.registration.register import thermal_gray, visible_gray

    thermal, visible = thermal_gray(pair.ir).shape, visible_gray(pair.vi).shape
    return read_points(points).register((thermal[1], thermal[0]), (visible[1], visible[0]), _model(model))


def _by_images(pairs: tuple[FilePair, ...], model: str | None, *, shown: bool) -> RigResult:
    from ivfuse.cli.progress import bar
    from ivfuse.registration.register import register_pairs

    busy = shown and len(pairs) > 1 and sys.stderr.isatty()
    with bar(len(pairs)) if busy else nullcontext(lambda name: None) as advance:
        return register_pairs(pairs, _model(model) or "homography", advance)


def _model(name: str | None) -> Model | None:
    from ivfuse.registration.geometry import MODELS

    for model in MODELS:
        if name is None or name.strip().lower() == model:
            return model if name else None
    raise UnknownNameError("model", str(name), MODELS)


def _shown(pairs: tuple[FilePair, ...], result: RigResult | None) -> FilePair:
    """The pair to draw: the first one that counts, else the one that was nearest to it."""
    if result is None:
        return pairs[0]
    ranked = sorted(
        zip(pairs, result.pairs, strict=True),
        key=lambda both: (both[1].reason != "", -both[1].trust.agreement),
    )
    return ranked[0][0]


def _draw(path: Path, style: str, pair: FilePair, rig: Registration) -> None:
    from ivfuse.image.write import write_image
    from ivfuse.registration.overlay import overlay
    from ivfuse.registration.register import thermal_gray, visible_gray

    write_image(path, overlay(thermal_gray(pair.ir), visible_gray(pair.vi), rig, style))  # type: ignore[arg-type]


def _as_json(
    out: Path, overlay: Path | None, rig: Registration | None, result: RigResult | None
) -> dict[str, Any]:
    refused = rig is None or bool(result and result.reason)
    return {
        "rig": None if refused else str(out),
        "overlay": None if overlay is None or rig is None else str(overlay),
        "reason": result.reason if result else "",
        "model": rig.model if rig else None,
        "score": round(rig.score, 4) if rig else 0.0,
        "distinctness": round(result.trust.distinctness, 4) if result else None,
        "residual": rig.residual if rig and not result else None,
        "matrix": [list(row) for row in rig.matrix] if rig else None,
        "pairs": [
            {
                "name": one.name,
                "counts": not one.reason,
                "reason": one.reason,
                "score": round(one.trust.agreement, 4),
                "distinctness": round(one.trust.distinctness, 4),
            }
            for one in (result.pairs if result else ())
        ],
    }


def _say(out: Path, overlay: Path | None, rig: Registration, result: RigResult | None) -> None:
    for one in result.pairs if result else ():
        if one.reason:
            typer.echo(f"does not count: {one.name}: {one.reason}", err=True)
    if result is None:
        what = f"by points, off by {rig.residual:.2f} pixels"
    else:
        tried = f"{len(result.pairs)} pairs" if len(result.pairs) > 1 else "1 pair"
        what = f"from {rig.pairs} of {tried}, score {rig.score:.2f}"
    look = f"; look at {overlay}" if overlay else ""
    typer.echo(f"{out}: {rig.model} {what}{look}")
