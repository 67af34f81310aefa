"""The package as a whole: what an import costs, what it leaves alone, and the order of the rooms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ivfuse

HEAVY = (
    "torch",
    "onnxruntime",
    "openvino",
    "scipy",
    "rich",
    "lightning_fabric",
    "ray",
    "pyarrow",
    "fsspec",
    "huggingface_hub",
)


def modules_after(code: str, *, whole: bool = False) -> set[str]:
    """Modules that a fresh interpreter has after ``code``: the top-level ones, or all with whole names."""
    ask = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    return set(loaded) if whole else {name.split(".")[0] for name in loaded}


def test_an_import_loads_nothing_heavy() -> None:
    assert not modules_after("import ivfuse") & {*HEAVY, "numpy", "cv2", "PIL", "typer"}


@pytest.mark.parametrize(
    "code",
    [
        "import ivfuse, onnxruntime; onnxruntime.get_available_providers()",
        "from ivfuse.runtime.devices import import_openvino as openvino; openvino().Core()",
    ],
    ids=["onnxruntime", "openvino"],
)
def test_runtimes_keep_no_record_of_the_user(tmp_path: Path, code: str) -> None:
    if "openvino" in code:
        pytest.importorskip("openvino")
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not list(tmp_path.rglob("*"))


def test_the_names_of_methods_need_no_runtime() -> None:
    assert not modules_after("import ivfuse; ivfuse.list_methods()") & set(HEAVY)


def test_the_registry_needs_neither_opencv_nor_a_runtime() -> None:
    assert not modules_after("import ivfuse.fusion.registry") & {*HEAVY, "cv2"}


def test_fusing_classically_loads_neither_torch_nor_a_runtime(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    arguments = ["fuse", str(ir), str(vi), "-o", str(tmp_path / "out.png"), "--method", "guided-filter"]
    code = (
        "from ivfuse.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code"
    )
    loaded = modules_after(code)
    assert (tmp_path / "out.png").is_file()
    assert "cv2" in loaded
    assert not loaded & set(HEAVY)


def test_fusing_a_pair_loads_only_what_it_needs(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    options = ["--strength", "0.9", "--threads", "1", "--ir-window", "0", "200.5", "--tile", "512"]
    arguments = ["fuse", str(ir), str(vi), "-o", str(tmp_path / "out.png"), *options]
    loaded = modules_after(
        "from ivfuse.cli.app import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code",
        whole=True,
    )
    assert (tmp_path / "out.png").is_file()
    assert "onnxruntime" in loaded
    assert not {name.split(".")[0] for name in loaded} & (
        {*HEAVY, "pydantic", "click", "PIL", "simplejpeg", "av", "yaml"} - {"onnxruntime"}
    )
    assert (
        not {"ivfuse.cli.video", "ivfuse.video.source", "ivfuse.fusion.hub", "ivfuse.image.decode_tiff"}
        & loaded
    )
    formats = {name for name in loaded if name.startswith("ivfuse.thermal.formats.")}
    assert not {name for name in formats if "flir" in name or "dji" in name}


def test_the_version_is_printed_without_a_verb() -> None:
    loaded = modules_after(
        "from ivfuse.cli.app import main\ntry: main(['--version'])\nexcept SystemExit: pass", whole=True
    )
    assert not {"numpy", "pydantic", "ivfuse.cli.fuse"} & loaded


def test_fusing_with_the_default_method_loads_no_torch(
    tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    assert "torch" not in modules_after(f"import ivfuse; ivfuse.fuse({str(ir)!r}, {str(vi)!r})")


def test_a_benchmark_loads_neither_torch_nor_a_runtime_nor_a_plotting_library() -> None:
    loaded = modules_after(
        "import ivfuse.benchmark.run, ivfuse.benchmark.tables, ivfuse.benchmark.report.page"
    )
    assert "numpy" in loaded
    assert not loaded & {*HEAVY, "matplotlib", "jinja2"}


@pytest.mark.parametrize("name", ivfuse.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ivfuse, name)
    assert name in dir(ivfuse)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fuze'"):
        _ = ivfuse.fuze


def test_rooms_import_only_from_rooms_below_them() -> None:
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if tool is None:
        pytest.skip("import-linter is not installed")
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([tool, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
