"""The harness itself: what must count as failed does."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz import targets, uploads, workers
from fuzz.targets import judge
from fuzz.uploads import Answer
from ivfuse.errors import InputError, reason_of


def fail(_: Path, __: Path, ___: object) -> None:
    raise KeyError("other")


def leave(path: Path, out: Path, _: object) -> None:
    (out / ".x.part").write_bytes(b"")
    raise InputError(f"{path}: found nothing")


def warn(_: Path, __: Path, ___: object) -> None:
    warnings.warn("overflow", RuntimeWarning, stacklevel=1)


def exhaust(path: Path, _: Path, __: object) -> None:
    raise InputError(f"{path}: too large") from MemoryError()


def wrap(_: Path, __: Path, ___: object) -> None:
    raise InputError(reason_of(ValueError("x")))


def ramble(_: Path, __: Path, ___: object) -> None:
    raise InputError("much said " * 100)


@pytest.mark.parametrize("target", [fail, leave, warn, exhaust, wrap, ramble])
def test_other_errors_leftovers_warnings_and_lack_of_memory_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: Callable[..., None]
) -> None:
    monkeypatch.setitem(targets.TARGETS, "images", target)
    assert judge("images-0-0-a.png", b"", tmp_path).result == "failed"


def test_an_error_of_ivfuse_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path, _: Path, __: object) -> None:
        raise InputError(f"{path}: found nothing")

    monkeypatch.setitem(targets.TARGETS, "images", refuse)
    assert judge("images-0-0-a.png", b"", tmp_path).result == "refused"


@pytest.mark.parametrize(
    ("program", "reason"),
    [("import os; os.abort()", "crash"), ("while True: pass", "time: more than")],
)
def test_a_worker_that_dies_or_takes_too_long_fails_its_case(
    monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    monkeypatch.setattr(workers, "CPU_SECONDS", 0.2)
    command = [sys.executable, "-c", f"print('ready', flush=True)\n{program}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        (record,) = workers._records(process, "images-0-", 7)
    assert (record.name, record.result) == ("images-0-7", "failed")
    assert record.reason.startswith(reason)


def test_what_is_printed_fails_a_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(targets.TARGETS, "images", lambda *_: None)
    with (tmp_path / "noise").open("w+b") as noise:
        assert workers._record("images-0-0-a.png", b"", tmp_path, noise).result == "done"
        monkeypatch.setitem(targets.TARGETS, "images", lambda *_: noise.write(b"libpng error"))
        record = workers._record("images-0-0-a.png", b"", tmp_path, noise)
    assert (record.result, record.reason) == ("failed", "printed: libpng error")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(422, "application/json", b'{"error": "found nothing."}'), ""),
        (Answer(500, "application/json", b'{"error": "unexpected"}'), "status 500"),
        (Answer(400, "text/plain", b"Bad Request"), "not JSON"),
        (Answer(422, "application/json", b'{"error": "two\\nlines"}'), "without one sentence"),
        (Answer(200, "image/png", b"\x89PNG"), "half an image"),
    ],
)
def test_answers_of_the_server_are_judged(answer: Answer, wrong: str) -> None:
    assert wrong in uploads._problem(answer)
    assert bool(uploads._problem(answer)) == bool(wrong)
