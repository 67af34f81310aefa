"""How well `ivfuse video --offset auto` finds an offset: clips in step, one of them cut at the start.

    python benchmarks/offset.py DATA/m3svd_video

Every clip with 30 and with 10 thermal frames a second; and the thermal of one clip with the visible of
another, which must be refused.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ivfuse.errors import InputError
from ivfuse.video.frame import Frame
from ivfuse.video.source import open_source
from ivfuse.video.time_offset import Motion, estimate_offset, motion_of

CUTS = ((0, 0), (40, 0), (0, 40), (75, 0), (0, 75), (200, 50))  # frames cut from thermal and visible


def frames(path: Path, role: str) -> list[Frame]:
    return [x for x in open_source(str(path), role).items() if isinstance(x, Frame)]  # type: ignore[arg-type]


def motion(clip: list[Frame], cut: int, step: int = 1) -> Motion:
    start = clip[cut].time
    return motion_of(replace(frame, time=frame.time - start) for frame in clip[cut::step])


def said(ir: Motion, vi: Motion) -> str:
    try:
        found = estimate_offset(ir, vi)
    except InputError:
        return "refused"
    return f"{found.seconds:+.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder with ir/ and vi/ that hold clips of equal names")
    data = parser.parse_args().data
    print("| thermal | visible | true s | found, 30 fps | found, 10 fps |", "|---|---|---|---|---|", sep="\n")
    before: tuple[str, list[Frame]] | None = None
    for name in sorted(path.name for path in (data / "ir").iterdir()):
        ir, vi = (frames(data / role / name, role) for role in ("ir", "vi"))
        for cut_ir, cut_vi in CUTS:
            if max(cut_ir, cut_vi) > len(ir) - 70:
                continue
            visible = motion(vi, cut_vi)
            found = [said(motion(ir, cut_ir, step), visible) for step in (1, 3)]
            print(
                f"| {name} | {name} | {(cut_ir - cut_vi) / 30:+.3f} | {found[0]} | {found[1]} |", flush=True
            )
        if before is not None:
            print(
                f"| {before[0]} | {name} | none | {said(motion(before[1], 0), motion(vi, 0))} | |", flush=True
            )
        before = name, ir


if __name__ == "__main__":
    main()
