"""Servers for tests: the real one at a port of its own, run in a thread; images to send to it."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

for needed in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx"):
    if importlib.util.find_spec(needed) is None:
        collect_ignore_glob = ["test_*.py"]  # the extra `serve` is not installed

SLOW = Path(__file__).with_name("slow_worker.py")
CLIENT_TIMEOUT = 0.6  # seconds


@dataclass(frozen=True)
class Running:
    """A server that runs, and a client for it."""

    url: str
    client: Any
    state: Any

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def fuse(self, ir: bytes, vi: bytes | None = None, **fields: Any) -> Any:
        files = {"ir": ("ir.png", ir)} | ({} if vi is None else {"vi": ("vi.png", vi)})
        return self.client.post("/api/fuse", files=files, data=fields)

    def total(self, name: str) -> float:
        """The value of a metric of the server, summed over its labels."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{"))
        )


@contextmanager
def running(slow: bool = False, prelude: str = "", **choices: Any) -> Iterator[Running]:
    """Run a server.

    ``slow`` gives it workers that only sleep or die, as the request says; ``prelude`` is what others execute
    first.
    """
    import httpx
    import uvicorn

    from ivfuse.server import server
    from ivfuse.server.app import create_app
    from ivfuse.server.pool import WORKER_COMMAND
    from ivfuse.server.settings import Settings

    settings = Settings(port=0, **{"workers": 1, "client_timeout": CLIENT_TIMEOUT} | choices)
    worker = f"{prelude}; from ivfuse.server.worker import main; main()"
    changed = (sys.executable, str(SLOW)) if slow else (sys.executable, "-c", worker)
    app = create_app(settings, changed if slow or prelude else WORKER_COMMAND)
    bound = server.listen(settings)
    config: uvicorn.Config = server.uvicorn_config(app, settings)
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not runner.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert runner.started
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    token = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    try:
        with httpx.Client(base_url=url, timeout=60, headers=token, trust_env=False) as client:
            yield Running(url, client, app.state.ivfuse)
    finally:
        runner.should_exit = True
        thread.join(20)
        bound.close()
    assert not thread.is_alive()


@pytest.fixture(scope="package")
def server() -> Iterator[Running]:
    """The real thing with one process, small limits, and no token."""
    with running(max_upload=3_000_000, max_pixels=1_000_000, timeout=30.0) as running_server:
        yield running_server


@pytest.fixture
def start() -> Callable[..., Any]:
    """Start a server with other choices: ``with start(queue=0) as server``."""
    return running


@pytest.fixture(scope="package")
def ir() -> bytes:
    return encoded(".png", _waves(40, 56))


@pytest.fixture(scope="package")
def vi() -> bytes:
    return encoded(".png", np.dstack([_waves(40, 56, phase) for phase in (1, 2, 3)]))


@pytest.fixture
def encode() -> Callable[..., bytes]:
    return encoded


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _waves(height: int, width: int, phase: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.rint(127 + 120 * np.sin(x / 5 + phase) * np.cos(y / 7)).astype(np.uint8)
