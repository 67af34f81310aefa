"""Wherever a number of threads is given, it is 1 to 1024, and the error is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivfuse import Fuser, UsageError
from ivfuse.benchmark.latency import Cell
from ivfuse.benchmark.plan import Plan
from ivfuse.benchmark.tasks.detectors import DetectorOptions, load_model
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.onnx_method import OnnxMethod
from ivfuse.fusion.registry import create_method
from ivfuse.runtime.onnx import open_session
from ivfuse.runtime.processes import Worker
from ivfuse.video.open import open_source
from ivfuse.video.stream import StreamSource
from ivfuse.video.writer import EncoderOptions

FILE = Path("none.onnx")
TAKERS: dict[str, Callable[[Any], object]] = {
    "Fuser of a classical method": lambda n: Fuser("average", threads=n),
    "Fuser of a learned method": lambda n: Fuser("swift", threads=n),
    "create_method": lambda n: create_method("average", threads=n),
    "OnnxMethod": lambda n: OnnxMethod(MethodInfo("m", "learned", "", ""), FILE, threads=n),
    "open_session": lambda n: open_session(FILE, n),
    "Worker": lambda n: Worker("a:b", None, n),
    "Plan": lambda n: Plan((), (), (), (), FILE, threads=n),
    "Cell": lambda n: Cell("swift", 8, 8, 5, 1.0, n),
    "DetectorOptions": lambda n: DetectorOptions(threads=n),
    "load_model": lambda n: load_model(FILE, n),
    "open_source": lambda n: open_source("none.mp4", "vi", threads=n),
    "StreamSource": lambda n: StreamSource("none.mp4", "vi", threads=n),
    "EncoderOptions": lambda n: EncoderOptions(threads=n),
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        (0, "1 to 1024"),
        (-1, "1 to 1024"),
        (1025, "1 to 1024"),
        (1.5, "a whole number or None"),
        ("2", "a whole number or None"),
        (True, "a whole number or None"),
    ],
)
def test_a_wrong_number_of_threads_is_one_line(
    take: Callable[[Any], object], threads: Any, expected: str
) -> None:
    with pytest.raises(UsageError) as raised:
        take(threads)
    assert str(raised.value) == f"threads: found {threads!r}, expected {expected}"


@pytest.mark.parametrize("threads", ["0", "-1", "1025"])
@pytest.mark.parametrize("verb", ["fuse", "video", "bench", "benchmark", "fuse on a cluster"])
def test_the_command_line_says_the_same(
    ivfuse_cli: Callable[..., Any], tmp_path: Path, make_pair: Callable[..., Any], verb: str, threads: str
) -> None:
    pair = make_pair(tmp_path / "ir" / "1.png", tmp_path / "vi" / "1.png")
    given = {
        "fuse": ("fuse", *pair, "-o", tmp_path / "f.png"),
        "video": ("video", tmp_path / "ir", tmp_path / "vi", "-o", tmp_path / "f.mp4"),
        "bench": ("bench", "--methods", "average"),
        "benchmark": ("benchmark", "--data", tmp_path, "--methods", "average", "-o", tmp_path / "report"),
        "fuse on a cluster": ("fuse", tmp_path, "-o", tmp_path / "f", "--cluster", "local"),
    }[verb]
    said = ivfuse_cli(*given, f"--threads={threads}")
    assert said.code == 2
    assert said.err == f"ivfuse: error: --threads: found {threads}, expected 1 to 1024\n"
    assert not (tmp_path / "report").exists()
