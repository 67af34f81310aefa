"""The README's commands work as they are written, on synthetic files of the names that it uses."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.image.write import write_image
from ivfuse.synthetic.street import street_scene

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)

# What needs a network, a camera, a server that stays, hours, an extra of its own, or other people's data.
LEFT_OUT = (
    "serve",
    "rtsp:",
    "benchmark",
    "train",
    "runs/cam",
    "align-channels",
    "video",
    "cluster",
    "manifest",
)


def commands() -> list[str]:
    """Every `ivfuse` line of the README's shell blocks, comments removed."""
    lines = [line for block in BLOCK.findall(README.read_text("utf-8")) for line in block.splitlines()]
    found = [line.partition(" #")[0].strip() for line in lines if line.startswith("ivfuse ")]
    return [line for line in found if not any(word in line for word in LEFT_OUT)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, flir: Any) -> Path:
    """A folder with all the files that the README speaks of."""
    root = tmp_path_factory.mktemp("readme")
    for name, seed in (("a", 1), ("b", 2)):
        scene = street_scene(192, 256, seed, "dusk")
        for folder in ("", "recordings/"):
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
    (root / "flir.seq").write_bytes(b"".join(flir.recording(flir.Flir(raw), 13)))
    return root


def test_the_readme_has_commands() -> None:
    assert len(commands()) > 12


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_works(
    ivfuse_cli: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(place)
    _, verb, *arguments = shlex.split(line)
    if verb == "eval":  # as the reader has it after the first section, in whichever order the commands run
        for pair in (("ir/", "vi/", "-o", "fused/"), ("thermal.png", "visible.jpg", "-o", "fused.png")):
            assert ivfuse_cli("fuse", *pair, "--overwrite").code == 0
    if "--rig" in arguments and not Path("rig.json").is_file():
        assert ivfuse_cli("register", "ir/", "vi/", "-o", "rig.json").code == 0
    said = ivfuse_cli(verb, *arguments)
    assert said.code == 0, said.err
