"""Small pieces of SVG: shapes, text, axes. Colors are classes; the page gives them a style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

COLORS = 10  # series beyond share colors with the first ones, dashed


def element(name: str, text: str = "", **attributes: object) -> str:
    """An element; ``text`` is markup, attribute names lose a trailing underscore, and ``_`` becomes ``-``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{given}>{text}</{name}>"


def image(width: float, height: float, parts: Iterable[str], label: str, kind: str) -> str:
    """A whole SVG that scales with the page; ``label`` is what a screen reader says."""
    box = f"0 0 {_number(width)} {_number(height)}"
    return element("svg", "".join(parts), viewBox=box, role="img", aria_label=label, class_=f"plot {kind}")


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "") -> str:
    """A line of text."""
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def titled(words: str) -> str:
    """What the browser shows when a shape is pointed at."""
    return element("title", escape(words))


def series(index: int) -> str:
    """Classes of a method's shapes: its own number, to hide it, and its color."""
    return f"m{index} c{index % COLORS}{' again' if index >= COLORS else ''}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range.

    Args:
        low, high: finite, low <= high.
        about: how many are wanted.
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def spread_apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Places near the wanted ones, in the same order, at least ``gap`` apart."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    last = -math.inf
    for index in order:
        last = placed[index] = max(wanted[index], last + gap)
    return placed


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
