"""``ivfuse convert``: from the files that authors released to weights of the networks here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ivfuse.cli.terminal import echo
from ivfuse.errors import OutputError, UnknownNameError, UsageError

# Method with released weights -> the files it takes, as they are named on the command line.
METHODS = {
    "crossfuse-cam": ("--auto-ir", "--auto-vi", "--fusion"),
    "crossfuse-topk": ("FILE",),
    "maefuse": ("FILE...",),
}
HEADS = ("crossfuse-cam", "maefuse")  # whose files do not tell their number


def convert(
    method: Annotated[
        str, typer.Option(help="Method that the files belong to: crossfuse-cam, crossfuse-topk or maefuse.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The weights, such as paper.safetensors.")],
    file: Annotated[
        list[Path] | None,
        typer.Argument(
            help="crossfuse-topk: the one released file; maefuse: one or, if they are apart, two.",
            show_default=False,
        ),
    ] = None,
    auto_ir: Annotated[
        Path | None, typer.Option(metavar="FILE", help="crossfuse-cam: stage 1's infrared auto-encoder.")
    ] = None,
    auto_vi: Annotated[
        Path | None, typer.Option(metavar="FILE", help="crossfuse-cam: stage 1's visible auto-encoder.")
    ] = None,
    fusion: Annotated[
        Path | None, typer.Option(metavar="FILE", help="crossfuse-cam: stage 2's attention and decoder.")
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads if not one per 32 channels (crossfuse-cam) or 16 (maefuse's encoder).",
        ),
    ] = None,
) -> None:
    """Make weights of the paper variant from the authors' checkpoint files.

    \b
    Examples:
      ivfuse convert --method crossfuse-topk released.pth -o topk.safetensors
      ivfuse convert --method maefuse released.pth -o maefuse.safetensors
      ivfuse convert --method crossfuse-cam --auto-ir ir.pth --auto-vi vi.pth --fusion f.pth -o m.safetensors
    """
    sources = _sources(method, file or [], {"--auto-ir": auto_ir, "--auto-vi": auto_vi, "--fusion": fusion})
    if heads is not None and method not in HEADS:
        raise UsageError(f"--heads: {method} does not take it, its file tells the number")
    _check_target(out, sources)
    from ivfuse.cli.extras import training

    with training():
        from ivfuse.training.convert_cam import convert_crossfuse_cam
        from ivfuse.training.convert_maefuse import convert_maefuse
        from ivfuse.training.convert_topk import convert_crossfuse_topk
        from ivfuse.training.release import save_converted

    if method == "crossfuse-cam":
        weights, options = convert_crossfuse_cam(*sources, heads=heads)
    elif method == "maefuse":
        weights, options = convert_maefuse(sources, heads=heads)
    else:
        weights, options = convert_crossfuse_topk(*sources)
    save_converted(out, method, weights, options)
    count = sum(value.numel() for value in weights.values())
    echo(f"{out}: {out.stat().st_size:,} bytes, {len(weights)} tensors, {count:,} values")


def _sources(method: str, files: list[Path], options: Mapping[str, Path | None]) -> list[Path]:
    """The files that the method takes, all of them and no others, in their order."""
    if method not in METHODS:
        raise UnknownNameError("method with released weights", method, METHODS)
    needed = METHODS[method]
    found = {name: path for name, path in options.items() if path is not None}
    many = needed == ("FILE...",)
    given = [*(["FILE"] * len(files)), *found]
    if given != ["FILE"] * max(1, len(files)) if many else sorted(given) != sorted(needed):
        said = ", ".join(given) or "none"
        raise UsageError(f"{method} takes the files {', '.join(needed)}; found {said}")
    return [*files, *(found[name] for name in needed if name in found)]


def _check_target(out: Path, sources: list[Path]) -> None:
    """Refuse a target that is a source or another format's name, before anything is read; make its folder."""
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: found the suffix {out.suffix!r}, expected .safetensors")
    if out.resolve() in {source.resolve() for source in sources}:
        raise UsageError(f"{out}: is one of the files to convert, expected another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out.parent}: cannot be made: {error.strerror}") from None
