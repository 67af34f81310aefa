"""Hostile files, requests and signals: everything must end in a result or in one clear line.

    python benchmarks/hostile.py images --count 10000                # also thermal, video, files
    python benchmarks/hostile.py cli --count 300                     # the command line, on files of all kinds
    python benchmarks/hostile.py uploads --count 1000                # a server on 127.0.0.1
    python benchmarks/hostile.py kills --count 100                   # folder, training and video runs
    python benchmarks/hostile.py all --out report.json
    python benchmarks/hostile.py --replay failures/images-0-4711-color.jpg

The corpus of small valid files is made from synthetic scenes (``fuzz/seeds.py``) and mutated
(``fuzz/mutations.py``); the same seed gives the same files with the same versions of the libraries.

A case is *done*, *refused* (an error of ivfuse, one line, nothing left) or *failed*: another exception,
a traceback, output of a library on the terminal, more than 20 s of processor time or 2 GB of memory, a crash,
an incomplete output, a leftover file. A failing file is saved under its name in ``--failures``, from which
``--replay`` runs it again; a command, request or kill is repeated by ``--first NUMBER --count 1``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import make_parser
from fuzz.seeds import KINDS
from fuzz.workers import Record, judge_here, judged, work

RESULTS = ("done", "refused", "failed")
COUNTS = {"images": 10_000, "thermal": 2000, "video": 1000, "files": 2000}
COUNTS |= {"cli": 300, "uploads": 1000, "kills": 100}


def records_of(kind: str, seed: int, numbers: range) -> Iterable[Record]:
    """Run the cases of a kind."""
    if kind in KINDS:
        return judged(kind, seed, numbers)
    from fuzz import commands, kills, uploads

    runs: dict[str, Callable[[int, range], Iterator[Record]]] = {
        "cli": commands.run,
        "uploads": uploads.run,
        "kills": kills.run,
    }
    return runs[kind](seed, numbers)


def run(kind: str, seed: int, numbers: range, failures: Path) -> dict[str, Any]:
    """Run a kind, print its failures as they come, and return the figures."""
    started, results, reasons = time.monotonic(), Counter[str](), Counter[str]()
    slowest = largest = 0.0
    failed = []
    for record in records_of(kind, seed, numbers):
        results[record.result] += 1
        slowest, largest = max(slowest, record.seconds), max(largest, record.memory)
        if record.result == "failed":
            reasons[record.reason.split(":")[0]] += 1
            failed.append(asdict(record))
            print(f"failed: {record.name}: {record.reason}", file=sys.stderr, flush=True)
            save(record, failures)
    figures = {"kind": kind, "seed": seed, "tried": sum(results.values()), **{r: results[r] for r in RESULTS}}
    figures |= {"cpu_seconds": round(slowest, 2), "memory_mb": round(largest / 1e6), "reasons": dict(reasons)}
    print(", ".join(f"{key} {value}" for key, value in figures.items()), flush=True)
    return figures | {"wall_seconds": round(time.monotonic() - started), "failures": failed}


def save(record: Record, failures: Path) -> None:
    """Keep the file of a failed case; a case without a file is repeated by its seed."""
    kind, seed, number, *_ = record.name.split("-")
    if kind in KINDS:
        from fuzz.targets import case_of

        failures.mkdir(parents=True, exist_ok=True)
        name, data = case_of(kind, int(seed), int(number))
        (failures / name).write_bytes(data)


def replay(path: Path) -> int:
    """Run a saved file again, and show what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        record = judge_here(path.name, path.read_bytes(), Path(folder))
    print(record.details or f"{record.result}: {record.reason}")
    return record.result == "failed"


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        kind, seed, first, stop, folder = sys.argv[2:]
        work(kind, int(seed), range(int(first), int(stop)), Path(folder))
        return
    parser = make_parser(__doc__)
    parser.add_argument("kind", nargs="*", choices=[*COUNTS, "all", []], help="what is run")
    parser.add_argument("--count", type=int, help=f"cases per kind; default: {COUNTS}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--out", type=Path, help="write a report as JSON")
    parser.add_argument("--failures", type=Path, default=Path("failures"), help="folder for failing files")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run a saved file again")
    chosen = parser.parse_args()
    if chosen.replay:
        sys.exit(replay(chosen.replay))
    kinds = list(COUNTS) if "all" in chosen.kind else chosen.kind
    if not kinds:
        parser.error("name a kind")
    figures = []
    for kind in kinds:
        figures.append(
            run(
                kind,
                chosen.seed,
                range(chosen.first, chosen.first + (chosen.count or COUNTS[kind])),
                chosen.failures,
            )
        )
        if chosen.out:
            chosen.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(each["failed"] for each in figures))


if __name__ == "__main__":
    main()
