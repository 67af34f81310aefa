"""What a table of detection or segmentation measures of what, with a hash, like that of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import ivfuse
from ivfuse.benchmark.degraded import CLEAN
from ivfuse.benchmark.digests import code_digest
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.protocol import FORMAT, hash_of, line_of


@cache
def tasks_version() -> str:
    """Digest of the source code that detects, classifies and scores."""
    return code_digest(Path(__file__).parent)[:12]


@dataclass(frozen=True)
class TaskProtocol:
    """A measurement of detection or segmentation without the methods.

    Attributes:
        task: ``detection`` or ``segmentation``.
        sets: of each set its ``sources`` and ``labels`` (SHA-256), and what its labels mean.
        model: SHA-256 of the detector or segmenter; empty where another program predicted.
        settings: what else a score depends on, as JSON values.
        images: degradations, seed, thermal window and the rule of resizing, as JSON values.
        ivfuse: version of the program that measures.
        code: digest of the source code of its tasks.
    """

    task: str
    sets: tuple[Mapping[str, Any], ...]
    model: str
    settings: Mapping[str, Any]
    images: Mapping[str, Any]
    ivfuse: str = field(default_factory=lambda: ivfuse.__version__)
    code: str = field(default_factory=tasks_version)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with anything that a score depends on."""
        sets = sorted((dict(each) for each in self.sets), key=hash_of)
        return hash_of({"format": FORMAT, **self.facts(), "sets": sets})

    @property
    def line(self) -> str:
        """What stands under a table."""
        return line_of(self.hash, self.ivfuse)

    def facts(self) -> dict[str, Any]:
        """All of it as JSON values."""
        values = {name: getattr(self, name) for name in ("task", "model", "ivfuse", "code")}
        return {**values, **self.settings, **self.images, "sets": [dict(each) for each in self.sets]}


def task_protocol(
    plan: Plan, task: str, labels: Sequence[Mapping[str, Any]], model: str, settings: Mapping[str, Any]
) -> TaskProtocol | None:
    """The protocol of a task on the sets of a plan; ``None`` if the plan has no protocol itself.

    Args:
        plan: of the benchmark.
        task: see :class:`TaskProtocol`.
        labels: for each set of the plan, degraded ones too, the SHA-256 of its labels and what they mean.
        model, settings: see :class:`TaskProtocol`.
    """
    protocol = plan.protocol
    if protocol is None:
        return None
    copies = len(plan.sets) // len(protocol.sets)  # a set has the labels of its degraded copies
    sets = tuple(
        {"sources": data.digest, **labels[index * copies]} for index, data in enumerate(protocol.sets)
    )
    degradations = sorted(set(protocol.degradations))
    images = {
        "degradations": degradations,
        "seed": 0 if degradations == [CLEAN] else protocol.seed,  # nothing else is random
        "ir_window": protocol.ir_window and [float(value) for value in protocol.ir_window],
        "resize": protocol.resize,
    }
    return TaskProtocol(task, sets, model, settings, images)
