"""``ivfuse eval``: score fused images against their sources, one triple of files or whole folders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ivfuse.cli import cluster_options, eval_video, reading, sources
from ivfuse.cli.flags import flag_of
from ivfuse.errors import InputError, UsageError

if TYPE_CHECKING:
    from ivfuse.image.pairing import FilePair, TriplePairing


def evaluate(
    fused: Annotated[
        str,
        typer.Argument(
            metavar="FUSED", help="Fused file or folder; with --cluster also the folder of a run."
        ),
    ],
    ir: Annotated[
        str | None,
        typer.Argument(metavar="IR", help="Thermal file or folder; or one folder that holds both sources."),
    ] = None,
    vi: Annotated[str | None, typer.Argument(metavar="VI", help="Visible file or folder.")] = None,
    *,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Names, families (targets, naturalness) or all, with commas between; else the eight of the "
            "common tables, targets and naturalness.",
        ),
    ] = None,
    convention: Annotated[
        str, typer.Option(help="The family of tables to follow: default, tang, li, cddfuse, vifb or liu.")
    ] = "default",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the values of each image to this file.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Print the values of each image too.")] = False,
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white, 255 0 for black-hot images; else the 1st and 99th "
            "percentile of 16-bit files.",
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; else all processors.")] = None,
    recursive: sources.Recursive = False,
    allow_damaged: reading.AllowDamaged = False,
    max_pixels: reading.MaxPixels = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="OUT",
            help="With --cluster: folder for the rows of scores, in Parquet.",
            rich_help_panel=cluster_options.PANEL,
        ),
    ] = None,
    video: eval_video.Video = False,
    offset: eval_video.Offset = None,
    cluster: cluster_options.Cluster = None,
    max_failures: cluster_options.MaxFailures = None,
    shard: cluster_options.Shard = 256,
) -> None:
    """Score a fused image, or all of a folder, and print the means; or score fused videos.

    Pairs are found as `ivfuse fuse` finds them, their fused images by the same names. Papers compute a
    metric of one name in several ways: choose a convention to compare with their tables; `ivfuse metrics`
    explains them. Shares of targets are over the targets of all images.
    Exit code: 0 done, 1 some images failed (they are listed), 2 wrong use.

    \b
    Examples:
      ivfuse eval fused.png thermal.png visible.jpg
      ivfuse eval fused/ ir/ vi/ --convention cddfuse --csv scores.csv
      ivfuse eval fused/ flights/ --recursive
      ivfuse eval fused/ recordings/ --metrics EN,VIF,Qabf --json
      ivfuse eval --video fused.mp4 thermal.mp4 visible.mp4
      ivfuse eval s3://bucket/fused/run-0123456789ab -o s3://bucket/scores --cluster auto
    """
    names = _names(metrics)
    reading.limit_pixels(max_pixels)
    if video:
        eval_video.check_options(
            {
                "metrics": metrics,
                "convention": convention,
                "images": images,
                "ir_window": ir_window,
                "jobs": jobs,
                "recursive": recursive,
                "allow_damaged": allow_damaged,
                "out": out,
                "cluster": cluster,
            }
        )
        _videos(fused, ir, vi, offset, csv, json, quiet)
    if offset is not None:
        raise UsageError(field="offset", expected="{video} as well, since images have no times")
    if cluster is not None:
        cluster_options.refuse({"csv": csv, "images": images})
        choices = cluster_options.ClusterChoices(cluster, max_failures, jobs, shard, None, json, quiet)
        _on_cluster(fused, ir, vi, out, choices, tuple(names), convention, ir_window, recursive)
    cluster_options.needs_cluster(fused, ir, vi)
    if ir is None or out is not None:
        raise UsageError("eval: give FUSED and IR, and --out only together with --cluster")
    _here(
        Path(fused),
        Path(ir),
        None if vi is None else Path(vi),
        names,
        convention,
        csv,
        images,
        ir_window,
        jobs,
        recursive,
        allow_damaged,
        json,
        quiet,
    )


def _videos(
    fused: str,
    ir: str | None,
    vi: str | None,
    offset: float | None,
    csv: Path | None,
    json: bool,
    quiet: bool,
) -> NoReturn:
    """Score videos on this machine."""
    if ir is None or vi is None:
        raise UsageError("eval --video: give FUSED, IR and VI")
    if offset is not None and not math.isfinite(offset):
        raise UsageError(field="offset", found=f"{offset:g}", expected="seconds")
    _check_csv(csv)
    raise typer.Exit(
        eval_video.evaluate(fused, ir, vi, offset=offset or 0.0, csv=csv, json=json, quiet=quiet)
    )


def _here(
    fused: Path,
    ir: Path,
    vi: Path | None,
    names: list[str],
    convention: str,
    csv: Path | None,
    images: bool,
    ir_window: tuple[float, float] | None,
    jobs: int | None,
    recursive: bool,
    allow_damaged: bool,
    json: bool,
    quiet: bool,
) -> NoReturn:
    """Score files or folders on this machine."""
    one = _is_one(fused, ir, vi)
    _check_csv(csv)

    from ivfuse.benchmark.protocol import protocol_of_pairs
    from ivfuse.cli import eval_report, fuse_report
    from ivfuse.metrics import get_convention
    from ivfuse.metrics.folder import score_files

    get_convention(convention)
    triples, pairs = _trios(fused, ir, vi, one, recursive)
    with fuse_report.progress(len(triples.triples), shown=not (one or quiet or json)) as tell:
        scored = score_files(
            triples.triples,
            names,
            convention,
            jobs,
            ir_window,
            tell,
            allow_damaged=allow_damaged,
            spell=flag_of,
        )
    protocol = None if one else protocol_of_pairs(pairs, names, convention, ir_window)
    report = eval_report.Report(convention, tuple(names), triples, tuple(scored), protocol)
    if csv is not None:
        report.write_csv(csv)
    eval_report.say(report, one=one, images=images, json=json, quiet=quiet)
    raise typer.Exit(1 if report.failed else 0)


def _on_cluster(
    fused: str,
    ir: str | None,
    vi: str | None,
    out: str | None,
    choices: cluster_options.ClusterChoices,
    names: tuple[str, ...],
    convention: str,
    ir_window: tuple[float, float] | None,
    recursive: bool,
) -> NoReturn:
    """Score fused images on a cluster and print the reduction of their rows."""
    from ivfuse.cli import cluster_report, cluster_runs
    from ivfuse.cli.extras import clustering

    with clustering():
        from ivfuse.cluster.work_score import ScoreWork

    if out is None:
        raise UsageError(field="out", found="nothing", expected="a folder for the rows of scores")
    work = ScoreWork(names, convention, ir_window)
    plan, summary = cluster_runs.score(fused, ir, vi, out, work, choices, recursive=recursive)
    cluster_report.print_scores(plan, summary, work, choices)
    raise typer.Exit(1 if summary.failed else 0)


def _is_one(fused: Path, ir: Path, vi: Path | None) -> bool:
    """Whether three files were given (True) or folders (False)."""
    from ivfuse.thermal.formats.frame_numbers import split_number

    given = [path for path in (fused, ir, vi) if path is not None]
    for path in given:
        if not split_number(path)[0].exists():
            raise InputError(f"{path}: no such file or folder")
    folders = [path.is_dir() for path in given]
    if vi is None and not ir.is_dir():
        raise UsageError(f"{ir} is a file: give the visible file too, or one folder that holds both sources")
    if len(set(folders)) > 1:
        found = ", ".join(f"{path} ({'folder' if path.is_dir() else 'file'})" for path in given)
        raise UsageError(f"give three files, or folders alone: {found}")
    return not folders[0]


def _names(text: str | None) -> list[str]:
    """The metrics asked for, in that order, each once."""
    from ivfuse.metrics import DEFAULT_METRICS, SEEING, expand_names

    if text is None:
        return [*DEFAULT_METRICS, *SEEING]
    names = expand_names(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UsageError(f"--metrics {text!r} names no metric; `ivfuse metrics` lists them")
    return names


def _check_csv(path: Path | None) -> None:
    """Refuse a table that cannot be written before any work is done."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UsageError(f"--csv {path}: expected a file in a folder that exists")


def _trios(
    fused: Path, ir: Path, vi: Path | None, one: bool, recursive: bool
) -> tuple[TriplePairing, tuple[FilePair, ...]]:
    """The images that were asked for, and the pairs of the sources, with fused images or without."""
    from ivfuse.image.pairing import FileTriple, TriplePairing, match_fused
    from ivfuse.image.pairing_tree import match_fused_tree

    if one and vi is not None:
        return TriplePairing((FileTriple(fused.stem, ir, vi, fused),), (), (), ()), ()
    pairing = sources.pairs_of(ir, vi, str(fused), recursive=recursive)
    triples = match_fused_tree(pairing, fused) if recursive else match_fused(pairing, fused)
    if not triples.triples:
        given = str(ir) if vi is None else f"{ir} and {vi}"
        raise InputError(
            f"{fused}: no fused image of the {len(pairing.pairs)} pairs of {given}, expected their names"
        )
    return triples, pairing.pairs
