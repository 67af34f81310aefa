"""Latency of live fusion: the time from a frame being available to its fused frame being ready to show.

    python benchmarks/latency.py [--sizes 640x480,1920x1080] [--method swift] [--seconds 20] [--threads N]

Two sources produce a panning night street at 30 frames per second each, as cameras do: a frame that is not
taken in time is lost. The cameras are not synchronized: the thermal frame comes later than the visible one
by an amount that grows from 0 to one frame period over a run. They are fused by the code of `ivfuse video
--preview`, with its threads, queues and pairing, and a viewer reads the page of the preview.

    waiting     until fusion starts: thread switches, the queue, and waiting for a thermal frame
    fusing      placing the thermal, the method, smoothing, color
    ready       the sum of both: the fused frame is handed to the preview, or to the program that shows it
    in viewer   until a viewer has received the image: conversion to RGB, JPEG, HTTP; of the images received

    processor   processor time of the fusing thread, which with `--threads 1` runs the network too: what
                fusing takes where no other program uses the cores

Figures are milliseconds; frames of the first second are left out, in which libraries set up their memory.
"""

from __future__ import annotations

import argparse
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np

from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import quick_precision
from ivfuse.video.frame import BT601, Frame
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.fuse import fuse_video
from ivfuse.video.preview import preview
from ivfuse.video.source import SourceInfo, SourceStats
from video import THERMAL, Size, street

RATE = 30
SCENES = 30  # different frames, shown forward and backward
BITS, CELL = 16, 16  # of the frame number that is drawn into the image for the viewer, and pixels of a bit


class PacedSource:
    """A camera: frames become available at fixed times, whether the one before was taken or not."""

    def __init__(self, name: str, planes: list[tuple[np.ndarray, ...]], seconds: float, delay: float) -> None:
        """`delay`: by how much the last frame is later than its regular time; it grows from 0."""
        height, width = planes[0][0].shape
        self.info = SourceInfo(name, width, height, Fraction(RATE), None, live=True)
        self.stats = SourceStats()
        self._planes = planes + planes[-2:0:-1]
        self._count, self._delay = round(seconds * RATE), delay

    def items(self) -> Iterator[Frame]:
        started = time.monotonic() + 0.5
        for index in range(self._count):
            due = started + index / RATE + self._delay * index / self._count
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            elif left < -1 / RATE:
                continue
            self.stats.frames += 1
            planes = self._planes[index % len(self._planes)]
            yield Frame(planes, time.monotonic(), index, matrix=BT601)

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Times:
    """When what happened to each visible frame, by its index, in seconds of the monotonic clock."""

    available: dict[int, float] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    ready: dict[int, float] = field(default_factory=dict)
    viewed: dict[int, float] = field(default_factory=dict)
    processor: dict[int, float] = field(default_factory=dict)  # seconds of work

    def milliseconds(self) -> dict[str, np.ndarray]:
        """Of each stage, for the frames after the first second."""
        late = [index for index in self.ready if index >= RATE]
        seen = [index for index in self.viewed if index >= RATE]
        pairs = {
            "waiting": [self.started[index] - self.available[index] for index in late],
            "fusing": [self.ready[index] - self.started[index] for index in late],
            "ready": [self.ready[index] - self.available[index] for index in late],
            "in viewer": [self.viewed[index] - self.ready[index] for index in seen],
            "processor": [self.processor[index] for index in late],
        }
        return {stage: 1000 * np.array(seconds) for stage, seconds in pairs.items()}


class TimedFuser(FrameFuser):
    """Notes when the fusion of a frame starts."""

    def fuse(self, ir: Frame, vi: Frame) -> Frame:
        TIMES.available[vi.index], TIMES.started[vi.index] = vi.time, time.monotonic()
        spent = time.thread_time()
        try:
            return super().fuse(ir, vi)
        finally:
            TIMES.processor[vi.index] = time.thread_time() - spent


TIMES = Times()


def frames(size: Size, modality: str) -> list[tuple[np.ndarray, ...]]:
    """Planes of a street: one of a thermal image, Y, U and V with 4:2:0 of a visible one."""
    images = street(size, SCENES, modality)
    if modality == "ir":
        return [(image,) for image in images]
    height, width = size[1], size[0]
    found = []
    for image in images:
        yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        quarter = (2, height // 2, width // 2)
        found.append((yuv[:height], *yuv[height:].reshape(quarter)))
    return found


def numbered(frame: Frame) -> Frame:
    """Draw the number of a frame as black and white cells into its first rows."""
    plane = frame.planes[0].copy()
    for bit in range(BITS):
        plane[:CELL, bit * CELL : (bit + 1) * CELL] = 235 * (frame.index >> bit & 1)
    return replace(frame, planes=(plane, *frame.planes[1:]))


def number_of(jpeg: bytes) -> int:
    """The number that :func:`numbered` has drawn."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    cells = image[:CELL, : BITS * CELL].reshape(CELL, BITS, CELL).mean(axis=(0, 2))
    return sum(int(level > 128) << bit for bit, level in enumerate(cells))


def view(url: str) -> None:
    """Receive images until the stream ends, and note the time of each."""
    received = []
    with urllib.request.urlopen(url + "stream.mjpg") as stream:
        while line := stream.readline():
            if line.lower().startswith(b"content-length:"):
                stream.readline()
                received.append((stream.read(int(line.split(b":")[1])), time.monotonic()))
    TIMES.viewed.update({number_of(jpeg): when for jpeg, when in received})


def run(size: Size, method: str, seconds: float, threads: int | None) -> str:
    """Fuse one size; returns rows of the table."""
    for times in vars(TIMES).values():
        times.clear()
    thermal = (640, 480) if size[1] <= 480 else THERMAL
    sources = (
        PacedSource("thermal", frames(thermal, "ir"), seconds, 1 / RATE),
        PacedSource("visible", frames(size, "vi"), seconds, 0.0),
    )
    urls: list[str] = []
    with preview(0, urls.append) as show:
        viewer = threading.Thread(target=view, args=urls, daemon=True)
        viewer.start()

        def ready(frame: Frame) -> None:
            TIMES.ready[frame.index] = time.monotonic()
            show(numbered(frame))

        fuser = TimedFuser(Fuser(method, threads=threads, precision=quick_precision(method)))
        summary = fuse_video(fuser, *sources, None, on_frame=ready)
    viewer.join()
    rows = []
    for stage, values in TIMES.milliseconds().items():
        low, middle, high = np.percentile(values, (50, 90, 99))
        rows.append(
            f"| {size[0]}x{size[1]} | {stage} | {low:.1f} | {middle:.1f} | {high:.1f} | {len(values)} |"
        )
    lost = (
        f"of {round(seconds * RATE)} visible frames {summary.frames} were fused, {summary.dropped} frames of"
    )
    return "\n".join(rows) + f"\n\n{lost} both sources were dropped, {len(TIMES.viewed)} were viewed\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="640x480,1920x1080")
    parser.add_argument("--method", default="swift")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, help="of the network")
    args = parser.parse_args()
    for text in args.sizes.split(","):
        width, height = (int(side) for side in text.split("x"))
        print("| visible | stage | median | 90 % | 99 % | frames |\n|---|---|---|---|---|---|")
        print(run((width, height), args.method, args.seconds, args.threads), flush=True)


if __name__ == "__main__":
    main()
