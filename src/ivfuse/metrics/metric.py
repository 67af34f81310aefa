"""What a metric is: a function of a triple, and the facts that a table needs to print it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ivfuse.metrics.triple import Triple

Function = Callable[[Triple], float]
Count = Callable[[Triple], int]
Needs = Literal["fused", "sources", "color"]
Family = Literal["images", "targets", "naturalness"]


class Undefined(Exception):
    """A metric has no value for a triple; the message is the reason. Scoring turns it into NaN."""


@dataclass(frozen=True)
class Metric:
    """A metric and its facts.

    Attributes:
        name: as printed in tables.
        function: its default variant; other variants belong to conventions.
        higher_is_better: the direction.
        range: the least and greatest value that the formula allows.
        needs: ``fused`` if it looks at the fused image alone, ``sources`` if it compares it with them,
            ``color`` if it compares its colors with the visible's.
        source: the paper.
        doc: what it measures and how, from the function's docstring.
        family: ``images`` compares images as wholes, under every convention in its way; ``targets`` and
            ``naturalness`` ask what is seen, and are measured on gray under each (colors apart).
        count: how many things of an image its value is a share of; a set's value is over all of them.
    """

    name: str
    function: Function
    higher_is_better: bool
    range: tuple[float, float]
    needs: Needs
    source: str
    doc: str
    family: Family = "images"
    count: Count | None = None
