"""``ivfuse push``: publishes trained weights on the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from ivfuse.cli.terminal import echo
from ivfuse.errors import InputError, UsageError

MAX_CARD = 1_000_000  # bytes


def push(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC", help="Weights (model.safetensors), or a folder that --out has written."
        ),
    ],
    repository: Annotated[
        str | None, typer.Argument(metavar="REPO", help="owner/name on the Hub; created if needed.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Keep the files here, to look at them."),
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="License of the weights, such as apache-2.0.")
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME", help="A data set of the training; repeat it for more."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="NAME", help="A metric that the card reports; repeat it for more."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Text of the model card (Markdown); else a short one is written."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is visible to its owner only.")
    ] = False,
) -> None:
    """Publish weights on the Hugging Face Hub, from where `--method hf://owner/name` runs them.

    Writes config.json, model.safetensors, model.onnx (checked against torch) and README.md with the metadata
    that the Hub reads, and uploads them as one commit. Log in first: `hf auth login`, or set HF_TOKEN.
    A folder that --out has written needs no PyTorch, and its README.md may be edited before.

    \b
    Examples:
      ivfuse push runs/cam/model.safetensors me/night-fusion --license apache-2.0 --dataset MSRS --metric VIF
      ivfuse push runs/cam/model.safetensors -o night-fusion --license mit --card card.md
      ivfuse push night-fusion me/night-fusion --private
    """
    if repository is None and out is None:
        raise UsageError("nothing to do: expected REPO to upload to, or --out FOLDER to write")
    if repository is not None:
        from ivfuse.fusion.hub import check_repository

        check_repository(repository)  # before the work
    if source.is_dir():
        if out or license_ or datasets or metrics or card:
            raise UsageError(
                f"{source}: a folder is uploaded as it is, without --out, --license and the like"
            )
        _upload(source, repository, private)
        return
    if license_ is None:
        raise UsageError(field="license", expected="the license of the weights, such as apache-2.0")
    with tempfile.TemporaryDirectory(prefix="ivfuse-push-") as temporary:
        folder = out or Path(temporary)
        text = "" if card is None else _read_card(card)
        about = {"license": license_, "datasets": datasets or (), "metrics": metrics or (), "text": text}
        _save(source, folder, about | ({"repository": repository} if repository else {}))
        if out:
            echo(f"{folder}: config.json, model.safetensors, model.onnx, README.md")
        if repository:
            _upload(folder, repository, private)


def _save(weights: Path, folder: Path, about: dict[str, Any]) -> None:
    from ivfuse.cli.extras import training

    with training():
        from ivfuse.training.hub import CardFacts, save_pretrained

    save_pretrained(weights, folder, CardFacts(**about))


def _read_card(path: Path) -> str:
    from ivfuse.runtime.files import check_regular

    check_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD + 1)
        if len(data) > MAX_CARD:
            raise InputError(f"{path}: found more than {MAX_CARD:,} bytes, expected a model card")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the model card: {error}") from error


def _upload(folder: Path, repository: str | None, private: bool) -> None:
    from ivfuse.fusion.hub import upload_model

    if repository is None:
        raise UsageError("expected REPO, the owner/name on the Hub to upload to")
    echo(f"uploaded: {upload_model(folder, repository, private=private)}")
