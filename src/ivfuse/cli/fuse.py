"""``ivfuse fuse``: one pair of files, two folders, or one folder that holds both.

Annotations are not strings here (``from __future__``): Typer would compile those of 49 options at each start.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ivfuse.cli import align_options, cluster_options, method_options, reading, sources, thermal
from ivfuse.errors import UsageError

if TYPE_CHECKING:
    from ivfuse.fusion.outputs import FusedImage, Output

SMALL = 4_000_000  # bytes of a pair's files


def fuse(
    ir: Annotated[
        str,
        typer.Argument(
            metavar="IR",
            help="Thermal file, frame (flir.seq#12) or folder; or one folder that holds both.",
        ),
    ],
    vi: Annotated[
        str | None,
        typer.Argument(
            metavar="VI", help="Visible file or folder; none for a radiometric JPEG with a photo."
        ),
    ] = None,
    *,
    out: Annotated[str, typer.Option("-o", "--out", metavar="OUT", help="File or folder to write.")],
    method: method_options.MethodName = None,
    weights: method_options.Weights = None,
    gray: method_options.Gray = False,
    strength: method_options.Strength = 1.0,
    emphasis: method_options.Emphasis = None,
    ir_gamma: method_options.IrGamma = 1.0,
    bits: Annotated[int, typer.Option(help="Bits per channel of the output: 8 or 16.")] = 8,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of outputs in a folder: png (the default), tiff, jpg, webp, bmp."
        ),
    ] = None,
    ir_window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Thermal values shown as black and white, 255 0 for black-hot images; else the 1st and 99th "
            "percentile of 16-bit files.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    runtime: Annotated[
        str,
        typer.Option(
            help="auto (OpenVINO if installed; ONNX Runtime for one small pair), openvino or onnxruntime."
        ),
    ] = "auto",
    precision: method_options.PrecisionName = "auto",
    device: method_options.DeviceName = "auto",
    threads: method_options.Threads = None,
    tile: Annotated[
        int | None, typer.Option(help="Largest side fused in one piece, in pixels; else the method's own.")
    ] = None,
    full_size: method_options.FullSize = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Drop EXIF, GPS, capture time and XMP of the images.")
    ] = False,
    allow_damaged: reading.AllowDamaged = False,
    max_pixels: reading.MaxPixels = None,
    json: method_options.Json = False,
    quiet: method_options.Quiet = False,
    window: thermal.Window = None,
    scale: thermal.ScaleText = None,
    temperature: thermal.Temperature = None,
    colormap: thermal.ColormapName = None,
    highlight: thermal.Highlight = None,
    colorbar: thermal.Colorbar = True,
    emissivity: thermal.Emissivity = None,
    distance: thermal.Distance = None,
    reflected: thermal.Reflected = None,
    atmospheric: thermal.Atmospheric = None,
    humidity: thermal.Humidity = None,
    dji_sdk: thermal.DjiSdk = None,
    parallax: thermal.Parallax = True,
    rig: align_options.RigFile = None,
    register: align_options.Register = None,
    points: align_options.Points = None,
    crop: align_options.Crop = False,
    keep_frame: align_options.KeepFrame = False,
    recursive: sources.Recursive = False,
    cluster: cluster_options.Cluster = None,
    max_failures: cluster_options.MaxFailures = None,
    actors: cluster_options.Actors = None,
    shard: cluster_options.Shard = 256,
    tar: cluster_options.Tar = False,
) -> None:
    """Fuse a pair of files, or all pairs of a folder.

    Outputs that exist are skipped unless --overwrite is given, so that a run can be stopped and repeated.
    Exit code: 0 done, 1 some pairs failed (they are listed), 2 wrong use.

    \b
    Examples:
      ivfuse fuse thermal.png visible.jpg -o fused.png
      ivfuse fuse ir/ vi/ -o fused/ --method laplacian
      ivfuse fuse flights/ -o fused/ --recursive
      ivfuse fuse "t/*.JPG" "v/*.JPG" -o fused/
      ivfuse fuse recordings/ -o fused/ --ir-window 7200 8400 --format tiff --bits 16
      ivfuse fuse ir/ vi/ -o fused/ --weights runs/cam/model.safetensors
      ivfuse fuse flir.jpg -o fused.png --temperature fused.tiff --highlight ">40C"
      ivfuse fuse flir.seq#12 visible.jpg -o fused.png
      ivfuse fuse ir16/ vi/ -o fused/ --scale 0.01K --window 10C..45C
      ivfuse fuse ir/ vi/ -o fused/ --rig rig.json --crop
      ivfuse fuse drive.mcap:/thermal/image_raw drive.mcap:/rgb/image_raw -o fused/
      ivfuse fuse pairs.parquet -o s3://bucket/fused --cluster auto --tar
    """
    thermal.use_dji_sdk(dji_sdk)
    thermal_options = thermal.options(
        window,
        ir_window,
        scale,
        parallax,
        thermal.overrides(emissivity, distance, reflected, atmospheric, humidity),
    )
    render = thermal.render_options(colormap, highlight, colorbar)
    method_options.check(method, weights, runtime, precision)
    reading.limit_pixels(max_pixels)
    shown: dict[str, Any] = {"gray": gray, "strength": strength, "ir_gamma": ir_gamma, "render": render}
    shown |= {"emphasis": emphasis, "tile": tile, "full_size": full_size}
    shown |= {"thermal": thermal_options, "allow_damaged": allow_damaged, "keep_frame": keep_frame}
    align: dict[str, Any] = {"rig": align_options.rig(rig, register, points), "crop": crop}
    if cluster is not None:
        cluster_options.refuse({"temperature": temperature, "overwrite": overwrite})
        chosen = method_options.for_cluster(method, weights, runtime, precision, device)
        image_of = {"suffix": _suffix(format_), "depth": bits, "strip": strip}
        run = cluster_options.ClusterChoices(cluster, max_failures, actors, shard, threads, json, quiet)
        _on_cluster(ir, vi, out, {**chosen, **align, **shown}, run, image_of, max_pixels, tar, recursive)
    cluster_options.needs_cluster(ir, vi, out)
    source = sources.without_bags(Path(ir), None if vi is None else Path(vi), quiet=quiet)
    paths = source.ir, source.vi
    align["rig"] = align["rig"] or source.calibrated
    one = sources.is_one_pair(*paths)

    from ivfuse.cli import fuse_report
    from ivfuse.fusion.batch import fuse_pairs
    from ivfuse.fusion.outputs import TemperatureRaster
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.fusion.registry import is_learned

    plain = one and not weights and runtime == precision == "auto" and device in ("auto", "cpu")
    if plain and _is_small(*paths) and is_learned(method):
        runtime, device = "onnxruntime", "cpu"  # done before OpenVINO or a GPU, faster per pair, has started
    image = _target(out, format_, bits, one, strip)
    extra: list[Output] = [] if temperature is None else [TemperatureRaster(temperature, strip)]
    choices = method_options.choices(method, weights, runtime, precision, threads, device)
    pairing = sources.pairs_of(*paths, out, recursive=recursive, camera_files=True)
    names = [pair.name for pair in pairing.pairs]
    written = [each.path_for(name, len(names)) for each in [image, *extra] for name in names]
    pairing = sources.without_outputs(pairing, written)
    shown["thermal"] = thermal.with_shared_window(thermal_options, pairing.pairs)
    fuser = Fuser(**choices, **align, **shown)
    with fuse_report.progress(len(pairing.pairs), shown=not (one or quiet or json)) as tell:
        summary = fuse_pairs(fuser, pairing.pairs, image, overwrite=overwrite, on_progress=tell, extra=extra)
    fuse_report.say(fuser.method.info.name, pairing, summary, one=one, json=json, quiet=quiet)
    raise typer.Exit(130 if summary.stopped else 1 if summary.failed or source.broken else 0)


def _on_cluster(
    ir: str,
    vi: str | None,
    out: str,
    options: dict[str, Any],
    choices: cluster_options.ClusterChoices,
    image: dict[str, Any],
    max_pixels: float | None,
    tar: bool,
    recursive: bool,
) -> NoReturn:
    """Fuse all pairs of a source on a cluster."""
    from ivfuse.cli import cluster_runs
    from ivfuse.fusion.options import FuseOptions

    image["max_pixels"] = None if max_pixels is None else round(max_pixels * 1e6)
    fused = cluster_runs.fuse(
        ir, vi, out, FuseOptions(**options), choices, image=image, tar=tar, recursive=recursive
    )
    raise typer.Exit(fused)


def _is_small(ir: Path, vi: Path | None) -> bool:
    """Whether a pair takes less time than a runtime to start: some two megapixels, told by the files."""
    return sum(path.stat().st_size for path in (ir, vi) if path and path.is_file()) <= SMALL


def _suffix(format_: str | None) -> str:
    return "." + (format_ or "png").lower().lstrip(".")


def _target(out: str, format_: str | None, bits: int, one: bool, strip: bool) -> "FusedImage":
    """Where the fused images go: a file, or a folder for files of a format."""
    from ivfuse.fusion.outputs import FusedImage
    from ivfuse.image.formats import SUFFIXES

    if not one and Path(out).suffix.lower() in SUFFIXES and not sources.names_folder(out):
        raise UsageError(field="out", found=f"the name of a file, {out}", expected="a folder for many pairs")
    if not one or sources.names_folder(out):
        return FusedImage(Path(out), _suffix(format_), bits, strip)
    if not Path(out).suffix:
        raise UsageError(f"{out}: a name without a suffix, expected one like {out}.png, or a folder, {out}/")
    if format_ is not None and _suffix(format_) != Path(out).suffix.lower():
        raise UsageError(
            field="format",
            found=f"{format_}, with an output named {out}",
            expected="the suffix of the output alone",
        )
    return FusedImage(Path(out), depth=bits, strip=strip)
