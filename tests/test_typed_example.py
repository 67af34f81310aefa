"""The typed example runs, and passes strict checkers of types."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "typed"


def test_it_fuses_and_scores_a_folder(make_pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    make_pair(tmp_path / "ir" / "a.png", tmp_path / "vi" / "a.png")
    (tmp_path / "ir" / "b.png").write_bytes(b"no image")
    words = [sys.executable, EXAMPLE / "fuse_folder.py", tmp_path, tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("a EN ")
    assert done.stderr.startswith("failed: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.slow
def test_it_passes_basedpyright_in_strict_mode() -> None:
    checker = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("basedpyright is not installed (the extra dev)")
    words = [checker, "--project", str(EXAMPLE), "--pythonpath", sys.executable]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
