"""The options of runs on a cluster, which several verbs share, and the check of their combinations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple

import typer

from ivfuse.errors import UsageError

PANEL = "Cluster"

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Work on a Ray cluster: local (this machine), auto or HOST:PORT. Sources and "
        "outputs may then be manifests (.parquet, .csv), tar shards, folders, and URLs of these.",
        rich_help_panel=PANEL,
    ),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="Stop when more pairs than this fail; else all are tried, and failures are rows with a reason.",
        rich_help_panel=PANEL,
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(
        min=1, max=100_000, help="Workers; else one per GPU, or one per CPU.", rich_help_panel=PANEL
    ),
]
Shard = Annotated[
    int,
    typer.Option(
        min=1,
        max=100_000,
        help="Pairs in a shard, which is finished or repeated as a whole.",
        rich_help_panel=PANEL,
    ),
]
Tar = Annotated[
    bool,
    typer.Option("--tar", help="Write the images of a shard to a tar archive.", rich_help_panel=PANEL),
]


class ClusterChoices(NamedTuple):
    """The options of a run.

    Attributes:
        address: as ``--cluster``.
        max_failures, actors, shard, threads: as the options of these names.
        json, quiet: how to report.
    """

    address: str
    max_failures: int | None
    actors: int | None
    shard: int
    threads: int | None
    json: bool
    quiet: bool


def refuse(options: Mapping[str, object]) -> None:
    """Raise UsageError for the first option that is given but has no meaning on a cluster."""
    for name, value in options.items():
        if value:
            raise UsageError(field=name, expected="no such option together with {cluster}")


def needs_cluster(*locations: str | None) -> None:
    """Raise UsageError if a source without ``--cluster`` is one that only a cluster reads."""
    for location in locations:
        if location is None:
            continue
        suffix = PurePosixPath(location).suffix.lower()
        if "://" in location or suffix in (".parquet", ".csv", ".tar"):
            kind = "a URL" if "://" in location else f"a {suffix} file"
            raise UsageError(
                f"{location}: found {kind}", expected="files or folders", hint="or give {cluster} local"
            )
