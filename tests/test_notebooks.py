"""The notebooks run from top to bottom, and are stored without outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_stored_without_outputs(file: Path) -> None:
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_file: Callable[[Path], Any]
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra docs")
    pytest.importorskip("nbclient", reason="notebooks need the extra docs")
    pages = load_file(ROOT / "docs" / "make_pages.py")
    if file.stem == pages.TRAINING:
        pytest.importorskip("torch", reason="the notebook trains a network, which needs the extra train")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.read(file, as_version=4)
    pages.run_notebook(notebook, tmp_path)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)
    assert not [out for cell in ran for out in cell.outputs if "error: " in str(out.get("text", ""))]
