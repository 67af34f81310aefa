"""Frames per second of `ivfuse video`, end to end: decode two clips, fuse in color, encode to H.264 (.mp4).

    python benchmarks/video.py DATA/m3svd_video/ir/CLIP.mp4 DATA/m3svd_video/vi/CLIP.mp4 [--runs 3]

Two kinds of runs. "fps": all threads as `ivfuse video` has them, the best of some runs, because other work
on a shared machine only takes away. "CPU ms": processor time of the whole process for a frame in these
runs, which other work changes little; two quiet cores give up to 2000 / CPU ms frames a second, as far as
the parts overlap. The parts are from a run in which each codec has one thread, so that its time is counted
where it belongs; the method's part is what the others leave of the whole. Methods are warm, files come from
and go to the disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import list_methods
from ivfuse.video.fuse import FrameFuser, VideoSummary, fuse_video
from ivfuse.video.source import open_source
from ivfuse.video.writer import Coding, FileSink


@dataclass(frozen=True)
class Row:
    """Frames per second, and milliseconds of processor time for a frame: in all, and of each part."""

    method: str
    fps: float
    cpu: float
    parts: dict[str, float]


def run(fuser: Fuser, ir: str, vi: str, seconds: float, threads: int) -> tuple[VideoSummary, float]:
    """One run, ended after some seconds; its summary and processor seconds of the process."""
    sources = open_source(ir, "ir", threads=threads), open_source(vi, "vi", threads=threads)
    stop = threading.Event()
    begun = time.perf_counter()

    def end(frame: object) -> None:
        if time.perf_counter() - begun > seconds:
            stop.set()

    with tempfile.TemporaryDirectory() as folder:
        sink = FileSink(Path(folder) / "out.mp4", sources[1].info.rate, Coding(threads=threads))
        cpu = time.process_time()
        summary = fuse_video(FrameFuser(fuser), *sources, sink, on_frame=end, stop=stop)
        return summary, time.process_time() - cpu


def measure(method: str, ir: str, vi: str, runs: int, seconds: float) -> Row:
    """A method's row of the table."""
    fuser = Fuser(method)
    info = open_source(vi, "vi").info
    warm = np.random.default_rng(0).random((info.height, info.width), dtype=np.float32)
    fuser.fuse_luma(warm, warm)
    found = [run(fuser, ir, vi, seconds, threads=0) for _ in range(runs)]
    fps = max(summary.frames / summary.seconds for summary, _ in found)
    cpu = min(cpu / summary.frames for summary, cpu in found)
    summary, whole = run(fuser, ir, vi, seconds, threads=1)
    parts = {name: cost / summary.frames * 1e3 for name, cost in summary.cpu.items()}
    # The threads of a runtime are not those that are measured.
    parts["method"] = whole / summary.frames * 1e3 - sum(v for name, v in parts.items() if name != "method")
    return Row(method, fps, cpu * 1e3, parts)


def markdown(rows: list[Row]) -> str:
    """The table, fastest method first."""
    lines = [
        "| method | fps | CPU ms per frame | decode both | luma, window, size | method | color | encode |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.cpu):
        p = row.parts
        cells = (p["decode ir"] + p["decode vi"], p["prepare"], p["method"], p["recolor"], p["encode"])
        lines.append(
            f"| {row.method} | {row.fps:.1f} | {row.cpu:.1f} | {' | '.join(f'{x:.2f}' for x in cells)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ir", help="thermal clip")
    parser.add_argument("vi", help="visible clip")
    parser.add_argument("--methods", default="all", help="names with commas between, or all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="after which a run is ended")
    args = parser.parse_args()
    info = open_source(args.vi, "vi").info
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    methods = list_methods() if args.methods == "all" else args.methods.split(",")
    cv2.setNumThreads(cores or 1)
    print(f"{Path(args.vi).name}, {info.width}x{info.height}, {cores} cores, load {os.getloadavg()[0]:.1f}\n")
    print(markdown([measure(name, args.ir, args.vi, args.runs, args.seconds) for name in methods]))


if __name__ == "__main__":
    main()
