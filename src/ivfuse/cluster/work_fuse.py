"""The work of ``ivfuse fuse``: one warm :class:`Fuser`, an image and a row of facts per pair."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from ivfuse.cluster.locations import fetch
from ivfuse.cluster.pairs import PairRow
from ivfuse.cluster.work import as_values, method_version
from ivfuse.errors import UsageError
from ivfuse.fusion.options import FuseOptions
from ivfuse.fusion.outputs import FusedImage
from ivfuse.fusion.pair import Pair
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.arrays import level_type
from ivfuse.image.formats import check_output
from ivfuse.registration.transform import load_rig
from ivfuse.runtime.limits import set_pixel_limit

_RIGS = 16  # rigs and windows that a session remembers


@dataclass(frozen=True)
class FuseWork:
    """Fuses pairs.

    Attributes:
        options: the method, by its name or file, and all options; ``threads`` is set by the session.
        suffix: suffix of the images, which selects the format.
        depth: bits per sample, 8 or 16.
        strip: whether to drop the metadata of the visible images.
        max_pixels: largest number of pixels of an image; ``None`` for what fits the memory of a worker.
    """

    options: FuseOptions
    suffix: str = ".png"
    depth: int = 8
    strip: bool = False
    max_pixels: int | None = None
    name = "fuse"

    @property
    def columns(self) -> pa.Schema:
        """See :class:`ivfuse.cluster.work.Work`."""
        return pa.schema(
            [
                ("height", pa.int32()),
                ("width", pa.int32()),
                ("thermal_low", pa.float64()),
                ("thermal_high", pa.float64()),
                ("thermal_unit", pa.string()),
                ("notes", pa.list_(pa.string())),
            ]
        )

    def settings(self) -> dict[str, Any]:
        """See :class:`ivfuse.cluster.work.Work`."""
        options = as_values(replace(self.options, method=None, threads=None))
        method, weights = method_version(self._method())
        image: dict[str, Any] = {"suffix": self.suffix, "depth": self.depth, "strip": self.strip}
        image["max_pixels"] = self.max_pixels
        return {"method": method, "weights": weights, "options": options, **image}

    def check(self) -> None:
        """Create the method once, so that its errors come before the work."""
        check_output("x" + self.suffix, self.depth)
        Fuser(options=replace(self.options, threads=1 if self._learned() else None))

    def session(self, threads: int) -> FuseSession:
        """See :class:`ivfuse.cluster.work.Work`."""
        return FuseSession(self, threads if self._learned() else None)

    def failed(self, pair: PairRow, reason: str) -> list[dict[str, Any]]:
        """See :class:`ivfuse.cluster.work.Work`."""
        method, weights = method_version(self._method())
        return [{"method": method, "weights": weights}]

    def _method(self) -> str | None:
        method = self.options.method
        if method is None or isinstance(method, str | os.PathLike):
            return None if method is None else os.fspath(method)
        raise UsageError("a cluster needs the name or the .onnx file of a method, which its workers can open")

    def _learned(self) -> bool:
        from ivfuse.fusion.registry import is_learned

        return is_learned(self._method())


class FuseSession:
    """A warm method; see :class:`ivfuse.cluster.work.Session`.

    Args:
        work: what to do.
        threads: threads of a learned method; ``None`` for classical ones.
    """

    def __init__(self, work: FuseWork, threads: int | None) -> None:
        """Create the method."""
        if work.max_pixels is not None:
            set_pixel_limit(work.max_pixels)
        self.work = work
        self.fuser = Fuser(options=replace(work.options, threads=threads))
        self.version = method_version(work._method())
        self._fusers: OrderedDict[tuple[str, str], Fuser] = OrderedDict()

    def read(self, pair: PairRow, folder: Path) -> tuple[Pair, Fuser]:
        """Fetch, decode and align the images."""
        fuser = self._fuser(pair, folder)
        ir = fetch(pair.ir, folder, "ir")
        vi = ir if pair.vi == pair.ir else fetch(pair.vi, folder, "vi")
        return fuser.read(ir, vi), fuser

    def compute(self, data: tuple[Pair, Fuser]) -> tuple[Pair, NDArray[Any]]:
        """Fuse and render."""
        pair, fuser = data
        return pair, fuser.fuse_pair(pair, dtype=level_type(self.work.depth))

    def write(self, pair: PairRow, result: tuple[Pair, NDArray[Any]], folder: Path) -> list[dict[str, Any]]:
        """Write the image and return its row."""
        images, fused = result
        output = FusedImage(folder, self.work.suffix, self.work.depth, self.work.strip)
        path = output.path_for(pair.id, 2)
        notes = images.notes + output.write(path, images, fused)
        low, high = images.thermal.window or (None, None)
        unit = None if low is None else "counts" if images.thermal.celsius is None else "C"
        facts = {"thermal_low": low, "thermal_high": high, "thermal_unit": unit, "notes": list(notes)}
        size = {"height": fused.shape[0], "width": fused.shape[1]}
        method, weights = self.version
        name = path.relative_to(folder).as_posix()
        return [{"fused": name, "method": method, "weights": weights, **size, **facts}]

    def finish(self, folder: Path) -> None:
        """Nothing is left to write."""

    def _fuser(self, pair: PairRow, folder: Path) -> Fuser:
        """The pipeline for the rig and the window of a pair, which shares the method of the session."""
        if not (pair.rig or pair.window):
            return self.fuser
        key = (pair.rig, pair.window)
        if key not in self._fusers:
            changes: dict[str, Any] = {"method": self.fuser.method, "method_options": {}, "threads": None}
            changes |= {"runtime": "auto", "precision": "auto", "device": "auto"}
            if pair.rig:
                changes["rig"] = load_rig(fetch(pair.rig, folder, "rig"))
            if pair.window:
                changes["thermal"] = replace(self.work.options.thermal, window=pair.window)
            self._fusers[key] = Fuser(options=replace(self.work.options, **changes))
            if len(self._fusers) > _RIGS:
                self._fusers.popitem(last=False)
        return self._fusers[key]
