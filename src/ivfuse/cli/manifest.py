"""``ivfuse manifest``: a table of pairs for runs on a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from ivfuse.cli import method_options, sources
from ivfuse.cli.terminal import echo


def manifest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="Folder of pairs or of thermal files, tar shards, a manifest; a path or URL."
        ),
    ],
    vi: Annotated[str | None, typer.Argument(metavar="VI", help="Folder of visible files.")] = None,
    *,
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="FILE", help="A .parquet or .csv file to write.")
    ],
    recursive: sources.Recursive = False,
    quiet: method_options.Quiet = False,
) -> None:
    """Write the pairs of a source to a manifest: id, ir, vi, and where given rig, window, labels.

    Pairs are found as `ivfuse fuse` finds them; images without a partner are listed. In tar shards,
    0001.ir.png and 0001.vi.jpg are a pair. Locations below the folder of the manifest are
    written relative to it.
    Exit code: 0 done, 1 the source has no pairs, 2 wrong use.

    \b
    Examples:
      ivfuse manifest flights/ -o pairs.parquet --recursive
      ivfuse manifest "s3://bucket/shards/*.tar" -o s3://bucket/pairs.parquet
      ivfuse manifest ir/ vi/ -o pairs.csv
    """
    from ivfuse.cli.extras import clustering

    with clustering():
        from ivfuse.cluster.sources import open_source, write_manifest

    found = open_source(source, vi, recursive=recursive)
    if not quiet:
        titles = (("no partner", found.orphans), ("ambiguous", found.ambiguous), ("note", found.notes))
        for title, lines in titles:
            for line in lines:
                echo(f"{title}: {line}", err=True)
    count = write_manifest(found, out)
    if not quiet:
        echo(f"{out}: {count} pairs")
