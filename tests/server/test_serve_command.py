"""``ivfuse serve``: it tells its address, ends at an interrupt, and refuses what cannot work in one line."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivfuse.errors import UsageError
from ivfuse.server.settings import Settings


def test_it_tells_where_it_serves_and_leaves_nothing_when_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ivfuse", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background job ignores interrupts, and so would this child
    )
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found, process.stderr
    with urllib.request.urlopen(found[0] + "/healthz", timeout=10) as answer:
        assert answer.status == 200
    assert [folder.name.startswith("ivfuse-serve-") for folder in tmp_path.iterdir()] == [True]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_wrong_use(ivfuse_cli: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = ivfuse_cli("serve", "--port", taken.getsockname()[1])
    assert said.code == 2
    assert said.err.startswith("ivfuse: error: cannot listen at 127.0.0.1 port ")
    assert said.err.count("\n") == 1


def test_a_server_without_processes_ends_in_one_line(
    ivfuse_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ivfuse.server import app, server

    monkeypatch.setattr(server, "create_app", lambda settings: app.create_app(settings, ("false",)))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the handlers of the test run stay
    said = ivfuse_cli("serve", "--port", "0")
    assert said.code == 1
    assert said.err.startswith("ivfuse: error: the server could not start")


def test_a_server_leaves_the_logging_of_its_process_alone() -> None:
    from ivfuse.server.app import create_app
    from ivfuse.server.server import uvicorn_config

    closed = []
    handler = logging.NullHandler()
    handler.close = lambda: closed.append(True)  # type: ignore[method-assign]
    settings = Settings()
    uvicorn_config(create_app(settings), settings)
    assert not closed


@pytest.mark.parametrize(
    "options",
    [
        ("--cors", "example.org"),
        ("--cors", "*"),
        ("--token", "caf\u00e9"),
        ("--timeout", "0"),
        ("--max-upload", "0"),
        ("--max-pixels", "-1"),
        ("--workers", "0"),
        ("--port", "70000"),
    ],
)
def test_an_option_that_makes_no_sense_is_wrong_use(
    ivfuse_cli: Callable[..., Any], options: tuple[str, str]
) -> None:
    said = ivfuse_cli("serve", *options)
    assert said.code == 2
    assert options[0] in said.err


def test_only_this_computer_is_served_unless_told_otherwise() -> None:
    assert Settings().loopback
    assert Settings(host="localhost").loopback
    assert Settings(host="::1").loopback
    assert not Settings(host="0.0.0.0").loopback
    assert Settings().token is None
    assert Settings().cors == ()
    with pytest.raises(UsageError, match="expected an origin"):
        Settings(cors=("https://example.org/",))


def test_other_commands_load_nothing_of_the_server() -> None:
    ask = "import sys, ivfuse.cli.app as app; app.build('fuse'); app.build(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"fastapi", "uvicorn", "starlette", "ivfuse.server.app"} & set(loaded)
