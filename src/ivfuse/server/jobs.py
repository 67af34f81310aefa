"""Jobs of a worker process: fuse, score or register the images of a request, or render the sample.

A message names the job, a folder, the files in it (named by their form fields) and the options.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ivfuse.errors import InputError, IvfuseError, UsageError
from ivfuse.fusion.align import stretch
from ivfuse.fusion.method import Method
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import create_method, default_method, method_info
from ivfuse.image.arrays import Levels, to_levels
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.runtime.devices import Device
from ivfuse.runtime.limits import pixel_limit, set_pixel_limit
from ivfuse.server import messages
from ivfuse.server.facts import score_facts, thermal_range, write_temperatures
from ivfuse.server.pair_registration import NOT_REQUESTED, RegistrationCache
from ivfuse.thermal.radiometry import overrides_of
from ivfuse.thermal.read import ThermalOptions
from ivfuse.thermal.render import RenderOptions, parse_render_options
from ivfuse.thermal.tone_mapping import PERCENTILE

SAMPLE_SIZE = (480, 640)
_SAMPLE_CELSIUS = (4.0, 38.0)  # temperatures of black and white in the synthetic thermal image


@dataclass(frozen=True)
class JobOptions:
    """Options of a fusion; :class:`ivfuse.server.forms.FuseForm` describes each."""

    method: str | None = None
    strength: float = 1.0
    emphasis: str | None = None
    ir_gamma: float = 1.0
    gray: bool = False
    window: str | None = None
    scale: str | None = None
    colormap: str | None = None
    highlight: str | None = None
    colorbar: bool = True
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
    temperatures: bool = False

    def thermal_options(self) -> ThermalOptions:
        """How the thermal file is read."""
        if (self.window or "").strip().lower() == "shared":
            raise UsageError(
                field="window", found="'shared', which is for folders", expected="percentile or a range"
            )
        conditions = overrides_of(
            self.emissivity, self.distance, self.reflected, self.atmospheric, self.humidity
        )
        return ThermalOptions(self.window or PERCENTILE, self.scale, conditions, self.parallax)

    def render_options(self) -> RenderOptions | None:
        """How the fused image is rendered; ``None`` for the colors of the visible image."""
        return parse_render_options(self.colormap, self.highlight, self.colorbar)


class JobRunner:
    """Runs the jobs of one worker process; methods stay loaded once they have been used.

    Args:
        max_pixels: size limit of one image, in pixels.
        threads: threads of a learned method.
        device: device of a learned method.
    """

    def __init__(self, max_pixels: int, threads: int, device: Device = "auto") -> None:
        """Apply the size limit to this process."""
        set_pixel_limit(min(max_pixels, pixel_limit()))
        self._threads, self._device = threads, device
        self._methods: dict[str, Method] = {}
        self._registrations = RegistrationCache()

    def warm_up(self) -> None:
        """Load the default method and run it once, so that the first request need not wait for it."""
        small = np.zeros((32, 32), np.float32)
        self._method(None).fuse(small, small)

    def run(self, message: dict[str, Any]) -> dict[str, Any]:
        """Run a job.

        Args:
            message: ``job`` names the job; ``folder`` and ``files`` (the fields that were sent) its images.

        Returns:
            A result that JSON can encode; images are written to the folder.

        Raises:
            IvfuseError: if the request is invalid; :meth:`error_message` words it for the client.
        """
        jobs = {
            "fuse": self._fuse,
            "metrics": self._score,
            "register": self._register,
            "sample": self._render_sample,
        }
        return jobs[message["job"]](Path(message["folder"]), message)

    def error_message(self, error: IvfuseError, message: dict[str, Any]) -> str:
        """An error of a job as a sentence for the client."""
        return messages.error_message(error, Path(message["folder"]))

    def _fuse(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Fuse a pair, or a camera's file that contains both images."""
        started = time.perf_counter()
        options = JobOptions(**message["options"])
        thermal, render = options.thermal_options(), options.render_options()
        method = self._method(options.method)
        ir, vi = folder / "ir", folder / "vi" if "vi" in message["files"] else None
        found = self._registrations.get(ir, vi) if options.register else NOT_REQUESTED
        if options.register and message["require_registration"] and vi is not None and not found.accepted:
            raise InputError(f"register: {found.facts['summary']}")
        fuser = Fuser(
            method,
            strength=options.strength,
            emphasis=options.emphasis,
            ir_gamma=options.ir_gamma,
            gray=options.gray,
            thermal=thermal,
            render=render,
            allow_damaged=None,  # the form has no such field
            **found.fuser_options,
        )
        stored = fuser.read_stored(ir, vi)
        pair = fuser.align(stored)
        result: dict[str, Any] = {"method": method.info.name, "registration": found.facts or None}
        if options.previews:
            write_image(folder / "infrared.jpg", pair.thermal.pixels)
            write_image(folder / "visible.jpg", pair.visible.stored)
            result["thermal"] = thermal_range(ir, thermal, pair)
        if options.temperatures and pair.thermal.celsius is not None:
            result["temperatures"] = write_temperatures(folder / "temperatures", pair.thermal.celsius)
        sources = _scored_sources(fuser, stored, pair) if options.metrics else None
        fused = fuser.fuse_pair(pair, dtype=np.uint8 if options.bits == 8 else np.float32)
        alpha = pair.visible.alpha if options.encoding == "png" else None
        write_image(folder / messages.FUSED_FILES[options.encoding], fused, options.bits, alpha)
        result["scores"] = score_facts(to_levels(fused), *sources, options.metrics) if sources else None
        result |= {"height": fused.shape[0], "width": fused.shape[1]}
        result["notes"] = list(map(messages.note, pair.notes))
        return result | {"seconds": round(time.perf_counter() - started, 4)}

    def _score(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Score a fused image, read as ``ivfuse eval`` reads files."""
        from ivfuse.metrics.folder import read_sources

        ir, vi = read_sources(folder / "ir", folder / "vi")
        fused = to_levels(read_visible(folder / "fused", as_stored=True).stored)
        return score_facts(fused, ir, vi, message["metrics"], message["convention"])

    def _register(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Register a pair and warp the thermal image onto the visible grid."""
        started = time.perf_counter()
        thermal = JobOptions(**message["options"]).thermal_options()
        found = self._registrations.get(folder / "ir", folder / "vi")
        notes: list[str] = []
        if found.accepted:
            fuser = Fuser("average", thermal=thermal, **found.fuser_options)
            pair = fuser.read(folder / "ir", folder / "vi")
            write_image(folder / "registered.png", pair.thermal.pixels)
            notes = list(map(messages.note, pair.notes))
        return found.facts | {"notes": notes, "seconds": round(time.perf_counter() - started, 4)}

    def _render_sample(self, folder: Path, message: dict[str, Any]) -> dict[str, Any]:
        """Render the synthetic street: a 16-bit thermal image in centikelvin, and a visible one."""
        from ivfuse.synthetic.street import street_scene

        scene = street_scene(*SAMPLE_SIZE, seed=0, time=message["time"])
        low, high = _SAMPLE_CELSIUS
        centikelvin = (low + (high - low) * scene.ir + 273.15) * 100
        write_image(folder / "infrared.png", (centikelvin / 65535).astype(np.float32), depth=16)
        write_image(folder / "visible.png", scene.vi)
        return {}

    def _method(self, name: str | None) -> Method:
        """A method, which is created once."""
        name = name or default_method()
        if name not in self._methods:
            self._methods[name] = self._create_method(name)
        return self._methods[name]

    def _create_method(self, name: str) -> Method:
        learned = method_info(name).kind == "learned"
        try:
            choices = {"threads": self._threads, "device": self._device} if learned else {}
            return create_method(name, **choices)  # type: ignore[arg-type]
        except InputError as error:  # it names folders of the server: for the log, not for clients
            print(error, file=sys.stderr)
            raise InputError(
                f"the weights of {name!r} are not installed on this server", field="method"
            ) from error


def _scored_sources(fuser: Fuser, stored: Pair, pair: Pair) -> tuple[Levels, Levels]:
    """The thermal and the visible image that a result is scored against, as ``ivfuse eval`` has them.

    That is as they are stored, with the black frame that the fusion leaves out; or as they were registered.

    Args:
        fuser: the fuser of the pair.
        stored: the pair as it was read.
        pair: the pair as it is fused.
    """
    if fuser.aligner.stretches and not stored.aligned and pair.coverage is not None:
        pair = stretch(stored)
    return to_levels(pair.thermal.pixels), to_levels(pair.visible.stored)
