"""The options of thermal files, which several verbs share, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ivfuse.errors import IvfuseError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ivfuse.image.pairing import FilePair
    from ivfuse.thermal.radiometry import Overrides
    from ivfuse.thermal.read import ThermalOptions
    from ivfuse.thermal.render import RenderOptions

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
ColormapName = Annotated[
    str | None,
    typer.Option(
        "--colormap",
        metavar="NAME",
        help="Color by temperature: iron, rainbow, lava, arctic, white-hot, black-hot, or camera (the "
        "file's own).",
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
Colorbar = Annotated[
    bool,
    typer.Option(
        "--colorbar/--no-colorbar",
        help="With --colormap or --highlight: a bar of temperatures.",
        rich_help_panel=PANEL,
    ),
]
Emissivity = Annotated[
    float | None,
    typer.Option(help="Emissivity of the object, 0 to 1; else the file's.", rich_help_panel=PANEL),
]
Distance = Annotated[float | None, typer.Option(help="Distance to the object, in m.", rich_help_panel=PANEL)]
Reflected = Annotated[
    float | None, typer.Option(help="Reflected apparent temperature, in degC.", rich_help_panel=PANEL)
]
Atmospheric = Annotated[
    float | None, typer.Option(help="Temperature of the air, in degC.", rich_help_panel=PANEL)
]
Humidity = Annotated[
    float | None, typer.Option(help="Relative humidity of the air, in percent.", rich_help_panel=PANEL)
]
DjiSdk = Annotated[
    Path | None,
    typer.Option(
        "--dji-sdk",
        metavar="DIR",
        help="Folder of DJI's Thermal SDK, for the temperatures of DJI R-JPEG; else that in DJI_THERMAL_SDK.",
        rich_help_panel=PANEL,
    ),
]
Parallax = Annotated[
    bool,
    typer.Option(
        "--parallax/--no-parallax",
        help="Correct the parallax that remains after the camera's own alignment of thermal and photo.",
        rich_help_panel=PANEL,
    ),
]


def use_dji_sdk(folder: Path | None) -> None:
    """Use the SDK in a folder, if one is given.

    Raises:
        InputError: if the folder does not contain it.
    """
    if folder is not None:
        from ivfuse.thermal.formats.dji_sdk import use_sdk

        use_sdk(folder)


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
) -> ThermalOptions:
    """How thermal files are to be read.

    Raises:
        UsageError: if an option makes no sense or contradicts another.
    """
    from ivfuse.thermal.read import FROM_FILE, ThermalOptions
    from ivfuse.thermal.tone_mapping import PERCENTILE

    if window is not None and ir_window is not None:
        raise UsageError("--window and --ir-window: give one of the two")
    return ThermalOptions(window or ir_window or PERCENTILE, scale, conditions or FROM_FILE, parallax)


def render_options(colormap: str | None, highlight: str | None, colorbar: bool) -> RenderOptions | None:
    """How the fused image is to be rendered; ``None`` for as it is.

    Raises:
        UnknownNameError, UsageError: if a colormap is unknown or a range makes no sense.
    """
    if colormap is None and highlight is None:
        return None
    from ivfuse.thermal.render import parse_render_options

    return parse_render_options(colormap, highlight, colorbar)


def with_shared_window(options: ThermalOptions, pairs: Sequence[FilePair]) -> ThermalOptions:
    """The options with one window for all pairs, if they ask for that; reads every thermal file then.

    Raises:
        InputError: if no file can be read, or they are of different units.
    """
    if options.rule.kind != "shared":
        return options
    from dataclasses import replace

    from ivfuse.thermal.read import read_raw
    from ivfuse.thermal.shared_window import shared_window

    def images() -> Iterator[tuple[NDArray[Any], bool]]:
        for path in dict.fromkeys(pair.ir for pair in pairs):
            try:
                raw = read_raw(path, options)
            except IvfuseError:  # it is listed when its turn comes
                continue
            yield raw.values if raw.valid is None else raw.values[raw.valid], raw.degrees

    return replace(options, window=shared_window(images()))
