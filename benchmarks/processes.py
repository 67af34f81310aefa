"""Fusions a second of one process and of several at once, each with one thread.

    python benchmarks/processes.py                                  # 1 and 2 processes, three rounds
    python benchmarks/processes.py --processes 1 2 4 --seconds 20 --runtime onnxruntime

A fusion is what a worker of `ivfuse serve` does for a request: two PNG files in, one PNG file out. The
numbers of processes take turns, and a ratio is that of one round, since other load on the machine changes
between rounds. "CPU ms" is processor time per fusion, the least of the rounds: it rises where processes
hinder one another.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.write import write_image
from ivfuse.runtime.processes import Worker
from ivfuse.synthetic.street import street_scene


@dataclass(frozen=True)
class Round:
    """Fusions a second of all processes together, and processor seconds per fusion."""

    rate: float
    cpu: float


class Fusing:
    """Fuses the pair in a folder again and again; built inside a process."""

    def __init__(self, setup: tuple[str, str]) -> None:
        folder, runtime = setup
        if hasattr(os, "setsid"):
            os.setsid()  # as a worker of the server: Linux may share out the cores by sessions
        self.folder = Path(folder)
        self.fuser = Fuser(runtime=runtime, device="cpu", threads=1)

    def __call__(self, request: tuple[int, float]) -> tuple[float, float]:
        """Fuse for some seconds; returns fusions a second and processor seconds per fusion."""
        number, seconds = request
        files = self.folder / "ir.png", self.folder / "vi.png", self.folder / f"{number}.png"
        self.fuser.fuse_files(*files)
        done, started, cpu = 0, time.perf_counter(), time.process_time()
        while (took := time.perf_counter() - started) < seconds:
            self.fuser.fuse_files(*files)
            done += 1
        return done / took, (time.process_time() - cpu) / done


def measure(workers: list[Worker], seconds: float) -> Round:
    """Let processes fuse at the same time."""
    for number, worker in enumerate(workers):
        worker.send((number, seconds))
    replies = [worker.receive() for worker in workers]
    for reply in replies:
        if reply.failure:
            raise SystemExit(reply.failure)
    rates, cpus = zip(*(reply.value for reply in replies), strict=True)
    return Round(sum(rates), sum(cpus) / len(cpus))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--runtime", default="auto", help="auto, openvino or onnxruntime")
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    scene = street_scene(height, width)
    with tempfile.TemporaryDirectory() as folder:
        write_image(Path(folder) / "ir.png", scene.ir)
        write_image(Path(folder) / "vi.png", scene.vi)
        workers = [
            Worker("processes:Fusing", (folder, chosen.runtime), threads=1)
            for _ in range(max(chosen.processes))
        ]
        try:
            measure(workers, 0.1)  # libraries are loaded and graphs compiled
            rounds = [
                [measure(workers[:count], chosen.seconds) for count in chosen.processes]
                for _ in range(chosen.rounds)
            ]
        finally:
            for worker in workers:
                worker.close()
    print(f"{chosen.size}, runtime {chosen.runtime}, {chosen.seconds:g} s, {chosen.rounds} rounds\n")
    print("processes  fusions a second (best)  CPU ms  times the first, by round")
    for count, column in zip(chosen.processes, zip(*rounds, strict=True), strict=True):
        best, cpu = max(each.rate for each in column), min(each.cpu for each in column)
        ratios = " ".join(f"{each.rate / row[0].rate:.2f}" for each, row in zip(column, rounds, strict=True))
        print(f"{count:9}  {best:23.1f}  {1000 * cpu:6.1f}  {ratios}")


if __name__ == "__main__":
    main()
