"""A release: its version is that of the tag, and its files hold the package, whole and alone."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = frozenset({"__init__.py", "py.typed", "weights/swift.onnx"})


@pytest.fixture(scope="module")
def check_dist(load_file: Callable[[Path], Any]) -> Any:
    return load_file(ROOT / ".ci" / "check_dist.py")


def wheel(folder: Path, *names: str, readme: str = "") -> Path:
    path = folder / "ivfuse-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ivfuse-0.1.0.dist-info/METADATA", f"Name: ivfuse\n\n{readme}")
        for name in names:
            file.writestr(name, b"")
    return path


def sdist(folder: Path, *names: str) -> Path:
    path = folder / "ivfuse-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(f"ivfuse-0.1.0/{name}"), io.BytesIO())
    return path


def test_a_whole_wheel_and_sdist_have_no_fault(check_dist: Any, tmp_path: Path) -> None:
    found = check_dist.read(wheel(tmp_path, *(f"ivfuse/{name}" for name in PACKAGE)))
    assert check_dist.faults(found, PACKAGE, "v0.1.0") == []
    names = (*check_dist.SDIST, *(f"src/ivfuse/{name}" for name in PACKAGE))
    assert check_dist.faults(check_dist.read(sdist(tmp_path, *names)), PACKAGE, "v0.1.0") == []


def test_what_a_distribution_lacks_or_should_not_hold_is_told(check_dist: Any, tmp_path: Path) -> None:
    names = ("ivfuse/__init__.py", "ivfuse/py.typed", "ivfuse/__pycache__/a.pyc", "tests/test_a.py")
    found = check_dist.faults(check_dist.read(wheel(tmp_path, *names)), PACKAGE, "v0.2.0")
    assert found == [
        "lacks weights/swift.onnx",
        "holds __pycache__/a.pyc",
        "holds tests/test_a.py",
        "is of version 0.1.0, expected that of the tag v0.2.0",
    ]
    bare = check_dist.faults(check_dist.read(sdist(tmp_path, "README.md")), frozenset())
    assert "lacks LICENSE" in bare
    assert "lacks README.md" not in bare


def test_a_distribution_that_is_too_large_is_told(
    check_dist: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_dist, "LARGEST", 10)
    found = check_dist.faults(check_dist.read(wheel(tmp_path)), frozenset())
    assert len(found) == 1
    assert found[0].endswith("expected at most 0")


def test_a_relative_link_of_the_readme_is_told(check_dist: Any, tmp_path: Path) -> None:
    readme = "[a](docs/a.md) ![b](https://example.org/b.png) [c](#c)"
    found = check_dist.faults(check_dist.read(wheel(tmp_path, readme=readme)), frozenset())
    assert found == ["has a relative link in its README: docs/a.md"]


def test_links_of_the_readme_lead_to_the_repository_or_become_text() -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed (the extra dev)")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = "![hero](docs/hero.jpg)\nRead [this](docs/a.md#b), [that](https://example.org) or [below](#c)."
    assert module.for_pypi(text, None) == "\nRead this, [that](https://example.org) or [below](#c)."
    lines = module.for_pypi(text, "https://example.org/o/r/").splitlines()
    assert lines[0] == "![hero](https://example.org/o/r/raw/HEAD/docs/hero.jpg)"
    assert lines[1].startswith("Read [this](https://example.org/o/r/blob/HEAD/docs/a.md#b), [that](https:")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](docs/" in readme
    assert not module.RELATIVE.search(module.for_pypi(readme, None))


def version_of(folder: Path) -> str:
    """The version that a build of a folder would have."""
    words = [sys.executable, "-m", "hatchling", "metadata", "version"]
    environment = {key: text for key, text in os.environ.items() if not key.startswith("SETUPTOOLS_SCM")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def git(folder: Path, *words: str) -> None:
    author = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, check=True)


def test_the_version_is_that_of_the_tag(tmp_path: Path) -> None:
    pytest.importorskip("hatch_vcs", reason="hatch-vcs is not installed (the extra dev)")
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    assert version_of(tmp_path) == "0.0.0"  # sources without Git
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    assert version_of(tmp_path).startswith("0.0.1.dev1+g")  # no tag yet
    git(tmp_path, "tag", "v0.1.0")
    assert version_of(tmp_path) == "0.1.0"
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert version_of(tmp_path).startswith("0.1.1.dev1+g")  # after the tag
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: ivfuse\nVersion: 0.3.0\n")
    assert version_of(tmp_path) == "0.3.0"  # an sdist states its own
