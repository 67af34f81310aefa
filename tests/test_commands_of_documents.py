"""Commands of the README, the tutorial and the how-tos work as written, on synthetic files of their names."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
DOCUMENTS = [ROOT / "README.md", TUTORIAL, *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXTRAS = {"video": "av", "panel": "matplotlib"}

# What needs a network, a camera, a server that stays, hours, an extra of its own, or other people's data.
LEFT_OUT = (
    "serve",
    "rtsp:",
    ".mcap",
    "report",
    "benchmark",
    "thermal.mp4",
)


def commands() -> list[str]:
    """Every `ivfuse` line of the documents' shell blocks, once, comments removed."""
    blocks = [block for document in DOCUMENTS for block in BLOCK.findall(document.read_text("utf-8"))]
    lines = [line for block in blocks for line in block.splitlines()]
    found = dict.fromkeys(line.partition(" #")[0].strip() for line in lines if line.startswith("ivfuse "))
    return [line for line in found if not any(word in line for word in LEFT_OUT)]


def python_of_the_tutorial() -> str:
    """The block that writes the pairs of a drive."""
    (code,) = (
        b for b in PYTHON.findall(TUTORIAL.read_text("utf-8")) if "drive/ir/" in b and "write_image" in b
    )
    return str(code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, flir: Any) -> Path:
    """A folder with all the files that the documents speak of."""
    root = tmp_path_factory.mktemp("readme")
    for name, seed in (("a", 1), ("b", 2)):
        scene = street_scene(192, 256, seed, "dusk")
        for folder in ("", "pairs/"):
            write_image(root / folder / "ir" / f"{name}.png", scene.ir)
            write_image(root / folder / "vi" / f"{name}.png", scene.vi)
        counts = np.rint((scene.ir * 40 + 273.15) * 100).astype(np.uint16)
        (root / "ir16").mkdir(exist_ok=True)
        cv2.imwrite(str(root / "ir16" / f"{name}.png"), counts)
    shutil.copy(root / "ir" / "a.png", root / "thermal.png")
    write_image(root / "visible.jpg", scene.vi)
    write_image(root / "thermal.png", scene.ir)
    celsius = 5 + 40 * cv2.resize(scene.ir, (160, 120), interpolation=cv2.INTER_AREA)
    raw = np.rint(flir.counts_of(celsius)).astype(np.uint16)
    photo = np.rint(scene.vi * 255).astype(np.uint8)
    flir.Flir(raw, photo=photo, alignment=(1.0, 0, 0)).write(root / "flir.jpg")
    with contextlib.chdir(root):
        exec(python_of_the_tutorial(), {})
    return root


def test_the_documents_have_commands() -> None:
    assert len(commands()) > 25


@pytest.mark.parametrize("line", commands())
def test_a_command_of_a_document_works(
    ivfuse_cli: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(place)
    _, verb, *arguments = shlex.split(line)
    if verb in EXTRAS:
        pytest.importorskip(EXTRAS[verb], reason=f"ivfuse {verb} needs {EXTRAS[verb]}")
    shutil.rmtree(
        "fused", ignore_errors=True
    )  # each command finds what its reader has, in whichever order they run
    for needed in before(verb, arguments):
        assert ivfuse_cli(*needed).code == 0
    said = ivfuse_cli(verb, *arguments)
    assert said.code == 0, said.err


def before(verb: str, arguments: list[str]) -> Iterator[list[str]]:
    """The commands that a reader has run before."""
    if any("demo/" in argument for argument in arguments):
        yield ["demo", "-o", "demo", "--size", "128x96"]
    if "--rig" in arguments:
        yield ["register", "ir/", "vi/", "-o", "rig.json"]
    if verb == "eval":
        fused, *sources = (argument for argument in arguments[:3])
        yield ["fuse", *sources, "-o", fused, "--overwrite"]
    if "Mine=fused/" in arguments:
        yield ["fuse", "pairs/", "-o", "fused/"]
