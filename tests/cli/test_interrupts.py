"""Ctrl-C at any moment from the first line of a command to its end leaves no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ivfuse.cli.app import VERBS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# Interrupts the process that imports it so many seconds after the command line has begun to load. What comes
# before, the start of Python itself, is out of reach of a program.
SITE = """
import os, signal, sys, threading, time

def interrupt(seconds=float(os.environ["INTERRUPT_AFTER"])):
    while "ivfuse.cli" not in sys.modules:
        time.sleep(0.0005)
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGINT)

if os.environ.pop("INTERRUPT_AFTER", None):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
    threading.Thread(target=interrupt, daemon=True).start()
"""
SCRIPT = Path(sys.executable).with_name("ivfuse")
STARTS = {"module": [sys.executable, "-m", "ivfuse"], "script": [str(SCRIPT)]}


def run(
    start: list[str], arguments: list[str], seconds: float, folder: Path
) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "INTERRUPT_AFTER": str(seconds)}
    return subprocess.run(
        [*start, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def check(done: subprocess.CompletedProcess[str], regular: tuple[int, ...]) -> None:
    """Python repeats a signal that came inside its own `exec`; shells show 130 for that too."""
    assert "Traceback" not in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
    assert done.returncode in (130, -signal.SIGINT, *regular)
    if done.returncode == 130 and done.stderr:  # Typer says nothing where it caught the interrupt itself
        assert done.stderr.splitlines()[-1] == "ivfuse: interrupted"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2])
def test_an_interrupt_while_a_command_starts_or_ends_leaves_no_traceback(
    tmp_path: Path, start: str, seconds: float
) -> None:
    if start == "script" and not SCRIPT.is_file():
        pytest.skip("ivfuse is not installed beside this Python")
    done = run(STARTS[start], ["methods"], seconds, tmp_path)
    check(done, (0,))
    assert seconds > 0 or done.returncode != 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_interrupted_while_it_is_imported(tmp_path: Path, verb: str) -> None:
    # regular codes, if the machine is faster than the interrupt
    check(run(STARTS["module"], [verb], 0.05, tmp_path), (0, 1, 2))
