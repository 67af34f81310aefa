"""What a process does with the images of a request: fuse, measure, register, render the sample.

A message names a folder, the files in it (by names of the server's own, never a client's) and the choices.
"""

from __future__ import annotations

import math
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, IvfuseError, UsageError
from ivfuse.fusion.method import Method
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import create_method, default_method
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.runtime.limits import limit_pixels
from ivfuse.server import registration
from ivfuse.thermal.radiometry import overrides_of
from ivfuse.thermal.read import ThermalOptions, read_raw
from ivfuse.thermal.render import RenderOptions, parse_render_options
from ivfuse.thermal.tone_mapping import PERCENTILE, window_of

NAMES = {"ir": "infrared", "vi": "visible", "fused": "fused"}
SAMPLE_SIZE = (480, 640)
SAMPLE_SCALE = "0.01K"
_SAMPLE_CELSIUS = (4.0, 38.0)  # what black and white of the synthetic thermal image are said to be


@dataclass(frozen=True)
class Choices:
    """How a pair is to be fused; see :class:`ivfuse.server.forms.FuseForm` for the meaning of each."""

    method: str | None = None
    gray: bool = False
    window: str | None = None
    scale: str | None = None
    palette: str | None = None
    highlight: str | None = None
    bar: bool = True
    emissivity: float | None = None
    distance: float | None = None
    reflected: float | None = None
    atmospheric: float | None = None
    humidity: float | None = None
    parallax: bool = True
    register: bool = False
    metrics: list[str] = field(default_factory=list)
    encoding: str = "png"
    bits: int = 8
    previews: bool = False

    def thermal(self) -> ThermalOptions:
        """How the thermal file is read."""
        if (self.window or "").strip().lower() == "shared":
            raise UsageError("window: found 'shared', which is for folders, expected percentile or a range")
        conditions = overrides_of(
            self.emissivity, self.distance, self.reflected, self.atmospheric, self.humidity
        )
        return ThermalOptions(self.window or PERCENTILE, self.scale, conditions, self.parallax)

    def look(self) -> RenderOptions | None:
        """How the image is shown; ``None`` for the visible's colors."""
        return parse_render_options(self.palette, self.highlight, self.bar)


class Bench:
    """Does the work of one process; methods that were used once stay loaded.

    Args:
        max_pixels: of one image.
        threads: of a trained method.
    """

    def __init__(self, max_pixels: int, threads: int) -> None:
        """Limit the images of this process."""
        limit_pixels(max_pixels)
        self._threads = threads
        self._methods: dict[str, Method] = {}
        self._registered = registration.Memory()

    def warm(self) -> None:
        """Load the default method and run it once, so that the first request does not wait for that."""
        small = np.zeros((32, 32), np.float32)
        self._method(None).fuse(small, small)

    def do(self, message: dict[str, Any]) -> dict[str, Any]:
        """Carry out a message.

        Args:
            message: ``do`` names the work; ``folder`` and ``files`` (parts that were sent) say on what.

        Returns:
            What JSON can hold; images are left in the folder.

        Raises:
            IvfuseError: if the request cannot be fulfilled; :meth:`told` words it for the client.
        """
        folder = Path(message["folder"])
        work = {
            "fuse": self._fuse,
            "metrics": self._measure,
            "register": self._register,
            "sample": self._sample,
        }
        return work[message["do"]](folder, message)

    def told(self, error: IvfuseError, message: dict[str, Any]) -> str:
        """An error in the client's words: no paths of the server, no options of the command line."""
        text = _worded(str(error))
        for part, name in NAMES.items():
            text = text.replace(str(Path(message["folder"]) / part), f"{name} image")
        return text.replace(message["folder"], "the request").rstrip(".") + "."

    def _fuse(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Fuse a pair, or a camera's file that holds both."""
        started = time.perf_counter()
        choices = Choices(**message["choices"])
        thermal, look, method = choices.thermal(), choices.look(), self._method(choices.method)
        ir, vi = folder / "ir", folder / "vi" if "vi" in message["files"] else None
        found = self._registered.find(ir, vi) if choices.register else registration.NOT_ASKED
        if choices.register and message["only_if_sure"] and vi is not None and found.rig is None:
            raise InputError(f"register: {found.facts['summary']}")
        fuser = Fuser(method, gray=choices.gray, thermal=thermal, render=look, **found.options)
        loaded = fuser.read(ir, vi)
        said: dict[str, Any] = {"method": method.info.name, "registration": found.facts or None}
        if choices.previews:
            write_image(folder / "infrared.jpg", loaded.thermal.pixels)
            write_image(folder / "visible.jpg", loaded.visible.pixels)
            said["thermal"] = _thermal_facts(ir, thermal, loaded)
        sources = [_levels(loaded.thermal.pixels), _levels(loaded.visible.pixels)] if choices.metrics else []
        fused = fuser.fuse_pair(loaded)
        alpha = loaded.visible.alpha if choices.encoding == "png" else None
        write_image(folder / f"fused.{_SUFFIX[choices.encoding]}", fused, choices.bits, alpha)
        said["scores"] = _scores([_levels(fused), *sources], choices.metrics) if sources else None
        said |= {"height": fused.shape[0], "width": fused.shape[1], "notes": list(map(_worded, loaded.notes))}
        return said | {"seconds": round(time.perf_counter() - started, 4)}

    def _measure(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Score a fused image."""
        images = [_levels(read_visible(folder / part).pixels) for part in ("fused", "ir", "vi")]
        return _scores(images, message["metrics"], message["convention"])

    def _register(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Find how the thermal image lies on the visible, and lay it there."""
        started = time.perf_counter()
        thermal = Choices(**message["choices"]).thermal()
        found = self._registered.find(folder / "ir", folder / "vi")
        notes: list[str] = []
        if found.rig is not None:
            loaded = Fuser("average", thermal=thermal, **found.options).read(folder / "ir", folder / "vi")
            write_image(folder / "registered.png", loaded.thermal.pixels)
            notes = list(map(_worded, loaded.notes))
        return found.facts | {"notes": notes, "seconds": round(time.perf_counter() - started, 4)}

    def _sample(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Render the synthetic street: a thermal image of 16 bit in centikelvin and a visible one."""
        from ivfuse.synthetic.street import street_scene

        scene = street_scene(*SAMPLE_SIZE, seed=0, time=message["time"])
        low, high = _SAMPLE_CELSIUS
        counts = (low + (high - low) * scene.ir + 273.15) * 100
        write_image(folder / "infrared.png", (counts / 65535).astype(np.float32), depth=16)
        write_image(folder / "visible.png", scene.vi)
        return {}

    def _method(self, name: str | None) -> Method:
        """A method, made once."""
        name = name or default_method()
        if name not in self._methods:
            self._methods[name] = self._made(name)
        return self._methods[name]

    def _made(self, name: str) -> Method:
        from ivfuse.fusion.registry import method_info

        learned = method_info(name).kind == "learned"
        try:
            return create_method(name, threads=self._threads if learned else None)
        except InputError as error:  # names folders of the server, which are nobody's business
            print(error, file=sys.stderr)
            raise InputError(f"method: the weights of {name!r} are not on this server") from error


def _worded(text: str) -> str:
    """A message without what only the command line knows."""
    text = re.sub(r"(, or see `ivfuse info[^`]*`|; --[\w-]+ leaves it)", "", " ".join(text.split()))
    return re.sub(r"(?<![\w-])--(?=[a-z])", "", text)


_SUFFIX = {"png": "png", "jpeg": "jpg"}


def _levels(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image as its 8-bit file would hold it."""
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return levels


def _scores(
    images: list[NDArray[np.uint8]], metrics: list[str], convention: str = "default"
) -> dict[str, Any]:
    """Scores of fused, infrared and visible image, with the reasons for those that have no value."""
    from ivfuse.metrics.evaluate import score_many
    from ivfuse.metrics.registry import get_metric

    fused, ir, vi = images
    scores = score_many({"fused": fused}, ir, vi, metrics, convention)["fused"]
    values = {name: value if math.isfinite(value) else None for name, value in scores.values.items()}
    higher = {name: get_metric(name).higher_is_better for name in values}
    return {
        "convention": scores.convention,
        "values": values,
        "higher_is_better": higher,
        "reasons": scores.reasons,
    }


def _thermal_facts(ir: Path, options: ThermalOptions, loaded: Pair) -> dict[str, Any]:
    """The range of the thermal values, and the part of it that is shown, for the page's sliders."""
    if loaded.thermal.celsius is not None:
        values, degrees = loaded.thermal.celsius, True
    else:
        raw = read_raw(ir, options)
        values, degrees = raw.values, raw.degrees
    values = values[np.isfinite(values)]  # a registered image knows nothing outside of its own frame
    span = options.rule.span
    plain = values.dtype == np.uint8
    if span is not None:
        low, high = span.low, span.high
    elif options.rule.kind == "plateau":
        low, high = float(values.min()), float(values.max())
    else:
        low, high = (0.0, 255.0) if plain else window_of(values)
    lowest, highest = (0.0, 255.0) if plain else (float(values.min()), float(values.max()))
    unit = "C" if degrees else "levels" if plain else "counts" if values.dtype.kind in "ui" else "values"
    return {"min": lowest, "max": highest, "low": low, "high": high, "unit": unit}
