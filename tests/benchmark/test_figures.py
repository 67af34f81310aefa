"""The plots of the report as files for papers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ivfuse.benchmark.report.figures import check_matplotlib, write_figures
from ivfuse.errors import MissingExtraError

from .conftest import Done


def test_every_plot_is_written_as_pdf_and_svg_with_text(finished: Done, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra report")
    written = write_figures(finished.results, tmp_path / "plots")
    names = {path.name for path in written}
    assert names == {path.name for path in (tmp_path / "plots").iterdir()}
    stems = {"speed"} | {
        f"streets-{convention}-{plot}"
        for convention in ("default", "cddfuse")
        for plot in ("critical", "radar", "EN", "SD", "SCD", "Qabf")
    }
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "svg")}
    speed = (tmp_path / "plots" / "speed.svg").read_text(encoding="utf-8")
    for method in finished.results.methods:
        assert re.search(rf">[^<]*{method}[^<]*</text>", speed)
    assert (tmp_path / "plots" / "speed.pdf").read_bytes().startswith(b"%PDF")
    first = {path.name: path.read_bytes() for path in written}
    again = write_figures(finished.results, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again} == first


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="report"):
        check_matplotlib()
