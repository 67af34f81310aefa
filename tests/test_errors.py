"""The command for a missing extra fits how the package was installed."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import pytest

from ivfuse.errors import MissingExtraError

GIT = "https://example.org/ivfuse.git"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'ivfuse[train]'"),
        ({}, "pip install 'ivfuse[train]'"),
        ({"url": "file:///home/me/iv%20fuse", "dir_info": {}}, "pip install '/home/me/iv fuse[train]'"),
        (
            {"url": "file:///home/me/ivfuse", "dir_info": {"editable": True}},
            "pip install -e '/home/me/ivfuse[train]'",
        ),
        (
            {"url": "file:///x/ivfuse-1-py3-none-any.whl", "archive_info": {}},
            "pip install '/x/ivfuse-1-py3-none-any.whl[train]'",
        ),
        ({"url": GIT, "vcs_info": {"vcs": "git"}}, f"pip install 'ivfuse[train] @ git+{GIT}'"),
    ],
)
def test_a_missing_extra_is_installed_as_the_package_was(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, command: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())
    assert str(MissingExtraError("training", "train")) == f"training needs more packages: {command}"


def test_an_unknown_installation_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert str(MissingExtraError("training", "train")).endswith("pip install 'ivfuse[train]'")
