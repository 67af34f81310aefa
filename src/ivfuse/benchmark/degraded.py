"""Degraded copies of pairs as files, so that any method, ours or another program's, can be run on them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ivfuse.benchmark.datasets import DataSet
from ivfuse.errors import InputError
from ivfuse.image.color import luma
from ivfuse.image.pairing import FilePair
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.metrics.folder import read_infrared
from ivfuse.synthetic.degrade import Step, degrade_all, parse_degradations
from ivfuse.thermal.tone_mapping import Window

CLEAN = "none"  # asks for the pairs as they are


def degrade_pair(
    pair: FilePair, out: Path, steps: Sequence[Step], seed: int, window: Window | None = None
) -> FilePair:
    """Write ``ir/NAME.png`` and ``vi/NAME.png`` of a degraded pair, 8 bits.

    Args:
        pair: the clean files.
        out: folder of both folders; made if it does not exist.
        steps: what is laid over them, in turn.
        seed: with the pair's name it makes the pair's own seed, so that no two pairs get the same rain.
        window: thermal values that become black and white.

    Returns:
        The new files under the pair's name.

    Raises:
        InputError: a file cannot be read.
        OutputError: a file cannot be written.
    """
    ir = luma(read_infrared(pair.ir, window))
    vi = read_visible(pair.vi).pixels
    own = zlib.crc32(f"{seed}:{pair.name}".encode())
    worse = FilePair(pair.name, out / "ir" / f"{pair.name}.png", out / "vi" / f"{pair.name}.png")
    for path, pixels in zip((worse.ir, worse.vi), degrade_all(ir, vi, steps, own), strict=True):
        write_image(path, pixels)
    return worse


def degraded_sets(
    sets: Sequence[DataSet], wanted: Sequence[str], out: Path, seed: int, window: Window | None = None
) -> list[DataSet]:
    """Each set under each of the wanted degradations.

    Args:
        sets: clean pairs.
        wanted: as in ``haze:3`` or ``rain:4,noise:2``; ``none`` keeps the clean pairs as well.
        out: folder of the report; pairs are written below ``degraded/``.
        seed: of what is random.
        window: thermal values that become black and white.

    Returns:
        The sets, those of a degradation named after it; no published result is shown beside them.

    A pair that cannot be read stays as it is: the run will say so, and go on with the others.

    Raises:
        UnknownNameError: there is no such degradation.
        UsageError: a text cannot be read.
        OutputError: a file cannot be written.
    """
    plans = [() if text.strip().casefold() == CLEAN else parse_degradations(text) for text in wanted]
    return [_degraded(data, steps, out, seed, window) if steps else data for data in sets for steps in plans]


def _degraded(data: DataSet, steps: Sequence[Step], out: Path, seed: int, window: Window | None) -> DataSet:
    said = ",".join(map(str, steps))
    name = f"{data.name}-{'-'.join(f'{step.name}{step.strength:g}' for step in steps)}"
    root = out / "degraded" / name
    pairs = []
    for pair in data.pairs:
        try:
            pairs.append(degrade_pair(pair, root, steps, seed, window))
        except InputError:
            pairs.append(pair)
    layout = f"{data.layout}; degraded: {said}, seed {seed}"
    return replace(
        data,
        name=name,
        root=root,
        pairing=replace(data.pairing, pairs=tuple(pairs)),
        known=None,
        layout=layout,
    )
