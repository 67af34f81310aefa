"""``ivfuse convert``: from the files that authors released to weights of the networks here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivfuse.errors import OutputError, UnknownNameError, UsageError

METHODS = ("crossfuse-cam",)  # those with released weights that can be read


def convert(
    method: Annotated[str, typer.Option(help="Method that the files belong to: crossfuse-cam.")],
    auto_ir: Annotated[Path, typer.Option(metavar="FILE", help="Stage 1's infrared auto-encoder.")],
    auto_vi: Annotated[Path, typer.Option(metavar="FILE", help="Stage 1's visible auto-encoder.")],
    fusion: Annotated[Path, typer.Option(metavar="FILE", help="Stage 2's attention and decoder.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The weights, such as paper.safetensors.")],
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads; else one per 32 channels, as released.")
    ] = None,
) -> None:
    """Make weights of the paper variant from the authors' checkpoint files.

    \b
    Example:
      ivfuse convert --method crossfuse-cam --auto-ir ir.pth --auto-vi vi.pth --fusion f.pth -o m.safetensors
    """
    if method not in METHODS:
        raise UnknownNameError("method with released weights", method, METHODS)
    _check_target(out, (auto_ir, auto_vi, fusion))
    from ivfuse.cli.needs import training

    with training():
        from ivfuse.learning.convert import convert_crossfuse_cam, save_converted

    weights = convert_crossfuse_cam(auto_ir, auto_vi, fusion, heads=heads)
    save_converted(out, weights, heads=heads)
    count = sum(value.numel() for value in weights.values())
    typer.echo(f"{out}: {out.stat().st_size:,} bytes, {len(weights)} tensors, {count:,} values")


def _check_target(out: Path, sources: tuple[Path, ...]) -> None:
    """Refuse a target that is a source or another format's name, before anything is read; make its folder."""
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: found the suffix {out.suffix!r}, expected .safetensors")
    if out.resolve() in {source.resolve() for source in sources}:
        raise UsageError(f"{out}: is one of the files to convert, expected another name")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out.parent}: cannot be made: {error.strerror}") from None
