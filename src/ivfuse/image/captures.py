"""Pairing of drone images by their number, where the times in their names differ by a few seconds.

The cameras of one drone write one file each per capture, as in DJI_20230101120002_0001_T.JPG and
DJI_20230101120003_0001_V.JPG: the numbers are equal, but each name has the time of writing its file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ivfuse.image.modality import preferred

SECONDS = 5.0  # largest difference of the times of one capture
_NEAR = 600.0  # seconds up to which an equal number is worth a remark
_SHOWN = 5  # remarks on single images
_CAPTURE = re.compile(r"^(.*?)(\d{8})_?(\d{6})_(\d{3,})(?!\d)(.*)$")

Key = Callable[[Path], str]


@dataclass(frozen=True)
class NumberPairing:
    """The result of pairing by number.

    Attributes:
        pairs: thermal and visible files.
        unused: visible files of further cameras of the paired captures.
        notes: remarks for the user on what was and what was almost paired.
    """

    pairs: tuple[tuple[Path, Path], ...]
    unused: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Capture:
    """A file, the part of its name that the files of one capture share, and its time."""

    path: Path
    name: tuple[str, str, str]
    time: datetime


def pair_by_number(ir: Sequence[Path], vi: Sequence[Path], ir_key: Key, vi_key: Key) -> NumberPairing:
    """Pair files whose names are equal but for a time of capture within five seconds.

    Nothing is guessed: each file of a pair is the only one of its kind within the five seconds.

    Args:
        ir: thermal files without a partner.
        vi: visible files without a partner.
        ir_key: function that returns the stem of a thermal file without the words for its modality.
        vi_key: the same for visible files.
    """
    groups: dict[tuple[str, str, str], list[_Capture]] = defaultdict(list)
    for each in _captures(vi, vi_key):
        groups[each.name].append(each)
    claims: dict[Path, list[tuple[_Capture, _Capture]]] = defaultdict(list)
    unused: dict[Path, list[Path]] = {}
    near: list[str] = []
    for thermal in _captures(ir, ir_key):
        group = sorted(groups[thermal.name], key=lambda other: _seconds(thermal, other))
        found = [other for other in group if _seconds(thermal, other) <= SECONDS]
        best = preferred([other.path for other in found])
        if len(best) == 1:
            claims[best[0]].append((thermal, next(other for other in found if other.path == best[0])))
            unused[best[0]] = [other.path for other in found if other.path != best[0]]
        elif group and _seconds(thermal, group[0]) <= _NEAR:
            near.append(_near_miss(thermal, group[0]))
    pairs = [some[0] for some in claims.values() if len(some) == 1]
    near += [_near_miss(*each) for some in claims.values() if len(some) > 1 for each in some]
    more = [f"and {len(near) - _SHOWN} more near misses"] if len(near) > _SHOWN else []
    return NumberPairing(
        tuple((thermal.path, visible.path) for thermal, visible in pairs),
        tuple(path for _, visible in pairs for path in unused[visible.path]),
        (*_summary(pairs), *near[:_SHOWN], *more),
    )


def _captures(paths: Sequence[Path], key: Key) -> list[_Capture]:
    """Parse the names; files without time and number are left out."""
    captures = []
    for path in paths:
        if found := _CAPTURE.match(key(path)):
            head, day, clock, number, tail = found.groups()
            try:
                time = datetime.strptime(day + clock, "%Y%m%d%H%M%S")
            except ValueError:
                continue
            captures.append(_Capture(path, (head, number, tail), time))
    return captures


def _seconds(one: _Capture, other: _Capture) -> float:
    return abs((one.time - other.time).total_seconds())


def _near_miss(thermal: _Capture, visible: _Capture) -> str:
    seconds = _seconds(thermal, visible)
    return (
        f"{thermal.path.name} and {visible.path.name} have the same number and times {seconds:.0f} s apart,"
        " not paired"
    )


def _summary(pairs: list[tuple[_Capture, _Capture]]) -> list[str]:
    if not pairs:
        return []
    apart = max(_seconds(*pair) for pair in pairs)
    thermal, visible = pairs[0]
    return [
        f"{len(pairs)} paired by number, with times up to {apart:.0f} s apart, such as {thermal.path.name}"
        f" and {visible.path.name}"
    ]
