"""``ivfuse train``: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivfuse.cli.terminal import echo


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/crossfuse-cam/cpu.yaml.")],
    data: Annotated[Path, typer.Option("--data", help="Root of the data sets that the recipe names.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the run; an unfinished run in it goes on.")
    ],
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Number of devices.")] = 1,
    encoder_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="maefuse: what its encoder begins with, an MAE checkpoint or weights of another run.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a network from a recipe; stop it at any time and run the same command to go on.

    \b
    Examples:
      ivfuse train recipes/crossfuse-cam/cpu.yaml --data data -o runs/cam
      ivfuse train recipes/crossfuse-cam/paper.yaml --data data -o runs/paper --accelerator cuda --devices 4
      torchrun --nproc-per-node 4 -m ivfuse train recipes/crossfuse-cam/paper.yaml --data data -o runs/paper
      ivfuse train recipes/maefuse/paper.yaml --data data -o runs/mae --encoder-weights mae_vit_large.pth
    """
    from ivfuse.cli.extras import training

    with training():
        from ivfuse.training.launch import is_leader
        from ivfuse.training.recipe import load_recipe
        from ivfuse.training.trainer import train as run

    content = load_recipe(recipe)
    if encoder_weights is not None:
        content = content.model_copy(update={"encoder_weights": str(encoder_weights)})
    weights = run(content, data, out, accelerator=accelerator, devices=devices)
    if is_leader():
        echo(str(weights))
