"""Time and memory: each method at 640x480, the command from process start to file, and large images.

    python benchmarks/speed.py [--runs 5] [--no-paper] [--no-large]

Wall and CPU seconds are medians; a shared machine makes single figures unreliable. Peak memory is the largest
resident set of the process. Inputs are synthetic scenes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from common import make_parser, markdown_table, median_cost
from ivfuse.fusion.onnx_method import OnnxMethod
from ivfuse.fusion.registry import create_method, list_methods, method_info
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma
from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

IVFUSE = [sys.executable, "-m", "ivfuse"]


@dataclass(frozen=True)
class Cost:
    """Medians in seconds; memory in MiB where a process of its own was measured."""

    wall: float
    cpu: float
    memory: float = float("nan")


def inside(work: Callable[[], object], runs: int) -> Cost:
    """Cost of a call in this process, after one that is not counted."""
    return Cost(*median_cost(work, runs))


# The peak memory of a process counts from the one it was forked from: this one, with all its networks. So
# a small process starts the command and measures it.
LAUNCHER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
wall = time.perf_counter() - start
print(json.dumps([status, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def process(command: list[str], runs: int) -> Cost:
    """Cost of a command from process start to end, after one run that is not counted."""
    costs = []
    for _ in range(runs + 1):
        told = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, check=True)
        status, *cost = json.loads(told.stdout)
        if status:
            raise SystemExit(f"{' '.join(command)}: exit status {status}")
        costs.append(cost)
    walls, cpus, memory = zip(*costs[1:] or costs, strict=True)
    return Cost(statistics.median(walls), statistics.median(cpus), max(memory))


def methods_table(runs: int, *, paper: bool) -> list[tuple[str, Cost]]:
    """Every method alone on one 640x480 pair of lumas, trained ones under every runtime."""
    scene = street_scene(480, 640, 0, "night")
    ir, vi = scene.ir, luma(scene.vi)
    rows = []
    for name in list_methods():
        choices: list[dict[str, str]] = [{}]
        if method_info(name).kind == "learned":
            choices = [{"runtime": "onnxruntime"}]
            if find_spec("openvino"):
                choices += [{"runtime": "openvino", "precision": p} for p in ("fp32", "bf16")]
        for choice in choices:
            method = create_method(name, **choice)  # type: ignore[arg-type]
            label = " ".join([name, *choice.values()])
            rows.append((label, inside(lambda method=method: method.fuse(ir, vi), runs)))  # type: ignore[misc]
    if paper:
        from crossfuse_cam_paper_release import measure

        found = measure(max(1, runs // 2))
        for key, label in (("release", "as released, window by window"), ("vectorized", "vectorized")):
            rows.append((f"crossfuse-cam paper variant, torch fp32, {label}", Cost(*found[key].values())))
        rows += topk_sizes(ir, vi, max(1, runs // 2))
    return rows


def topk_sizes(ir: Gray, vi: Gray, runs: int) -> list[tuple[str, Cost]]:
    """crossfuse-topk of the paper's width and depth, random weights: the fixed variant and the paper's."""
    import torch

    from ivfuse.training.export import write_graph
    from ivfuse.training.nets import build_net

    rows = []
    info = method_info("crossfuse-topk")
    with tempfile.TemporaryDirectory() as name:
        for stride in (4, 2):
            file = Path(name) / f"{stride}.onnx"
            write_graph(build_net("crossfuse-topk", width=64, blocks=4, heads=8, stride=stride), file)
            method = OnnxMethod(info, file, runtime="onnxruntime")
            label = f"crossfuse-topk full size, stride {stride}, onnxruntime"
            rows.append((label, inside(lambda method=method: method.fuse(ir, vi), runs)))  # type: ignore[misc]
    net = build_net("crossfuse-topk", "paper").eval()
    a, b = (torch.from_numpy(np.ascontiguousarray(x))[None, None] for x in (ir, vi))
    with torch.no_grad():
        rows.append(("crossfuse-topk paper variant, torch fp32, eager", inside(lambda: net(a, b), 1)))
    return rows


def commands_table(runs: int, folder: Path) -> list[tuple[str, Cost]]:
    """The import and the command on one 640x480 pair of files."""
    ir, vi = _write_pair(folder, 480, 640)
    rows = [
        ("python -c pass", process([sys.executable, "-c", "pass"], runs)),
        ("import ivfuse", process([sys.executable, "-c", "import ivfuse"], runs)),
    ]
    for name in list_methods():
        command = [
            *IVFUSE,
            "fuse",
            ir,
            vi,
            "-o",
            str(folder / "out.png"),
            "--method",
            name,
            "--overwrite",
            "--quiet",
        ]
        rows.append((f"ivfuse fuse --method {name}", process(command, runs)))
    return rows


def large_table(folder: Path) -> list[tuple[str, Cost]]:
    """The default method on growing images, one run each."""
    rows = []
    for height, width in ((1500, 2000), (3000, 4000), (6000, 8000)):
        ir, vi = _write_pair(folder, height, width)
        command = [*IVFUSE, "fuse", ir, vi, "-o", str(folder / "large.jpg"), "--overwrite", "--quiet"]
        rows.append((f"ivfuse fuse, {width}x{height}, default method", process(command, 0)))
    return rows


def _write_pair(folder: Path, height: int, width: int) -> tuple[str, str]:
    scene = street_scene(480, 640, 0, "day")
    times = (-(-height // 480), -(-width // 640))
    ir, vi = folder / f"ir-{width}.png", folder / f"vi-{width}.jpg"
    write_image(ir, np.tile(scene.ir, times)[:height, :width])
    write_image(vi, np.tile(scene.vi, (*times, 1))[:height, :width])
    return str(ir), str(vi)


def markdown(title: str, rows: list[tuple[str, Cost]]) -> str:
    """A table of costs."""
    cells = []
    for label, cost in rows:
        memory = "" if np.isnan(cost.memory) else f"{cost.memory:.0f}"
        cells.append((label, f"{cost.wall:.4f}", f"{cost.cpu:.4f}", memory))
    return markdown_table((title, "wall s", "CPU s", "peak MiB"), cells)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-paper", action="store_true", help="leave the papers' networks out")
    parser.add_argument("--no-large", action="store_true", help="leave the large images out")
    args = parser.parse_args()
    print(
        markdown("640x480, one pair in memory", methods_table(args.runs, paper=not args.no_paper)), end="\n\n"
    )
    with tempfile.TemporaryDirectory() as name:
        rows = commands_table(args.runs, Path(name))
        print(markdown("process start to end", rows), end="\n\n", flush=True)
        if not args.no_large:
            print(markdown("large images", large_table(Path(name))), end="\n\n")


if __name__ == "__main__":
    main()
