"""What tests of several rooms share: small images, pairs of files, and the command line in this process."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True)
class Said:
    """What a command gave: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def ivfuse_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run ``ivfuse ARGUMENTS`` in this process."""
    from ivfuse.cli.app import main

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def texture() -> Callable[..., NDArray[np.float32]]:
    """Make a smooth random image in [0, 1] with an edge in it."""
    return _texture


def _texture(height: int, width: int, seed: int = 0, channels: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    shape = (height, width, channels) if channels else (height, width)
    image = cv2.GaussianBlur(rng.random(shape, dtype=np.float32), (0, 0), 1.5).reshape(shape)
    image[:, width // 2 :] += 0.2
    return np.clip(image, 0, 1).astype(np.float32)


@pytest.fixture
def make_pair() -> Callable[..., tuple[Path, Path]]:
    """Write a thermal (gray) and a visible (color) 8-bit file."""

    def write(
        ir: Path,
        vi: Path,
        size: tuple[int, int] = (48, 64),
        ir_size: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> tuple[Path, Path]:
        for path in (ir, vi):
            path.parent.mkdir(parents=True, exist_ok=True)
        gray = _texture(*(ir_size or size), seed=seed)
        color = _texture(*size, seed=seed + 1, channels=3)
        assert cv2.imwrite(str(ir), np.rint(gray * 255).astype(np.uint8))
        assert cv2.imwrite(str(vi), np.rint(color * 255).astype(np.uint8))
        return ir, vi

    return write


@pytest.fixture(scope="session")
def load_program() -> Callable[[str], Any]:
    """Import a program of ``benchmarks/`` by its name."""
    return lambda name: _module(Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py")


@pytest.fixture(scope="session")
def load_file() -> Callable[[Path], Any]:
    """Import a file by its path."""
    return _module


@pytest.fixture(scope="session")
def flir() -> Any:
    """The module that writes radiometric JPEG files, ``tests/synthetic_flir.py``."""
    return _module(Path(__file__).resolve().parent / "synthetic_flir.py")


@pytest.fixture(scope="session")
def releases() -> Any:
    """The module that makes the authors' state dicts of our weights, ``tests/synthetic_releases.py``."""
    return _module(Path(__file__).resolve().parent / "synthetic_releases.py")


@pytest.fixture(scope="session")
def dji() -> Any:
    """The module that writes DJI R-JPEG files, ``tests/synthetic_dji.py``."""
    return _module(Path(__file__).resolve().parent / "synthetic_dji.py")


@pytest.fixture(scope="session")
def dji_library(dji: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a library with the interface of DJI's SDK, in its folders, with macros that choose what fails."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform == "win32":
        pytest.skip("no C compiler for a POSIX system (cc, gcc or clang) is installed")
    built: dict[tuple[str, ...], Path] = {}
    source = tmp_path_factory.mktemp("source") / "dirp.c"
    source.write_text(dji.LIBRARY)

    def build(*macros: str) -> Path:
        if macros not in built:
            root = tmp_path_factory.mktemp("sdk")
            folder = root / "tsdk-core" / "lib" / "linux" / "release_x64"
            folder.mkdir(parents=True)
            flags = ["-shared", "-fPIC", "-w", *(f"-D{macro}" for macro in macros)]
            out = str(folder / dji.LIBRARY_NAME)
            subprocess.run([compiler, *flags, str(source), "-o", out], check=True)
            built[macros] = root
        return built[macros]

    return build


@pytest.fixture(scope="session")
def bags() -> Any:
    """The module that writes bags of robots, ``tests/synthetic_bags.py``."""
    pytest.importorskip("rosbags", reason="bags need rosbags (the extra robots)")
    return _module(Path(__file__).resolve().parent / "synthetic_bags.py")


def _module(file: Path) -> Any:
    """Import a file by its path."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Hub on 127.0.0.1, ``tests/fake_hub.py``, with an empty cache and a valid token."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the extra hub is not installed")
    hub = _module(Path(__file__).resolve().parent / "fake_hub.py").FakeHub()
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "good")
    yield hub
    hub.close()
