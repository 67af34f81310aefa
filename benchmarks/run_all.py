"""All measurements in one go: `make bench`.

Speed runs anywhere; quality and video need pairs and clips below $IVFUSE_DATA (default: ../shared/data).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SETS = ("roadscene/val", "tno_val", "msrs640")


def commands(data: Path) -> list[list[str]]:
    """The programs and their arguments, for what lies below ``data``."""
    folders = [str(data / name) for name in SETS if (data / name).is_dir()]
    quoted = data.parent / "oracle" / "baselines.md"
    found = [["speed.py"], ["metrics.py"]]
    if folders:
        found.append(["quality.py", *folders, *(["--quoted", str(quoted)] if quoted.is_file() else [])])
    else:
        print(f"no folders of pairs below {data}: quality is not measured", file=sys.stderr)
    if (data.parent / "oracle" / "radiometric.csv").is_file():
        found.append(["thermal.py", "--shared", str(data.parent)])
    if (data / "labels").is_dir():
        found.append(["tasks.py", "--data", str(data), "-o", str(HERE.parent / "runs" / "tasks")])
    clips = data / "m3svd_video"
    if clips.is_dir():
        pair = [str(clips / role / "0113_1714.mp4") for role in ("ir", "vi")]
        found += [["video.py", "--clips", *pair], ["flicker.py", str(clips)], ["offset.py", str(clips)]]
    return found


def main() -> None:
    data = Path(os.environ.get("IVFUSE_DATA", HERE.parent.parent / "shared" / "data"))
    for command in commands(data):
        print(f"## {command[0]}\n", flush=True)
        subprocess.run([sys.executable, str(HERE / command[0]), *command[1:]], check=True)
        print(flush=True)


if __name__ == "__main__":
    main()
