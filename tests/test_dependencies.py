"""No lower bound of a dependency admits a release with a known vulnerability."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VULNERABLE = tomllib.loads((ROOT / ".ci" / "vulnerable.toml").read_text(encoding="utf-8"))


def lower_bounds() -> dict[str, str]:
    """The lower bound of each dependency, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    found = [re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)", each) for each in chain(*lists)]
    return {match[1]: match[2] for match in found if match}


def parts(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in (*re.findall(r"\d+", release.partition("+")[0]), 0, 0)[:3])


@pytest.mark.parametrize("name", VULNERABLE)
def test_a_lower_bound_excludes_the_releases_with_a_known_vulnerability(name: str) -> None:
    assert parts(lower_bounds()[name]) >= parts(VULNERABLE[name]["fixed"]), VULNERABLE[name]["reason"]


@pytest.mark.parametrize("name", VULNERABLE)
def test_the_installed_release_has_no_known_vulnerability(name: str) -> None:
    try:
        installed = version(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    assert parts(installed) >= parts(VULNERABLE[name]["fixed"]), VULNERABLE[name]["reason"]
