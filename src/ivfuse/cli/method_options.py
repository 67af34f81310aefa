"""The options that choose a method and how it runs, which several verbs share, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.errors import UsageError
from ivfuse.runtime.limits import check_threads

if TYPE_CHECKING:
    from ivfuse.fusion.method import Method

MethodName = Annotated[
    str | None,
    typer.Option(
        help="A method of `ivfuse methods`, which marks the default; an .onnx file; or hf://owner/name."
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Weights of a training: model.safetensors, run by PyTorch, or an .onnx file."
    ),
]
MethodNames = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="Names or .onnx files with commas between, all, or none (with --fused). NAME@natural and the "
        "like fuse with that emphasis (`ivfuse fuse --emphasis`).",
    ),
]
Gray = Annotated[bool, typer.Option("--gray", help="Write the fused luma instead of color.")]
Strength = Annotated[
    float, typer.Option(min=0, max=1, help="0 shows the visible, 1 the full fusion.", show_default=True)
]
Emphasis = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="balanced (default of swift), natural, detail, targets, or none (default of the others).",
    ),
]
IrGamma = Annotated[
    float,
    typer.Option(
        min=0.1,
        max=10,
        help="Gamma of the thermal image before fusion: below 1 brightens it.",
        show_default=True,
    ),
]
FullSize = Annotated[
    bool,
    typer.Option(
        "--full-size",
        help="Run the method at the size of the visible image, not at half the thermal's resolution.",
    ),
]
RuntimeName = Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")]
DeviceName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto (an NVIDIA GPU if usable, else cpu), cpu, cuda, tensorrt, openvino-gpu, coreml, directml.",
    ),
]
PrecisionName = Annotated[str, typer.Option(help="auto, fp32, bf16 or int8 (swift).")]
Threads = Annotated[int | None, typer.Option(help="CPU threads, 1 to 1024; else all.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]


def check(method: str | None, weights: Path | None, runtime: str, precision: str) -> None:
    """Raise UsageError if weights are given beside what they take the place of."""
    if weights and _is_graph(weights) and not method:
        return
    if weights and (method or runtime != "auto" or precision != "auto"):
        raise UsageError("--weights takes the place of --method, --runtime and --precision")


def choices(
    method: str | None,
    weights: Path | None,
    runtime: str,
    precision: str,
    threads: int | None,
    device: str = "auto",
    *,
    quick: bool = False,
) -> dict[str, Any]:
    """What the Fuser is told of the method; limits the threads of this process as well.

    ``quick`` resolves the precision ``auto`` for speed, see :func:`ivfuse.fusion.registry.quick_precision`.
    """
    check_threads(threads)
    _limit_threads(threads)
    if weights and not _is_graph(weights):
        return {"method": _torch_method(weights, threads, device)}
    if quick and precision == "auto" and not weights:
        from ivfuse.fusion.registry import quick_precision

        precision = quick_precision(method, device)  # type: ignore[arg-type]  # it checks the name
    run = {"runtime": runtime, "precision": precision, "threads": threads, "device": device}
    return {"method": weights or method, **run}


def for_cluster(
    method: str | None, weights: Path | None, runtime: str, precision: str, device: str = "auto"
) -> dict[str, Any]:
    """What the workers of a cluster are told of the method.

    Raises:
        UsageError: if the weights are those of a training, which need PyTorch.
    """
    if weights and not _is_graph(weights):
        raise UsageError(f"--weights {weights}: a cluster runs .onnx files only; `ivfuse export` makes them")
    from ivfuse.fusion.hub import find_model, is_reference

    name = str(weights.absolute()) if weights else method
    if is_reference(name):  # pinned, so that all workers run the same commit
        name = str(find_model(str(name)).reference)
    return {"method": name, "runtime": runtime, "precision": precision, "device": device}


def _is_graph(weights: Path) -> bool:
    return weights.suffix.lower() == ".onnx"


def _torch_method(weights: Path, threads: int | None, device: str) -> Method:
    """A network of a training, without the detour of an export."""
    from ivfuse.cli.extras import training

    with training():
        import torch

        from ivfuse.training.torch_method import load_torch_method
    if threads is not None:
        torch.set_num_threads(threads)
    known = ("auto", "cpu", "cuda") if torch.cuda.is_available() else ("auto", "cpu")
    if device not in known:
        expected = f"{' or '.join(known)} here for weights that PyTorch runs"
        raise UsageError(
            field="device", found=device, expected=expected, hint="`ivfuse export` makes a graph"
        )
    return load_torch_method(weights, None if device == "auto" else device)


def _limit_threads(threads: int | None) -> None:
    """Classical methods and the reading of files take their threads from OpenCV."""
    if threads is not None:
        import cv2

        cv2.setNumThreads(threads)
