"""``ivfuse info``: what a thermal file, a bag or a video holds."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ivfuse.cli import reading, thermal
from ivfuse.cli.sources import is_video
from ivfuse.cli.terminal import echo_lines

_DEGREES = ("celsius", "range_of_camera", "reflected", "atmospheric", "window_temperature")
_UNITS = {
    **dict.fromkeys(_DEGREES, " C"),
    "distance": " m",
    "altitude": " m",
    "duration": " s",
    "longest": " s",
    "frame_rate": " per second",
    "focus_distance": " m",
    "humidity": " %",
    "field_of_view": " degrees",
    "relative_altitude": " m",
    **dict.fromkeys(("yaw", "pitch", "roll"), " degrees"),
}


def info(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A thermal camera's file, a frame of a recording like flir.seq#12, an image, video or bag.",
        ),
    ],
    *,
    scale: thermal.ScaleText = None,
    temperature: thermal.Temperature = None,
    photo: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the photo that the file holds.", rich_help_panel=thermal.PANEL
        ),
    ] = None,
    emissivity: thermal.Emissivity = None,
    distance: thermal.Distance = None,
    reflected: thermal.Reflected = None,
    atmospheric: thermal.Atmospheric = None,
    humidity: thermal.Humidity = None,
    dji_sdk: thermal.DjiSdk = None,
    allow_damaged: reading.AllowDamaged = False,
    max_pixels: reading.MaxPixels = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a thermal file holds: camera, time, place, counts, temperatures, conditions and photo.

    Of a ROS bag or MCAP file, print its topics, and which are the thermal and the visible; of a video, its
    streams.
    With --temperature the raster of temperatures is written as the sensor has it, without a visible image.

    \b
    Examples:
      ivfuse info flir.jpg
      ivfuse info flir.jpg --emissivity 0.8 --temperature flir.tiff
      ivfuse info flir.jpg --photo photo.png --json
      ivfuse info flir.seq
      ivfuse info counts.png --scale 0.01K
      ivfuse info drive.mcap
      ivfuse info thermal.mp4
    """
    from ivfuse.image.decode import allowing_damage
    from ivfuse.runtime.files import refuse_input_as_output
    from ivfuse.video.bags.location import find_bag

    bag = find_bag(str(file))
    if bag is not None:
        _print_bag(bag.path, json=json)
        return
    if is_video(file):
        _print_video(file, json=json)
        return
    from ivfuse.thermal.inspect import describe_file, write_parts

    thermal.use_dji_sdk(dji_sdk)
    conditions = thermal.overrides(emissivity, distance, reflected, atmospheric, humidity)
    options = thermal.options(None, None, scale, True, conditions)
    for out in (temperature, photo):
        if out is not None:
            refuse_input_as_output(out, file)
    reading.limit_pixels(max_pixels)
    with allowing_damage(allow_damaged):
        facts = describe_file(file, options)
        write_parts(file, options, temperature, photo)
    if json:
        typer.echo(json_module.dumps(facts, indent=2))
    else:
        echo_lines(_lines(facts))


def _print_bag(path: Path, *, json: bool) -> None:
    from ivfuse.cli import bag_info
    from ivfuse.video.bags.describe import describe_bag

    facts = describe_bag(path)
    if json:
        typer.echo(json_module.dumps(facts, indent=2))
    else:
        echo_lines(bag_info.lines(facts))


def _print_video(path: Path, *, json: bool) -> None:
    from ivfuse.video.describe import describe_video

    facts = describe_video(path)
    if json:
        typer.echo(json_module.dumps(facts, indent=2))
        return
    streams = facts.pop("streams")
    seconds = facts.pop("seconds")
    facts["duration"] = seconds
    echo_lines([*_lines(facts), *(_stream_line(number, each) for number, each in enumerate(streams))])


def _stream_line(number: int, stream: dict[str, Any]) -> str:
    parts = [stream["type"], stream["codec"] or "of an unknown codec"]
    if stream.get("width"):
        parts.append(f"{stream['width']}x{stream['height']}")
    parts += [stream["pixels"]] if stream.get("pixels") else []
    parts += [f"{stream['rate']:.6g} frames per second"] if stream.get("rate") else []
    parts += [f"{stream['frames']} frames"] if stream.get("frames") else []
    return f"{f'stream {number}:':<16} {', '.join(parts)}"


def _lines(facts: dict[str, Any]) -> list[str]:
    """Facts as lines of name and value; what the file does not say is left out."""
    return [
        f"{key.replace('_', ' ') + ':':<16} {_plain(key, value)}"
        for key, value in facts.items()
        if value not in (None, "", [], 0.0)
    ]


def _plain(key: str, value: Any) -> str:
    """A value in words."""
    if isinstance(value, dict):
        if value.keys() == {"min", "mean", "max"}:
            return f"{value['min']:.6g} to {value['max']:.6g}, mean {value['mean']:.6g}{_UNITS.get(key, '')}"
        if value.keys() == {"width", "height"}:
            return f"{value['width']}x{value['height']}"
        return ", ".join(
            f"{name.replace('_', ' ')} {_plain(name, each)}"
            for name, each in value.items()
            if each is not None
        )
    if isinstance(value, list):
        return (" to " if key in _UNITS else "; ").join(_plain("", each) for each in value) + _UNITS.get(
            key, ""
        )
    digits = 9 if key in ("latitude", "longitude") else 6
    return (f"{value:.{digits}g}" if isinstance(value, float) else str(value)) + _UNITS.get(key, "")
