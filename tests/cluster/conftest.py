"""What tests of runs on a cluster share: pairs on disk, and an empty store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MEMORY = "memory://ivfuse-test"


@pytest.fixture
def folder(tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]) -> Path:
    """Seven pairs in ``ir/`` and ``vi/``."""
    for number in range(7):
        names = [tmp_path / "src" / kind / f"{number}.png" for kind in ("ir", "vi")]
        make_pair(*names, size=(16, 24), seed=number)
    return tmp_path / "src"


@pytest.fixture
def store() -> Iterator[str]:
    """The URL of an empty folder of an object store."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    yield MEMORY
    if memory.exists("/ivfuse-test"):
        memory.rm("/ivfuse-test", recursive=True)
