"""The options of ``ivfuse video`` that no other verb has."""

from __future__ import annotations

from typing import Annotated

import typer

LOCATION = (
    "a file, a folder of images or videos, a pattern, a topic of a bag like drive.mcap:/thermal/image_raw, "
    "an address like rtsp://..., or camera:0"
)

Ir = Annotated[str, typer.Argument(metavar="IR", help=f"Thermal video or FLIR SEQ or CSQ file: {LOCATION}.")]
Vi = Annotated[str, typer.Argument(metavar="VI", help="Visible video: the same kinds of location.")]
IrStream = Annotated[
    int | None,
    typer.Option(
        metavar="INDEX",
        min=0,
        help="The thermal among the video streams of its file, from 0; by default the first usable one.",
    ),
]
ViStream = Annotated[
    int | None,
    typer.Option(metavar="INDEX", min=0, help="The visible among the video streams of its file, from 0."),
]
Out = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--out",
        metavar="OUT",
        help="A .mp4 or .mkv file, a folder for PNG images, a pattern like f_%05d.png, or a bag: out.mcap, "
        "out.mcap:/fused/image_raw.",
    ),
]
SideBySide = Annotated[
    bool, typer.Option("--side-by-side", help="Write thermal, visible and fused next to each other.")
]
Smooth = Annotated[
    bool,
    typer.Option(
        "--smooth/--no-smooth",
        help="Smooth the fused brightness over time where nothing moves, against flicker.",
    ),
]
Offset = Annotated[
    str,
    typer.Option(
        metavar="SECONDS",
        help="Seconds to add to the thermal times; auto: estimate them from the motion in both videos; "
        "start: pair the first frames.",
    ),
]
IrWindow = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LO HI",
        help="Thermal values to map to black and white, 255 0 for black-hot video; by default 8-bit video "
        "keeps its range, and deeper video follows the scene slowly.",
    ),
]
Window = Annotated[
    str | None,
    typer.Option(
        metavar="WINDOW",
        help="Values from black to white: percentile (1st to 99th, the default), or a range: 10C..45C for "
        "radiometric recordings and images, or 7200..8400 in the units of the video.",
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="Frame rate of image sequences, headerless frames and recordings without times; by default that "
        "of the other source, or 25.",
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Stop after so many seconds from where both videos have begun."),
]
CodecName = Annotated[str, typer.Option(help="auto, h264, ffv1 (lossless, .mkv only) or mpeg4.")]
Crf = Annotated[
    int, typer.Option(min=0, max=51, help="Quality of H.264: lower values are better and larger.")
]
Preset = Annotated[str, typer.Option(help="Speed of H.264 encoding, ultrafast to veryslow.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show the running result on a local web page.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the preview page; 0 chooses a free one.")]
