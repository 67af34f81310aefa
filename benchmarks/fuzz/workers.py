"""Worker processes that judge cases one after another, under limits of processor time and memory.

A worker writes a line of JSON per case. The supervisor kills one that takes too long over a case, records the
case of one that dies, and starts the next worker with the case after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

CPU_SECONDS, MEMORY = 20, 2_000_000_000
IDLE_SECONDS = 120  # wall time without a result, for a case that waits instead of computing
_START_SECONDS = 300
_TICK = os.sysconf("SC_CLK_TCK")
_PROGRAM = Path(__file__).resolve().parents[1] / "hostile.py"


@dataclass(frozen=True)
class Record:
    """Outcome of a case, its processor time in seconds and its largest resident memory in bytes."""

    name: str
    result: str
    reason: str = ""
    details: str = ""
    seconds: float = 0.0
    memory: int = 0


def cpu_seconds(process: int) -> float:
    """Processor time of a process; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def judged(kind: str, seed: int, numbers: range) -> Iterator[Record]:
    """Judge the cases of a range in worker processes.

    Args:
        kind: one of ``TARGETS``.
        seed: of the run.
        numbers: of the cases.

    Yields:
        A record for each, in order.
    """
    following = numbers.start
    while following < numbers.stop:
        with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
            command = [
                sys.executable,
                str(_PROGRAM),
                "worker",
                kind,
                str(seed),
                str(following),
                str(numbers.stop),
            ]
            with subprocess.Popen(
                [*command, folder], stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
            ) as process:
                for record in _records(process, f"{kind}-{seed}-", following):
                    following += 1
                    yield record


def _records(process: subprocess.Popen[bytes], prefix: str, number: int) -> Iterator[Record]:
    """What a worker says until it ends; the case that ended it is the last one."""
    assert process.stdout is not None
    ready = False
    started, cpu = time.monotonic(), 0.0
    while True:
        why = ""
        if select.select([process.stdout], [], [], 0.5)[0]:
            line = process.stdout.readline()
            if line == b"ready\n":
                ready = True
            elif line.endswith(b"}\n"):
                number += 1
                yield Record(**json.loads(line))
            elif line == b"end\n":
                process.wait()
                return
            else:
                why = f"crash: the process ended with {process.wait()}"
            started, cpu = time.monotonic(), cpu_seconds(process.pid)
        elif cpu_seconds(process.pid) - cpu > CPU_SECONDS and ready:
            why = f"time: more than {CPU_SECONDS} s of processor time"
        elif time.monotonic() - started > (IDLE_SECONDS if ready else _START_SECONDS):
            why = f"time: nothing in {IDLE_SECONDS} s"
        if why and not ready:
            raise SystemExit(f"hostile: a worker did not start ({why})")
        if why:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            yield Record(f"{prefix}{number}", "failed", why)
            return


def work(kind: str, seed: int, numbers: range, folder: Path) -> None:
    """The program of a worker: prepare, limit the memory, judge, and say so."""
    from fuzz.targets import case_of

    lines, noise = _own_streams(folder)
    _prepare(kind, folder)
    lines.write("ready\n")
    for number in numbers:
        lines.write(json.dumps(asdict(_record(*case_of(kind, seed, number), folder, noise))) + "\n")
    lines.write("end\n")


def judge_here(name: str, data: bytes, folder: Path) -> Record:
    """Judge one case in this process, for ``--replay``."""
    with tempfile.TemporaryFile() as noise:
        return _record(name, data, folder, noise)


def _own_streams(folder: Path) -> tuple[IO[str], IO[bytes]]:
    """The pipe to the supervisor, and a file that takes what libraries print."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    noise = (folder / "noise").open("w+b")
    os.dup2(noise.fileno(), 1)
    os.dup2(noise.fileno(), 2)
    return lines, noise


def _prepare(kind: str, folder: Path) -> None:
    """Load all libraries with a valid file, since the limit counts what is used from then on."""
    from fuzz.seeds import corpus
    from fuzz.targets import judge
    from ivfuse.runtime.processes import limit_memory, prepare_worker

    prepare_worker(1)
    name = next(iter(corpus(kind)))
    judge(f"{kind}-0-0-{name}", corpus(kind)[name], _emptied(folder / "case"))
    if kind == "files":
        import torch

        torch.set_num_threads(1)
    limit_memory(4 * MEMORY if kind == "video" else MEMORY)


def _record(name: str, data: bytes, folder: Path, noise: IO[bytes]) -> Record:
    """Judge a case and measure it; what was printed makes it fail."""
    from fuzz.targets import judge

    noise.truncate(0)
    noise.seek(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory starts anew
    before, started = _status("VmRSS"), time.process_time()
    outcome = judge(name, data, _emptied(folder / "case"))
    facts: dict[str, Any] = asdict(outcome)
    facts |= {"seconds": round(time.process_time() - started, 4), "memory": max(0, _status("VmHWM") - before)}
    noise.seek(0)
    if (printed := noise.read(2000)) and outcome.result != "failed":
        facts |= {"result": "failed", "reason": f"printed: {printed.decode(errors='replace')[:250]}"}
    if facts["memory"] > MEMORY and facts["result"] != "failed":
        facts |= {"result": "failed", "reason": f"memory: {facts['memory'] / 1e9:.1f} GB"}
    return Record(name, **facts)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _status(name: str) -> int:
    """A value of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
