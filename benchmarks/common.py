"""What several programs share: arguments, costs of a call, tables in Markdown.

Nothing of ivfuse is imported: `metrics.py` runs with another version of it too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Sequence


def make_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the docstring of the program, line by line."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown, without a line break at its end."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def median_cost(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """Median wall and processor seconds of a call, after one that is not counted."""
    work()
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)
