"""Speed of `ivfuse video`, from files to a file, against plain transcoding of the visible.

    python benchmarks/video.py [--sizes 640x480,1280x720,1920x1080,3840x2160] [--methods swift] [--rounds 3]
    python benchmarks/video.py --clips DATA/m3svd_video/ir/CLIP.mp4 DATA/m3svd_video/vi/CLIP.mp4

Clips are H.264: a synthetic street that pans, thermal at most 640x512, visible at each size; or, with
`--clips`, the given clips with the visible resized. Transcoding decodes the visible and encodes it with the
settings of `ivfuse video`, nothing else; besides, the thermal is decoded alone. These and fusion take turns,
with one thread per codec and per runtime, and the least processor time of all rounds counts, which other load
changes little. All figures are relative to that of transcoding: "speed" is its time over that of the fusion,
"of both" the same with the thermal decoded besides, as any fusion must; the other columns are the share of
each part of the fusion, of which "rest" is what the encoder does in threads of its own, and queues. Fused
images are as hard to encode as their content makes them, which can be less or more than the visible.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from common import make_parser
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import quick_precision
from ivfuse.synthetic.street import street_scene
from ivfuse.video.frame import FULL, Frame
from ivfuse.video.frame_fuser import FrameFuser
from ivfuse.video.fuse import fuse_video
from ivfuse.video.open import open_source
from ivfuse.video.stream import visible_planes
from ivfuse.video.writer import EncoderOptions, VideoFileWriter

RATE = Fraction(25)
THERMAL = (640, 512)
PARTS = ("place", "luma", "method", "smooth", "carry up", "recolor", "encode")
Size = tuple[int, int]


@dataclass
class Cost:
    """Least processor seconds per frame, in total and of each part."""

    cpu: float = float("inf")
    parts: dict[str, float] = field(default_factory=dict)

    def add(self, cpu: float, parts: dict[str, float]) -> None:
        if cpu < self.cpu:
            self.cpu, self.parts = cpu, parts


def encoder() -> EncoderOptions:
    return EncoderOptions(threads=1)


def write_clip(path: Path, images: Iterator[np.ndarray], crf: int = 18) -> None:
    """Write gray or RGB images of 8 bit as H.264."""
    writer = VideoFileWriter(path, RATE, EncoderOptions(crf=crf), overwrite=True)
    for index, image in enumerate(images):
        pixels = av.VideoFrame.from_ndarray(image, "gray" if image.ndim == 2 else "rgb24")
        planes, _ = visible_planes(pixels.reformat(format="yuvj420p", dst_color_range=FULL))
        writer.write(Frame(tuple(np.array(plane) for plane in planes), float(index / RATE), index))
    writer.close()


def street(size: Size, frames: int, modality: str) -> Iterator[np.ndarray]:
    """A night street that pans by a pixel of 640 per frame, with grain."""
    scene = street_scene(480, 640 + frames, 0, "night")
    image = np.rint(255 * (scene.ir if modality == "ir" else scene.vi)).astype(np.uint8)
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 2, (2 * size[1], size[0])).astype(np.float32)
    for index in range(frames):
        part = cv2.resize(image[:, index : index + 640], size, interpolation=cv2.INTER_CUBIC)
        top = int(rng.integers(size[1]))
        noise = grain[top : top + size[1]]
        noisy = part + (noise if part.ndim == 2 else noise[..., np.newaxis])
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def resized(path: Path, size: Size | None, frames: int) -> Iterator[np.ndarray]:
    """The first frames of a clip."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == frames:
                return
            image = frame.to_ndarray(format="rgb24")
            yield image if size is None else cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)


def transcode(vi: Path, out: Path) -> float:
    """Decode and encode the visible; returns processor seconds per frame."""
    cpu, frames = time.process_time(), 0
    writer = VideoFileWriter(out, RATE, encoder(), overwrite=True)  # for its options only
    with av.open(str(vi)) as source, av.open(str(out), "w") as target:
        context = source.streams.video[0].codec_context
        context.thread_count = 1
        options = writer._encoder_options(context.width, context.height)
        stream = target.add_stream(writer.encoder, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = context.width, context.height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 2 * int(RATE)
        for frame in source.decode(video=0):
            frame.pict_type = 0
            target.mux(stream.encode(frame))
            frames += 1
        target.mux(stream.encode(None))
    return (time.process_time() - cpu) / frames


def decode(clip: Path) -> float:
    """Decode a clip; returns processor seconds per frame."""
    cpu = time.process_time()
    with av.open(str(clip)) as source:
        source.streams.video[0].codec_context.thread_count = 1
        frames = sum(1 for _ in source.decode(video=0))
    return (time.process_time() - cpu) / frames


def fuse(fuser: Fuser, ir: Path, vi: Path, out: Path) -> tuple[float, dict[str, float]]:
    """Fuse two clips; returns processor seconds per frame, in total and of each part."""
    cpu = time.process_time()
    sources = open_source(str(ir), "ir", threads=1), open_source(str(vi), "vi", threads=1)
    writer = VideoFileWriter(out, RATE, encoder(), overwrite=True)
    summary = fuse_video(FrameFuser(fuser), *sources, writer)
    parts = {part: seconds / summary.frames for part, seconds in summary.cpu.items()}
    return (time.process_time() - cpu) / summary.frames, parts


def fuser_of(method: str, *how: str) -> Fuser:
    """A method in the precision of `ivfuse video`, or the one that is named; at full size if it says so."""
    precision = next((each for each in ("fp32", "bf16", "int8") if each in how), quick_precision(method))
    return Fuser(method, threads=1, precision=precision, full_size="full size" in how)


def measure(ir: Path, vi: Path, methods: list[str], rounds: int, folder: Path) -> dict[str, Cost]:
    """Transcoding and the methods in turn."""
    ways = {name: fuser_of(*name.split(", ")) for name in methods}
    for way in ways.values():
        fuse(way, ir, vi, folder / "out.mp4")
    costs = {name: Cost() for name in ("transcode", "decode ir", *ways)}
    for _ in range(rounds):
        costs["transcode"].add(transcode(vi, folder / "plain.mp4"), {})
        costs["decode ir"].add(decode(ir), {})
        for name, way in ways.items():
            costs[name].add(*fuse(way, ir, vi, folder / "out.mp4"))
    return costs


def rows(size: Size, costs: dict[str, Cost]) -> Iterator[str]:
    plain, thermal = costs.pop("transcode").cpu, costs.pop("decode ir").cpu
    for name, cost in costs.items():
        decode = cost.parts["decode ir"] + cost.parts["decode vi"]
        parts = [decode, *(cost.parts[part] for part in PARTS)]
        cells = " | ".join(f"{seconds / plain:.2f}" for seconds in (*parts, cost.cpu - sum(parts)))
        speeds = f"{plain / cost.cpu:.2f} | {(plain + thermal) / cost.cpu:.2f}"
        yield f"| {size[0]}x{size[1]} | {name} | {speeds} | {cells} |"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", nargs=2, type=Path, metavar=("IR", "VI"))
    parser.add_argument("--sizes", default="640x480,1280x720,1920x1080,3840x2160")
    parser.add_argument("--methods", default="swift", help="names, separated by commas")
    parser.add_argument("--precision", action="append", default=[], help="fp32, bf16 or int8 besides")
    parser.add_argument("--full-size", action="store_true", help="also at the full size of the visible")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=24)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    methods = args.methods.split(",")
    methods += [f"{name}, {each}" for name in methods for each in args.precision]
    methods += [f"{name}, full size" for name in methods if args.full_size]
    columns = ("visible", "method", "speed", "of both", "decode", *PARTS, "rest")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for text in args.sizes.split(","):
        width, height = (int(side) for side in text.split("x"))
        with tempfile.TemporaryDirectory() as name:
            ir, vi = Path(name) / "ir.mp4", Path(name) / "vi.mp4"
            if args.clips:
                write_clip(ir, resized(args.clips[0], None, args.frames))
                write_clip(vi, resized(args.clips[1], (width, height), args.frames))
            else:
                thermal = (640, 480) if height <= 480 else THERMAL
                write_clip(ir, street(thermal, args.frames, "ir"))
                write_clip(vi, street((width, height), args.frames, "vi"))
            costs = measure(ir, vi, methods, args.rounds, Path(name))
        print("\n".join(rows((width, height), costs)), flush=True)


if __name__ == "__main__":
    main()
