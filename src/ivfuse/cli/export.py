"""``ivfuse export``: from trained weights to the ONNX graph that is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ivfuse.cli.terminal import echo


def export(
    weights: Annotated[
        Path, typer.Argument(help="Weights as `ivfuse train` writes them (model.safetensors).")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The graph, such as my-net.onnx.")],
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the graph to this manifest.toml, or update its entry there."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the method in the manifest; else the graph's stem.")
    ] = None,
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS",
            help="Write NAME.int8.onnx besides, in 8-bit integers, calibrated by the pairs of this folder.",
        ),
    ] = None,
) -> None:
    """Write an ONNX graph for any batch and image size, checked against torch.

    `ivfuse fuse --method my-net.onnx` runs it as it is. With --manifest it becomes a method with a name: put
    the graph beside the manifest and set IVFUSE_WEIGHTS to their folder.

    \b
    Examples:
      ivfuse export runs/cam/model.safetensors -o crossfuse-cam.onnx
      ivfuse export runs/cam/model.safetensors -o own/my-net.onnx --manifest own/manifest.toml
      ivfuse export runs/swift/model.safetensors -o swift.onnx --int8 data/roadscene/train
    """
    from ivfuse.cli.extras import training

    with training():
        from ivfuse.training.export import export_int8, export_onnx

    done = export_onnx(weights, out)
    echo(f"{done.path}: {done.facts['size']:,} bytes, {done.facts['parameters']:,} parameters")
    echo(f"largest difference to torch: {done.difference:.1e}")
    echo(f"sha256: {done.facts['sha256']}")
    if int8 is not None:
        from ivfuse.image.pairing import pair_folder

        rounded = export_int8(done, pair_folder(int8).pairs)
        echo(f"{rounded.path}: {rounded.path.stat().st_size:,} bytes")
        echo(f"difference of 8 bits, on average: {255 * rounded.difference:.2f} levels of 255")
        done.facts.update(rounded.facts)
    if manifest is not None:
        from ivfuse.fusion.manifest import add_method

        entry = add_method(manifest, name or out.stem, done.facts, f"{done.method}, exported by ivfuse")
        echo(f"{manifest}: {entry}")
