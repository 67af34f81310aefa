"""The end of the process, which does not wait for Python to take itself apart, loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A verb that leaves behind what the end of a process has to finish: a handler, a thread, output in a buffer.
COMMAND = """
import sys, threading, time
import ivfuse.cli.app

def verb():
    import atexit

    def write_late():
        time.sleep(0.2)
        print("the thread", end="", file=sys.stderr)

    atexit.register(lambda: print(" and the handler", end="", file=sys.stderr))
    threading.Thread(target=write_late).start()
    print("the output", end="")
    sys.exit({code})

ivfuse.cli.app.main = verb
from ivfuse.__main__ import main

main()
"""


def run(words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("code", [0, 3])
def test_threads_exit_handlers_and_buffers_are_finished_first(code: int) -> None:
    done = run(["-c", COMMAND.format(code=code)])
    assert (done.returncode, done.stdout, done.stderr) == (code, "the output", "the thread and the handler")


def test_a_handler_that_was_registered_before_the_command_is_called(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'measured')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run(["-m", "ivfuse", "--version"], PYTHONPATH=path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "measured"


def test_an_error_that_nobody_expected_is_shown_with_its_traceback() -> None:
    done = run(["-c", COMMAND.replace("sys.exit({code})", "raise ZeroDivisionError")])
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout == "the output"


def start(words: list[str], stdout: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ivfuse", *words]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("words", ["methods", "methods swift", "metrics", "datasets", "--help"])
def test_a_reader_that_leaves_after_the_first_line_is_no_error(words: str) -> None:
    for _ in range(3):
        process = start(words.split(), subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["methods", "methods --json", "metrics SSIM", "--help", "--version"])
def test_a_command_without_a_reader_ends_quietly_as_other_programs_do(
    words: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.close(reading)
    process = start(words.split(), writing)
    os.close(writing)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 141)


# A verb that writes to a connection whose other end is closed.
CONNECTION = """
import socket
import ivfuse.fusion.registry

def list_methods():
    ours, theirs = socket.socketpair()
    theirs.close()
    while True:
        ours.send(b"frame")

ivfuse.fusion.registry.list_methods = list_methods
from ivfuse.__main__ import main

main()
"""


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_connection_that_is_closed_is_no_reader_of_the_output() -> None:
    done = run(["-c", CONNECTION, "methods"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ivfuse: error: a connection was closed by its other end\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("words", [["nonsense"], ["methods", "nonsense"]])
def test_errors_without_a_reader_end_quietly_too(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ivfuse", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, timeout=60, check=False)
    os.close(writing)
    assert (done.stdout, done.returncode) == (b"", 141)


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_command_may_be_started_without_an_output(closed: str) -> None:
    command = f'"$0" -m ivfuse methods {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (closed == "2>&-")
