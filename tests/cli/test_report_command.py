"""``ivfuse report``: what a bug report needs, and nothing that is private."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ivfuse
from ivfuse.runtime import environment

Cli = Callable[..., Any]


def test_versions_devices_codecs_extras_and_threads_are_printed(
    ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    said = ivfuse_cli("report")
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"^ivfuse: +{re.escape(ivfuse.__version__)}$", said.out, re.MULTILINE)
    assert re.search(rf"^  numpy: +{importlib.metadata.version('numpy')}$", said.out, re.MULTILINE)
    assert re.search(r"^  onnxruntime: +.*CPUExecutionProvider", said.out, re.MULTILINE)
    assert re.search(r"^  image: +.*jpg", said.out, re.MULTILINE)
    assert re.search(r"^  OMP_NUM_THREADS: +3$", said.out, re.MULTILINE)
    assert "  opencv:" in said.out


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_a_command_starts_no_threads_of_linear_algebra_unless_asked(given: dict[str, str], used: str) -> None:
    others = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-m", "ivfuse", "report", "--json"]
    done = subprocess.run(command, env=others | given, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["threads"]["OPENBLAS_NUM_THREADS"] == used


def test_every_extra_of_a_feature_is_listed_with_what_it_lacks(
    ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"av", "matplotlib"}

    def version(name: str) -> str:
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(environment, "version", version)
    lines = ["numpy>=2", 'av>=15; extra == "video"', 'torch[x]>=2; extra == "train"', 'ruff; extra == "dev"']
    monkeypatch.setattr(environment, "requires", lambda name: lines)
    facts = json.loads(ivfuse_cli("report", "--json").out)
    assert facts["packages"] == {"numpy": "1.0"}
    assert facts["extras"] == {"video": {"av": None}, "train": {"torch": "1.0"}}
    assert re.search(r"^  video: +not installed: av$", ivfuse_cli("report").out, re.MULTILINE)


def test_nothing_private_is_printed(ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = {
        "USER": "gwendolyn",
        "HOME": str(tmp_path),
        "IVFUSE_TOKEN": "open-sesame",
        "OMP_NUM_THREADS": "/home/gwendolyn",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environment.platform, "release", lambda: "6.1.0-acme-lab-7")
    for words in (("report",), ("report", "--json")):
        said = ivfuse_cli(*words).out
        assert "6.1.0" in said
        assert "OMP_NUM_THREADS" in said
        for secret in (*secrets.values(), "gwendolyn", "acme", str(Path.cwd()), str(Path.home())):
            assert secret not in said
        assert not re.search(r"(^|[\s\"=])(/\w|[A-Z]:\\)", said)  # a path of any system
        for name in (socket.gethostname(), getpass.getuser()):
            assert not re.search(rf"\b{re.escape(name)}\b", said)


def test_a_library_that_is_broken_is_told_by_the_kind_of_its_error(
    ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[str]:
        raise ImportError("/home/gwendolyn/lib/libonnx.so: undefined symbol")

    monkeypatch.setattr(environment, "_onnxruntime_devices", broken)
    said = ivfuse_cli("report")
    assert said.code == 0
    assert re.search(r"^  onnxruntime: +cannot be loaded: ImportError$", said.out, re.MULTILINE)


def test_a_report_loads_no_torch() -> None:
    code = "import sys, ivfuse.runtime.environment as e; e.describe_environment(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
