"""Accuracy of `ivfuse video --offset auto`: synchronized clips, of which one is cut at the start.

    python benchmarks/offset.py DATA/m3svd_video

Each clip with 30 and with 10 thermal frames per second; and the thermal of one clip with the visible of
another, which must be rejected.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common import make_parser
from ivfuse.errors import InputError
from ivfuse.video.frame import Frame
from ivfuse.video.open import open_source
from ivfuse.video.source import Modality
from ivfuse.video.time_offset import MotionSignal, estimate_offset, measure_motion

CUTS = ((0, 0), (40, 0), (0, 40), (75, 0), (0, 75), (200, 50))  # frames cut from thermal and visible
RATE = 30  # frames per second of the clips
MIN_FRAMES = 70  # that must remain after a cut


def read_frames(path: Path, modality: Modality) -> list[Frame]:
    return [x for x in open_source(str(path), modality).items() if isinstance(x, Frame)]


def motion_after(clip: list[Frame], cut: int, step: int = 1) -> MotionSignal:
    start = clip[cut].time
    return measure_motion(replace(frame, time=frame.time - start) for frame in clip[cut::step])


def estimate(ir: MotionSignal, vi: MotionSignal) -> str:
    try:
        found = estimate_offset(ir, vi)
    except InputError:
        return "rejected"
    return f"{found.seconds:+.3f}"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path, help="a folder with ir/ and vi/ that contain clips of equal names")
    data = parser.parse_args().data
    print("| thermal | visible | true s | 30 fps | 10 fps |", "|---|---|---|---|---|", sep="\n")
    previous: tuple[str, list[Frame]] | None = None
    for name in sorted(path.name for path in (data / "ir").iterdir()):
        ir, vi = read_frames(data / "ir" / name, "ir"), read_frames(data / "vi" / name, "vi")
        for cut_ir, cut_vi in CUTS:
            if max(cut_ir, cut_vi) > len(ir) - MIN_FRAMES:
                continue
            visible = motion_after(vi, cut_vi)
            found = [estimate(motion_after(ir, cut_ir, step), visible) for step in (1, 3)]
            cells = (name, name, f"{(cut_ir - cut_vi) / RATE:+.3f}", *found)
            print(f"| {' | '.join(cells)} |", flush=True)
        if previous is not None:
            found = [estimate(motion_after(previous[1], 0), motion_after(vi, 0)), ""]
            print(f"| {' | '.join((previous[0], name, 'none', *found))} |", flush=True)
        previous = name, ir


if __name__ == "__main__":
    main()
