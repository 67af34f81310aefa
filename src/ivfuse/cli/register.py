"""``ivfuse register``: estimates the transform from thermal to visible images of a rig, into a file."""

from __future__ import annotations

import json as json_module
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.cli import reading, sources
from ivfuse.cli.flags import flag_of
from ivfuse.cli.terminal import echo
from ivfuse.errors import RegistrationError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from ivfuse.image.pairing import FilePair, Pairing
    from ivfuse.registration.geometry import Model
    from ivfuse.registration.overlay import Style
    from ivfuse.registration.register import RigResult
    from ivfuse.registration.transform import Registration

_NAMES_SHOWN = 3
_BAG_PAIRS = 9  # that are taken from two topics


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
            help="Register by control points instead, CSV or JSON: ir_x,ir_y,vi_x,vi_y.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A picture for checking by eye; written even if registration is rejected."
        ),
    ] = None,
    style: Annotated[
        str,
        typer.Option(help="Style of the overlay: edges (of the thermal, over the visible), checkerboard."),
    ] = "edges",
    recursive: sources.Recursive = False,
    allow_damaged: reading.AllowDamaged = False,
    max_pixels: reading.MaxPixels = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result of each pair as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Register thermal images to visible ones, from one pair or from several of the same rig.

    Several pairs are more reliable: those that are accepted must agree, and are then matched together. An
    existing file is replaced.
    Exit code: 0 done, 1 rejected, because no transform is reliable, 2 wrong use.

    \b
    Examples:
      ivfuse register thermal.png visible.jpg -o rig.json --overlay overlay.jpg
      ivfuse register ir/ vi/ -o rig.json --model affine
      ivfuse register thermal.png visible.jpg -o rig.json --points points.csv
      ivfuse fuse ir/ vi/ -o fused/ --rig rig.json
      ivfuse register drive.mcap:/thermal/image_raw drive.mcap:/rgb/image_raw -o rig.json
    """
    _check(out, overlay, style)
    reading.limit_pixels(max_pixels)
    ir, vi, calibrated, _ = sources.without_bags(ir, vi, most=_BAG_PAIRS, quiet=quiet)
    pairing = _pairing(ir, vi, recursive)
    pairs = pairing.pairs
    if not (json or quiet):
        sources.say_left_over(pairing)

    from ivfuse.image.decode import allowing_damage

    with allowing_damage(allow_damaged):
        result = None if points else _register_images(pairs, model, calibrated, progress=not (json or quiet))
        rig = _register_points(points, pairs[0], model) if points else result.registration if result else None
        if overlay is not None and rig is not None:
            _draw(overlay, style, _pair_to_draw(pairs, result), rig)
    if json:
        typer.echo(json_module.dumps(_as_json(out, overlay, rig, result), indent=2))
    if rig is None or (result is not None and result.reason):
        name = pairs[0].ir if len(pairs) == 1 else ir
        raise _rejection(name, result.reason if result else "", overlay if rig is not None else None)
    rig.save(out)
    if not (json or quiet):
        _print_result(out, overlay, rig, result)


def _check(out: Path, overlay: Path | None, style: str) -> None:
    from ivfuse.image.formats import check_output
    from ivfuse.registration.overlay import STYLES

    if out.suffix.lower() != ".json":
        raise UsageError(field="out", found=out, expected="a name that ends in .json")
    if overlay is not None:
        check_output(overlay)
    if style not in STYLES:
        raise UnknownNameError("style", style, STYLES, field="style")


def _pairing(ir: Path, vi: Path | None, recursive: bool) -> Pairing:
    """The pairs of files, one or many."""
    if sources.is_one_pair(ir, vi) and vi is None:
        raise UsageError(f"{ir} is a file: give the visible file too, or one folder that holds both")
    return sources.pairs_of(ir, vi, "rig.json", recursive=recursive)


def _register_points(points: Path, pair: FilePair, model: str | None) -> Registration:
    from ivfuse.fusion.register import thermal_gray, visible_gray
    from ivfuse.registration.control_points import read_points

    thermal, visible = thermal_gray(pair.ir).shape, visible_gray(pair.vi).shape
    return read_points(points).register((thermal[1], thermal[0]), (visible[1], visible[0]), _model(model))


def _register_images(
    pairs: tuple[FilePair, ...], model: str | None, start: Registration | None, *, progress: bool
) -> RigResult:
    from ivfuse.cli.progress import bar
    from ivfuse.fusion.register import register_files

    show = progress and len(pairs) > 1 and sys.stderr.isatty()
    with bar(len(pairs)) if show else nullcontext(lambda name: None) as advance:
        return register_files(pairs, _model(model) or "homography", advance, start, flag_of)


def _model(name: str | None) -> Model | None:
    from ivfuse.registration.geometry import MODELS

    for model in MODELS:
        if name is None or name.strip().lower() == model:
            return model if name else None
    raise UnknownNameError("model", str(name), MODELS, field="model")


def _rejection(name: Path, reason: str, overlay: Path | None) -> RegistrationError:
    from ivfuse.registration.register import HINT

    hint = f"{HINT}; {overlay} shows the best guess" if overlay is not None else HINT
    return RegistrationError(f"{name}: registration rejected: {reason}", hint=hint)


def _pair_to_draw(pairs: tuple[FilePair, ...], result: RigResult | None) -> FilePair:
    """The first pair that was used; if none was, the one with the highest inlier ratio."""
    if result is None:
        return pairs[0]
    ranked = sorted(
        zip(pairs, result.pairs, strict=True),
        key=lambda both: (both[1].reason != "", -both[1].quality.inlier_ratio),
    )
    return ranked[0][0]


def _draw(path: Path, style: str, pair: FilePair, rig: Registration) -> None:
    from typing import cast

    from ivfuse.fusion.register import thermal_gray, visible_gray
    from ivfuse.image.write import write_image
    from ivfuse.registration.overlay import overlay

    checked = cast("Style", style)
    write_image(path, overlay(thermal_gray(pair.ir), visible_gray(pair.vi), rig, checked))


def _as_json(
    out: Path, overlay: Path | None, rig: Registration | None, result: RigResult | None
) -> dict[str, Any]:
    rejected = rig is None or bool(result and result.reason)
    return {
        "rig": None if rejected else str(out),
        "overlay": None if overlay is None or rig is None else str(overlay),
        "reason": result.reason if result else "",
        "model": rig.model if rig else None,
        "score": round(rig.score, 4) if rig else 0.0,
        "peak_zscore": round(result.quality.peak_zscore, 4) if result else None,
        "residual": rig.residual if rig and not result else None,
        "matrix": [list(row) for row in rig.matrix] if rig else None,
        "pairs": [
            {
                "name": one.name,
                "used": not one.reason,
                "reason": one.reason,
                "score": round(one.quality.inlier_ratio, 4),
                "peak_zscore": round(one.quality.peak_zscore, 4),
            }
            for one in (result.pairs if result else ())
        ],
    }


def _print_unused(result: RigResult | None) -> None:
    """Print each reason once, with the names of the first pairs that it holds for."""
    names: dict[str, list[str]] = {}
    for one in result.pairs if result else ():
        if one.reason:
            names.setdefault(one.reason, []).append(one.name)
    for reason, some in names.items():
        more = f" and {len(some) - _NAMES_SHOWN} more" if len(some) > _NAMES_SHOWN else ""
        echo(f"not used: {', '.join(some[:_NAMES_SHOWN])}{more}: {reason}", err=True)


def _print_result(out: Path, overlay: Path | None, rig: Registration, result: RigResult | None) -> None:
    _print_unused(result)
    if result is None:
        what = f"from points, residual {rig.residual:.2f} pixels"
    else:
        total = f"{len(result.pairs)} pairs" if len(result.pairs) > 1 else "1 pair"
        what = f"from {rig.pairs} of {total}, inlier ratio {rig.score:.2f}"
    check = f"; check {overlay}" if overlay else ""
    echo(f"{out}: {rig.model} {what}{check}")
