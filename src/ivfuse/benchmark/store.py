"""Records of a run, one small file per image, from which an interrupted run resumes.

Files are written atomically and contain the key of their inputs; records with another key are recomputed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ivfuse.runtime.files import write_atomic

FORMAT = 1  # of the records; those of another format are ignored


@dataclass
class Record:
    """Record of one fused image.

    Attributes:
        key: digest of its inputs and settings.
        digest: SHA-256 of the fused file.
        wall, cpu: time of the fusion alone, without reading and writing, in seconds.
        peak: peak resident memory of the method's process so far, in MiB; 0 if unknown.
        height, width: size of the image, in pixels.
        notes: how the inputs were treated.
        scores: convention -> ``{"key": ..., "values": {...}, "reasons": {...}, "counts": {...}}``.
    """

    key: str = ""
    digest: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    height: int = 0
    width: int = 0
    notes: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)


class Store:
    """Records and fused images in the folder of a report."""

    def __init__(self, out: Path) -> None:
        """Store the folder; nothing is written yet."""
        self.out = out

    def image(self, data: str, method: str, pair: str) -> Path:
        """Path of a fused image."""
        return self.out / "fused" / data / method / f"{pair}.png"

    def load(self, data: str, method: str, pair: str) -> Record:
        """Load the record of an image; an empty one if there is none or it cannot be read."""
        try:
            table = json.loads(self._path(data, method, pair).read_text(encoding="utf-8"))
            return Record(**table["record"]) if table["format"] == FORMAT else Record()
        except (OSError, ValueError, KeyError, TypeError):
            return Record()

    def save(self, data: str, method: str, pair: str, record: Record) -> None:
        """Write the record of an image.

        Raises:
            OutputError: if it cannot be written.
        """
        text = json.dumps({"format": FORMAT, "record": vars(record)}, allow_nan=False)
        write_atomic(self._path(data, method, pair), text.encode())

    def _path(self, data: str, method: str, pair: str) -> Path:
        return self.out / "records" / data / method / f"{pair}.json"
