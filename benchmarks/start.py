"""Time of short commands, from the start of their process to its end.

    python benchmarks/start.py                                # this version
    python benchmarks/start.py --against OLD/src --runs 40    # and another one, in turns

The pair has 640x480 pixels, and commands run as the installed script runs them. Figures are the least and the
median of all runs: "CPU" is processor time, "clock" the time that passed, and "alone" that time less what the
main thread waited for a core that others held (Linux): about the time on a machine with nothing else to do,
but for what other threads waited. A first run of each, which compiles modules, does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

HERE = Path(__file__).resolve().parents[1] / "src"
UNSET = ("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # as users start it


SCRIPT = ("-c", "import re, sys; from ivfuse.__main__ import main; sys.exit(main())")
FIGURES = ("CPU", "clock", "alone")


def cost(words: list[str], source: Path) -> tuple[float, ...]:
    """Seconds of :data:`FIGURES` that a run of Python takes."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    environment["PYTHONPATH"] = str(source)
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    child = os.posix_spawn(sys.executable, [sys.executable, *words], environment, file_actions=quiet)
    waited = waited_for_a_core(child)
    _, status, usage = os.wait4(child, 0)
    clock = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, clock, clock - waited


def waited_for_a_core(process: int) -> float:
    """Seconds that the main thread of a process was ready to run and did not, at its end; Linux only."""
    if sys.platform != "linux":
        return 0.0
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


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
            "ivfuse --version": [*SCRIPT, "--version"],
            "ivfuse fuse": [*SCRIPT, "fuse", ir, vi, "-o", out, "--overwrite"],
        }
        versions = {"now": HERE, **({"before": chosen.against.resolve()} if chosen.against else {})}
        jobs = {
            (command, version): (words, source)
            for command, words in commands.items()
            for version, source in versions.items()
            if version == "now" or words[1] == SCRIPT[1]
        }
        for job in jobs.values():
            cost(*job)
        rounds = [{name: cost(*job) for name, job in jobs.items()} for _ in range(chosen.runs)]
    print(f"{'command, ms':42}" + "".join(f"{each:>7}{'median':>7}" for each in FIGURES))
    for name in jobs:
        columns = zip(*(each[name] for each in rounds), strict=True)
        shown = "".join(f"{1000 * min(x):7.0f}{1000 * statistics.median(x):7.0f}" for x in columns)
        print(f"{name[0]:34}  {name[1]:6}{shown}")


if __name__ == "__main__":
    main()
