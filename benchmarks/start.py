"""Processor time of short commands, from the start of their process to its end.

    python benchmarks/start.py                                # this version
    python benchmarks/start.py --against OLD/src --runs 30    # and another one, in turns

The pair has 640x480 pixels. The figure is the least of all runs, which other load on the machine affects
least; "wall" is the least time on the clock. A first run of each, which compiles modules to bytecode, does
not count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

HERE = Path(__file__).resolve().parents[1] / "src"
UNSET = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # as users start it


def cost(words: list[str], source: Path) -> tuple[float, float]:
    """Seconds of the processor and of the clock that a run of Python takes."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment["PYTHONPATH"] = str(source)
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, *words], environment, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--against", type=Path, metavar="SRC", help="the sources of another version")
    chosen = parser.parse_args()
    scene = street_scene(480, 640)
    with tempfile.TemporaryDirectory() as folder:
        ir, vi, out = (f"{folder}/{name}.png" for name in ("ir", "vi", "out"))
        write_image(ir, scene.ir)
        write_image(vi, scene.vi)
        commands = {
            "python -c pass": ["-c", "pass"],
            "import of cv2, numpy, onnxruntime": ["-c", "import cv2, numpy, onnxruntime"],
            "ivfuse --version": ["-m", "ivfuse", "--version"],
            "ivfuse fuse": ["-m", "ivfuse", "fuse", ir, vi, "-o", out, "--overwrite"],
        }
        versions = {"now": HERE, **({"before": chosen.against.resolve()} if chosen.against else {})}
        jobs = {
            (command, version): (words, source)
            for command, words in commands.items()
            for version, source in versions.items()
            if version == "now" or words[0] == "-m"
        }
        for job in jobs.values():
            cost(*job)
        rounds = [{name: cost(*job) for name, job in jobs.items()} for _ in range(chosen.runs)]
    print(f"{'command':34}  {'':6}  CPU ms  wall ms")
    for name in jobs:
        cpu, wall = (1000 * min(each[name][i] for each in rounds) for i in (0, 1))
        print(f"{name[0]:34}  {name[1]:6}  {cpu:6.0f}  {wall:7.0f}")


if __name__ == "__main__":
    main()
