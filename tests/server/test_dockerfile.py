"""The Dockerfile without a Docker engine: sources and extras exist, the command parses, no root."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    """Instructions of each stage, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    instructions = [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]
    starts = [index for index, (word, _) in enumerate(instructions) if word == "FROM"]
    return [instructions[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def last(stage: list[tuple[str, str]], word: str) -> str:
    return [rest for name, rest in stage if name == word][-1]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path into the build; the last rule that matches decides."""
    sent = True
    for rule in (ROOT / ".dockerignore").read_text().split():
        plain = rule.lstrip("!")
        if fnmatch.fnmatch(path, plain) or path.startswith(plain + "/"):
            sent = rule.startswith("!")
    return sent


def test_every_file_that_is_copied_exists_and_reaches_the_build(stages: list[list[tuple[str, str]]]) -> None:
    names = {rest.split(" AS ")[1] for word, rest in (stage[0] for stage in stages) if " AS " in rest}
    copied = [rest for stage in stages for word, rest in stage if word == "COPY"]
    assert len(copied) == 4
    for rest in copied:
        if found := re.match(r"--from=(\S+) ", rest):
            assert found[1] in names
            continue
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert is_sent(source), source


def test_weights_and_recordings_stay_outside() -> None:
    assert not any(
        map(is_sent, ("weights", ".git", "tests", "runs", "demo", "shared", ".venv", "src/__pycache__"))
    )


def test_what_the_package_is_built_from_is_copied_before_it_is_installed(
    stages: list[list[tuple[str, str]]],
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    install = next(index for index, (word, rest) in enumerate(stages[0]) if "pip install" in rest)
    copied = " ".join(rest for word, rest in stages[0][:install] if word == "COPY")
    needed = {"pyproject.toml", "hatch_build.py", "README.md", "src", *project["license-files"]}
    assert needed <= set(copied.split())
    extras = re.findall(r"\.\[([\w,]+)\]", stages[0][install][1])
    assert extras
    assert set(extras[0].split(",")) <= set(project["optional-dependencies"])


def test_the_command_is_one_that_ivfuse_understands(stages: list[list[tuple[str, str]]]) -> None:
    from ivfuse.cli.app import build

    final = stages[-1]
    entry, command = json.loads(last(final, "ENTRYPOINT")), json.loads(last(final, "CMD"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert entry == list(scripts)
    group = typer.main.get_command(build())
    verb, *options = command
    context = group.commands[verb].make_context(verb, options)  # raises if an option is unknown
    assert (context.params["host"], str(context.params["port"])) == ("0.0.0.0", last(final, "EXPOSE"))


def test_the_health_check_asks_an_address_that_there_is(stages: list[list[tuple[str, str]]]) -> None:
    check = last(stages[-1], "HEALTHCHECK")
    program = json.loads(check[check.index("[") :])
    assert program[:2] == ["python", "-c"]
    compile(program[2], "healthcheck", "exec")
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", program[2])
    assert found is not None
    assert found[1] == last(stages[-1], "EXPOSE")
    from ivfuse.server.app import create_app
    from ivfuse.server.settings import Settings

    assert found[2] in create_app(Settings()).openapi()["paths"]


def test_it_does_not_run_as_root_and_the_image_holds_no_build_tools(
    stages: list[list[tuple[str, str]]],
) -> None:
    final = stages[-1]
    assert int(last(final, "USER")) > 0
    uid = next(shlex.split(rest) for word, rest in final if word == "RUN" and "useradd" in rest)
    assert uid[uid.index("--uid") + 1] == last(final, "USER")
    after = final[[word for word, _ in final].index("USER") :]
    assert not [word for word, _ in after if word in ("RUN", "COPY", "ADD")]
    assert not [rest for word, rest in final if "pip install" in rest or "apt-get" in rest]
