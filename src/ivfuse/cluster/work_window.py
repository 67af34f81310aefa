"""The first pass of a run with one thermal window for all pairs: a histogram per shard, which are merged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ivfuse.cluster.locations import fetch, join, list_names, read_bytes
from ivfuse.cluster.pairs import PairRow
from ivfuse.cluster.run_folder import FILES, RunFolder
from ivfuse.cluster.work import as_values
from ivfuse.thermal.read import ThermalOptions, read_raw
from ivfuse.thermal.shared_window import WindowHistogram
from ivfuse.thermal.tone_mapping import WindowRule

_FILE = "histogram.npy"


@dataclass(frozen=True)
class WindowWork:
    """Collects the thermal values of all pairs.

    Attributes:
        thermal: how thermal files are read: scale and conditions.
    """

    thermal: ThermalOptions
    name = "window"

    @property
    def columns(self) -> pa.Schema:
        """See :class:`ivfuse.cluster.work.Work`."""
        return pa.schema([])

    def settings(self) -> dict[str, Any]:
        """See :class:`ivfuse.cluster.work.Work`."""
        values: dict[str, Any] = as_values(self.thermal)
        return values

    def check(self) -> None:
        """Nothing can be wrong with the options."""

    def session(self, threads: int) -> WindowSession:
        """See :class:`ivfuse.cluster.work.Work`."""
        return WindowSession(self.thermal)

    def failed(self, pair: PairRow, reason: str) -> list[dict[str, Any]]:
        """See :class:`ivfuse.cluster.work.Work`."""
        return [{}]


class WindowSession:
    """Collects the values of a shard; see :class:`ivfuse.cluster.work.Session`."""

    def __init__(self, thermal: ThermalOptions) -> None:
        """Begin with no values."""
        self.thermal, self.histogram = thermal, WindowHistogram()

    def read(self, pair: PairRow, folder: Path) -> Any:
        """Read the thermal values."""
        raw = read_raw(fetch(pair.ir, folder, "ir"), self.thermal)
        return (raw.values if raw.valid is None else raw.values[raw.valid]), raw.degrees

    def compute(self, data: Any) -> None:
        """Add the values to the histogram."""
        self.histogram.add(*data)

    def write(self, pair: PairRow, result: None, folder: Path) -> list[dict[str, Any]]:
        """A row without an image."""
        return [{}]

    def finish(self, folder: Path) -> None:
        """Write the histogram of the shard, with what its file holds already, and begin anew."""
        path = folder / _FILE
        if path.exists():
            self.histogram.merge(WindowHistogram.from_array(np.load(path)))
        np.save(path, self.histogram.to_array())
        self.histogram = WindowHistogram()


def merged_window(folder: RunFolder) -> WindowRule:
    """Merge the histograms of a finished run into one window.

    Raises:
        InputError: if no thermal file could be read, or some are in degrees and others in counts.
    """
    import io

    total = WindowHistogram()
    for name in list_names(join(folder.location, FILES)):
        if name.isdigit():
            data = read_bytes(join(folder.location, FILES, name, _FILE))
            total.merge(WindowHistogram.from_array(np.load(io.BytesIO(data))))
    return total.rule()
