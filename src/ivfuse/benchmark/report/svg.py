"""SVG building blocks: shapes, text, axis ticks. Colors are CSS classes, styled by the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

COLORS = 10  # further series reuse the colors of the first ones, dashed


def element(name: str, text: str = "", **attributes: object) -> str:
    """An element. ``text`` is markup; a trailing ``_`` of an attribute is dropped, others become ``-``."""
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{rendered}>{text}</{name}>"


def image(width: float, height: float, parts: Iterable[str], label: str, kind: str) -> str:
    """A complete SVG that scales with the page; ``label`` is its accessible name."""
    view_box = f"0 0 {_number(width)} {_number(height)}"
    return element(
        "svg", "".join(parts), viewBox=view_box, role="img", aria_label=label, class_=f"plot {kind}"
    )


def text(x: float, y: float, content: str, anchor: str = "start", class_: str = "") -> str:
    """A line of text."""
    return element("text", escape(content), x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def tooltip(content: str) -> str:
    """A title element, which browsers show as a tooltip."""
    return element("title", escape(content))


def series(index: int) -> str:
    """CSS classes of a method's shapes: its index, by which it can be hidden, and its color."""
    return f"m{index} c{index % COLORS}{' again' if index >= COLORS else ''}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range, for the ticks of an axis.

    Args:
        low, high: finite, low <= high.
        about: approximate number of ticks.
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def avoid_overlap(wanted: Sequence[float], gap: float) -> list[float]:
    """Move positions, keeping their order, so that they are at least ``gap`` apart."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    last = -math.inf
    for index in order:
        last = placed[index] = max(wanted[index], last + gap)
    return placed


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
