"""``ivfuse export``: from trained weights to the ONNX graph that is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    weights: Annotated[
        Path, typer.Argument(help="Weights as `ivfuse train` writes them (model.safetensors).")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The graph, such as my-net.onnx.")],
) -> None:
    """Write an ONNX graph for any batch and image size, checked against torch.

    \b
    Example:
      ivfuse export runs/cam/model.safetensors -o crossfuse-cam.onnx
    """
    from ivfuse.cli.extras import training

    with training():
        from ivfuse.training.export import export_onnx

    done = export_onnx(weights, out)
    typer.echo(f"{done.path}: {done.size:,} bytes, {done.parameters:,} parameters")
    typer.echo(f"largest difference to torch: {done.difference:.1e}")
    typer.echo(f"sha256: {done.sha256}")
