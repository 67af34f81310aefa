"""Speed of `ivfuse video`, end to end: decode two clips, fuse in color, encode to H.264 (.mp4).

    python benchmarks/video.py DATA/m3svd_video/ir/CLIP.mp4 DATA/m3svd_video/vi/CLIP.mp4 [--runs 3]

"fps" and "CPU ms per frame" come from runs with the threads of `ivfuse video`. fps is the best of several
runs, because other load on the machine only slows a run down. CPU ms is the processor time of the whole
process, which other load changes little; two idle cores reach up to 2000 / CPU ms frames per second, as far
as the parts overlap. The times of the parts come from a run with one thread per codec, so that the time of a
codec is counted in its own thread; the method's part is what remains of the total. Methods are warmed up
first; files are read from and written to disk.
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
from ivfuse.video.open import open_source
from ivfuse.video.writer import EncoderOptions, VideoFileWriter


@dataclass(frozen=True)
class Row:
    """Frames per second, and milliseconds of processor time per frame: in total, and of each part."""

    method: str
    fps: float
    cpu: float
    parts: dict[str, float]


def run(fuser: Fuser, ir: str, vi: str, seconds: float, threads: int) -> tuple[VideoSummary, float]:
    """Fuse for some seconds; returns the summary and the processor seconds of the process."""
    sources = open_source(ir, "ir", threads=threads), open_source(vi, "vi", threads=threads)
    stop = threading.Event()
    started = time.perf_counter()

    def stop_in_time(frame: object) -> None:
        if time.perf_counter() - started > seconds:
            stop.set()

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.mp4"
        writer = VideoFileWriter(out, sources[1].info.rate, EncoderOptions(threads=threads))
        cpu = time.process_time()
        summary = fuse_video(FrameFuser(fuser), *sources, writer, on_frame=stop_in_time, stop=stop)
        return summary, time.process_time() - cpu


def measure(method: str, ir: str, vi: str, runs: int, seconds: float) -> Row:
    """Measure one method."""
    fuser = Fuser(method)
    info = open_source(vi, "vi").info
    noise = np.random.default_rng(0).random((info.height, info.width), dtype=np.float32)
    fuser.fuse_luma(noise, noise)  # warm up
    results = [run(fuser, ir, vi, seconds, threads=0) for _ in range(runs)]
    fps = max(summary.frames / summary.seconds for summary, _ in results)
    cpu = min(cpu / summary.frames for summary, cpu in results)
    summary, total = run(fuser, ir, vi, seconds, threads=1)
    parts = {name: cost / summary.frames * 1e3 for name, cost in summary.cpu.items()}
    # A runtime computes in threads of its own, which the summary does not measure.
    parts["method"] = total / summary.frames * 1e3 - sum(v for name, v in parts.items() if name != "method")
    return Row(method, fps, cpu * 1e3, parts)


def markdown(rows: list[Row]) -> str:
    """The table, fastest method first."""
    lines = [
        "| method | fps | CPU ms per frame | decode both | luma, gain, resize | method | color | encode |",
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
    parser.add_argument("--methods", default="all", help="comma-separated names, or all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="maximum duration of a run")
    args = parser.parse_args()
    info = open_source(args.vi, "vi").info
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    methods = list_methods() if args.methods == "all" else args.methods.split(",")
    cv2.setNumThreads(cores or 1)
    print(f"{Path(args.vi).name}, {info.width}x{info.height}, {cores} cores, load {os.getloadavg()[0]:.1f}\n")
    print(markdown([measure(name, args.ir, args.vi, args.runs, args.seconds) for name in methods]))


if __name__ == "__main__":
    main()
