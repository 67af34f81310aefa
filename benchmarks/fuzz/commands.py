"""The command line on mutated files: exit code, one line, no leftover, bounded time and memory."""

from __future__ import annotations

import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.seeds import KINDS, corpus
from fuzz.targets import BAGS, case_of, topics_of
from fuzz.workers import CPU_SECONDS, MEMORY, Record

_OURS = re.compile(
    r"ivfuse: |note|failed: |no partner: |ambiguous: |and \d+ more|Usage: |Try 'ivfuse|Error: |frame|fused "
)
_WRONG = re.compile(r"Traceback|unexpected [A-Z]\w+(?:Error|Exception)")
_BASE = 1_500_000_000  # private memory of a process with all libraries, most of which it never touches


@dataclass(frozen=True)
class Command:
    """The words after ``ivfuse``, the output that must exist after exit code 0, and the environment."""

    words: list[str | Path]
    out: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


def run(seed: int, numbers: range) -> Iterator[Record]:
    """Run one command per number."""
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            yield _record(f"cli-{seed}-{number}", command_of(seed, number, Path(folder)))


def command_of(seed: int, number: int, folder: Path) -> Command:
    """A command on a mutated file, which is written into ``folder/in``."""
    rng = random.Random(f"cli-{seed}-{number}")
    kind = rng.choices(KINDS, (5, 2, 2, 3))[0]
    name, data = case_of(kind, seed, number)
    own = name.split("-", 3)[3]
    for each in ("in", "out"):
        (folder / each).mkdir()
    hostile = folder / "in" / own
    hostile.write_bytes(data)
    ir, vi = folder / "in" / "sound-ir.png", folder / "in" / "sound-vi.png"
    ir.write_bytes(corpus("images")["gray-16.png"])
    vi.write_bytes(corpus("images")["color-8.png"])
    makers = {"images": _on_image, "thermal": _on_thermal, "video": _on_video, "files": _on_file}
    return makers[kind](hostile, ir, vi, folder / "out", rng)


def _fuse(*words: str | Path, out: Path) -> Command:
    return Command(["fuse", *words, "-o", out, "--method", "average"], out)


def _on_image(hostile: Path, ir: Path, vi: Path, out: Path, rng: random.Random) -> Command:
    verb = rng.choice(("vi", "vi", "ir", "ir", "16", "info", "eval", "register", "degrade"))
    fused = out / "fused.png"
    return {
        "vi": _fuse(ir, hostile, out=fused),
        "ir": _fuse(hostile, vi, "--scale", "0.01K", "--temperature", out / "t.tiff", out=fused),
        "16": _fuse(ir, hostile, "--bits", "16", "--colormap", "iron", "--scale", "0.01K", out=fused),
        "info": Command(["info", hostile, "--json"]),
        "eval": Command(["eval", hostile, ir, vi]),
        "register": Command(["register", ir, hostile, "-o", out / "rig.json"], out / "rig.json"),
        "degrade": Command(["degrade", hostile, vi, "-o", out, "--with", "fog:2"]),
    }[verb]


def _on_thermal(hostile: Path, ir: Path, vi: Path, out: Path, rng: random.Random) -> Command:
    fused = out / "fused.jpg"
    return rng.choice(
        (
            _fuse(hostile, out=fused),
            _fuse(hostile, vi, "--colormap", "iron", out=fused),
            Command(["info", hostile, "--temperature", out / "t.tiff"], out / "t.tiff"),
            Command(["info", hostile, "--photo", out / "p.png", "--json"], out / "p.png"),
        )
    )


def _on_video(hostile: Path, ir: Path, vi: Path, out: Path, rng: random.Random) -> Command:
    sound = hostile.with_name("sound.mkv")
    sound.write_bytes(corpus("video")["ffv1.mkv"])
    pair = (hostile, sound) if rng.random() < 0.4 else (sound, hostile)
    if hostile.suffix in BAGS:
        pair = topics_of(hostile)
    words = ["video", *pair, "-o", out / "fused.mp4", "--method", "average", "--quiet", "--duration", "60"]
    return Command([*words, *rng.choice(((), ("--offset", "auto"), ("--offset", "start")))])


def _on_file(hostile: Path, ir: Path, vi: Path, out: Path, rng: random.Random) -> Command:
    fused = out / "fused.png"
    what = hostile.stem.split("-")[0]
    if what == "manifest":
        hostile.rename(hostile.with_name("manifest.toml"))
        return Command(["methods"], None, {"IVFUSE_WEIGHTS": str(hostile.parent)})
    return {
        "recipe": Command(["train", hostile, "--data", out / "missing", "-o", out / "run"]),
        "weights": Command(["export", hostile, "-o", out / "net.onnx"], out / "net.onnx"),
        "state": Command(["convert", "--method", "crossfuse-topk", hostile, "-o", out / "net.safetensors"]),
        "graph": Command(["fuse", ir, vi, "-o", fused, "--method", hostile], fused),
        "points": Command(
            ["register", ir, vi, "-o", out / "rig.json", "--points", hostile], out / "rig.json"
        ),
        "rig": _fuse(ir, vi, "--rig", hostile, out=fused),
        "labels": Command(["register", ir, vi, "-o", out / "rig.json", "--points", hostile]),
    }[what]


def _record(name: str, command: Command) -> Record:
    """Run a command under limits and judge it."""
    words = [sys.executable, "-m", "ivfuse", *map(str, command.words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | command.environment
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(words, stdout=said, stderr=printed, env=environment, preexec_fn=_limit)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        error = printed.read().decode(errors="replace")
        said.seek(0)
        output = said.read().decode(errors="replace")
    seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    problem = _problem(command, process.returncode, output, error, memory)
    result = "failed" if problem else "done" if process.returncode == 0 else "refused"
    details = f"$ ivfuse {' '.join(map(str, command.words))}\n{output}\n{error}"[-4000:] if problem else ""
    return Record(name, result, problem or error.strip()[-200:], details, round(seconds, 2), memory)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (_BASE + MEMORY, _BASE + MEMORY))


def _problem(command: Command, code: int, output: str, error: str, memory: int) -> str:
    lines = error.splitlines()
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if found := _WRONG.search(error + output):
        return found[0]
    if memory > MEMORY:
        return f"memory: {memory / 1e9:.1f} GB"
    if foreign := [line for line in lines if line and not _OURS.match(line)]:
        return f"printed: {foreign[0][:200]}"
    reasons = [
        line for line in lines if line.startswith(("ivfuse: error", "failed: ", "Error: ", "ivfuse: "))
    ]
    if code and (len(reasons) != 1 or len(reasons[0]) > 1000):
        return f"exit code {code} with {len(reasons)} lines"
    return _problem_of_files(command, code)


def _problem_of_files(command: Command, code: int) -> str:
    if command.out is not None and (code == 0) != command.out.exists():
        return f"exit code {code}, but the output {'exists' if code else 'is missing'}"
    folder = command.out.parent if command.out else None
    left = [each.name for each in folder.iterdir() if ".part" in each.name] if folder else []
    return f"left behind: {left}" if left else ""
