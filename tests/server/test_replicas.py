"""Two servers behind one port: both answer, one may go away, bad input and overload are as with one."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="the system has no SO_REUSEPORT")


def start(port: int) -> subprocess.Popen[str]:
    words = ["serve", "--port", str(port), "--reuse-port", "--workers", "1", "--queue", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ivfuse", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert "serves at" in process.stdout.readline(), process.stderr and process.stderr.read()
    return process


@pytest.fixture(scope="module")
def replicas() -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    with socket.socket() as probe:  # holds the port without listening, so that it is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        processes = [start(port), start(port)]
    yield f"http://127.0.0.1:{port}", processes
    for process in processes:
        process.kill()
        process.communicate()


def who(url: str) -> str:
    """The start time of the server that answers a new connection."""
    text = httpx.get(f"{url}/metrics", timeout=30).text
    found = re.search(r"^process_start_time_seconds (\S+)", text, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.slow
def test_two_servers_share_a_port(
    replicas: tuple[str, list[subprocess.Popen[str]]],
    tmp_path: Path,
    make_pair: Callable[..., tuple[Path, Path]],
) -> None:
    url, processes = replicas
    assert len({who(url) for _ in range(40)}) == 2  # the chance of one alone is 2^-39
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png", size=(240, 320))
    files = {"ir": ir.read_bytes(), "vi": vi.read_bytes()}

    def post(content: dict[str, bytes]) -> tuple[int, bytes]:
        answer = httpx.post(f"{url}/api/fuse", files=content, data={"method": "average"}, timeout=120)
        return answer.status_code, answer.content

    assert len({post(files) for _ in range(8)}) == 1  # the same image, whoever answers
    bad = {post({**files, "vi": b"nothing"}) for _ in range(8)}
    assert {status for status, _ in bad} == {415}
    assert len(bad) == 1
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        statuses = [status for status, _ in pool.map(lambda _: post(files), range(48))]
    assert set(statuses) <= {200, 429}  # the queues hold one request each
    assert 200 in statuses
    processes[0].send_signal(signal.SIGINT)
    processes[0].communicate(timeout=30)
    deadline = time.monotonic() + 10
    while len({who(url) for _ in range(10)}) != 1:
        assert time.monotonic() < deadline
    assert post(files)[0] == 200
