"""The options of thermal files, which several verbs share, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.errors import IvfuseError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ivfuse.image.pairing import Pair
    from ivfuse.thermal.radiometry import Overrides
    from ivfuse.thermal.read import ThermalOptions
    from ivfuse.thermal.render import Look

PANEL = "Thermal"

Window = Annotated[
    str | None,
    typer.Option(
        metavar="WINDOW",
        help="Values from black to white: percentile (1st to 99th, the default), plateau (equalized), "
        "shared (one for all pairs), or a range: 10C..45C, or 7200..8400 in the file's units.",
        rich_help_panel=PANEL,
    ),
]
ScaleText = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="SCALE",
        help="Degrees of one count of plain files: 0.01K for centikelvin, 0.1C, 0.01C-100.",
        rich_help_panel=PANEL,
    ),
]
Temperature = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the temperatures too, a float TIFF in degC on the image's grid; a folder for many.",
        rich_help_panel=PANEL,
    ),
]
PaletteName = Annotated[
    str | None,
    typer.Option(
        "--palette",
        metavar="NAME",
        help="Color by heat: iron, rainbow, lava, arctic, white-hot, black-hot, or camera (the file's own).",
        rich_help_panel=PANEL,
    ),
]
Highlight = Annotated[
    str | None,
    typer.Option(
        metavar="RANGE",
        help='Paint what lies in a range of temperatures: ">40C", "<5C", "30C..37C".',
        rich_help_panel=PANEL,
    ),
]
Bar = Annotated[
    bool,
    typer.Option(
        "--bar/--no-bar", help="With --palette or --highlight: a bar of temperatures.", rich_help_panel=PANEL
    ),
]
Emissivity = Annotated[
    float | None, typer.Option(help="Of the object, 0 to 1; else the file's.", rich_help_panel=PANEL)
]
Distance = Annotated[float | None, typer.Option(help="To the object, in m.", rich_help_panel=PANEL)]
Reflected = Annotated[
    float | None, typer.Option(help="Temperature that the object mirrors, in degC.", rich_help_panel=PANEL)
]
Atmospheric = Annotated[
    float | None, typer.Option(help="Temperature of the air, in degC.", rich_help_panel=PANEL)
]
Humidity = Annotated[float | None, typer.Option(help="Of the air, in per cent.", rich_help_panel=PANEL)]
Parallax = Annotated[
    bool,
    typer.Option(
        "--parallax/--no-parallax",
        help="Shift the thermal image of a camera's file by what its own parameters leave over.",
        rich_help_panel=PANEL,
    ),
]


def overrides(
    emissivity: float | None,
    distance: float | None,
    reflected: float | None,
    atmospheric: float | None,
    humidity: float | None,
) -> Overrides | None:
    """The conditions that were given.

    Raises:
        UsageError: if one makes no sense.
    """
    given = (emissivity, distance, reflected, atmospheric, humidity)
    if all(value is None for value in given):
        return None
    from ivfuse.thermal.radiometry import overrides_of

    return overrides_of(*given)


def options(
    window: str | None,
    ir_window: tuple[float, float] | None,
    scale: str | None,
    parallax: bool,
    conditions: Overrides | None,
) -> ThermalOptions | None:
    """How thermal files are to be read; ``None`` if nothing but perhaps ``--ir-window`` was given.

    Raises:
        UsageError: if an option makes no sense or contradicts another.
    """
    if window is None and scale is None and conditions is None and parallax:
        return None
    from ivfuse.thermal.read import NONE_GIVEN, parse_options

    if window is not None and ir_window is not None:
        raise UsageError("--window and --ir-window: give one of the two")
    read = parse_options(window, scale, conditions or NONE_GIVEN, parallax)
    return read if ir_window is None else read.with_window(ir_window)


def look(palette: str | None, highlight: str | None, bar: bool) -> Look | None:
    """How the fused image is to be shown; ``None`` for as it is.

    Raises:
        UnknownNameError, UsageError: if a palette is unknown or a range makes no sense.
    """
    if palette is None and highlight is None:
        return None
    from ivfuse.thermal.render import parse_look

    return parse_look(palette, highlight, bar, "--highlight")


def settled(read: ThermalOptions | None, pairs: Sequence[Pair]) -> ThermalOptions | None:
    """The options with one window for all pairs, if they ask for that; reads every thermal file then.

    Raises:
        InputError: if no file can be read, or some hold temperatures and others counts.
    """
    if read is None or read.window.kind != "shared":
        return read
    from dataclasses import replace

    from ivfuse.thermal.read import values_of
    from ivfuse.thermal.tone_mapping import shared_window

    def images() -> Iterator[tuple[NDArray[Any], bool]]:
        for path in dict.fromkeys(pair.ir for pair in pairs):
            try:
                yield values_of(path, read)
            except IvfuseError:  # it is listed when its turn comes
                continue

    return replace(read, window=shared_window(images()))


def is_camera_file(path: Path) -> bool:
    """Whether a file bears the marks of a thermal camera."""
    from ivfuse.thermal.formats.jpeg_segments import maker_of

    return maker_of(path) is not None
