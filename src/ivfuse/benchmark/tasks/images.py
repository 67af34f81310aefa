"""The images that a task is measured on: infrared, visible and each fused one, 8 bits, one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivfuse.benchmark.datasets import DataSet
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.store import Store
from ivfuse.errors import InputError
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.metrics.evaluate import to_levels
from ivfuse.metrics.folder import read_sources
from ivfuse.thermal.tone_mapping import Window

INFRARED, VISIBLE = "infrared", "visible"  # rows of tables beside the methods

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageJob:
    """The files of a pair.

    Attributes:
        ir, vi: the sources.
        fused: method -> fused file.
        ir_window: thermal values that become black and white.
    """

    ir: Path
    vi: Path
    fused: Mapping[str, Path]
    ir_window: Window | None = None


def image_job(plan: Plan, data: DataSet, pair: FilePair) -> ImageJob:
    """The files of a pair, with those fused images that are there."""
    store = Store(plan.out)
    fused = {}
    for entry in plan.entries:
        path: Path | None = store.image(data.name, entry.name, pair.name)
        if entry.external is not None:
            path = entry.external[data.name].get(pair.name)
        if path is not None and path.is_file():
            fused[entry.name] = path
    return ImageJob(pair.ir, pair.vi, fused, plan.ir_window)


def load_images(job: ImageJob) -> Iterator[tuple[str, Levels | str]]:
    """Name and image, (H, W) or (H, W, 3) uint8: infrared, visible, then method by method.

    A fused image that cannot be read, or has another size than the visible, is a line that says so.

    Raises:
        InputError: if a source cannot be read.
    """
    infrared, visible = read_sources(job.ir, job.vi, job.ir_window)
    grid = (visible.shape[0], visible.shape[1])
    yield INFRARED, infrared
    yield VISIBLE, visible
    for method, path in job.fused.items():
        try:
            fused = to_levels(read_visible(path, as_stored=True).pixels, path.name)
        except InputError as error:
            yield method, str(error)
            continue
        if fused.shape[:2] == grid:
            yield method, fused
        else:
            yield method, f"{fused.shape[1]}x{fused.shape[0]} pixels, expected {grid[1]}x{grid[0]}"
