"""The reference pages say what the code says, and no public name or parameter goes away unnoticed."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ivfuse
from ivfuse.benchmark.tasks.detector_outputs import OUTPUT_FORMATS
from ivfuse.benchmark.tasks.export import WRITERS
from ivfuse.benchmark.tasks.label_maps import LABEL_SETS
from ivfuse.fusion.registry import list_methods
from ivfuse.image.modality import IR_WORDS, VI_WORDS
from ivfuse.metrics import METRICS
from ivfuse.synthetic.degrade import DEGRADATIONS
from ivfuse.thermal.colormaps import colormap_names
from ivfuse.thermal.formats.registry import thermal_formats

ROOT = Path(__file__).resolve().parents[1]
SURFACE = json.loads((ROOT / "tests" / "api_surface.json").read_text(encoding="utf-8"))


def test_the_reference_of_the_command_line_is_up_to_date(load_file: Callable[[Path], Any]) -> None:
    maker = load_file(ROOT / "docs" / "make_reference.py")
    assert maker.PAGE.read_text(encoding="utf-8") == maker.command_line(), (
        "run: python docs/make_reference.py"
    )


@pytest.mark.parametrize("name", ivfuse.__all__)
def test_every_public_name_has_its_place_in_the_reference(name: str) -> None:
    assert re.search(rf"ivfuse\.{name}\b", _text("docs/reference/python.md"))


def _parameters(value: Any) -> list[str]:
    try:
        return list(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return []


def test_no_public_name_or_parameter_was_removed() -> None:
    for name, parameters in SURFACE.items():
        owner, _, method = name.partition(".")
        value = getattr(ivfuse, owner)
        value = getattr(value, method) if method else value
        missing = set(parameters) - set(_parameters(value))
        assert not missing, f"{name} has lost {sorted(missing)}"


def test_every_public_name_stands_in_the_surface() -> None:
    assert {name.partition(".")[0] for name in SURFACE} == set(ivfuse.__all__)


def _text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


@pytest.mark.parametrize("name", list_methods())
def test_every_method_has_its_place_in_the_readme_and_the_guide(name: str) -> None:
    assert f"`{name}`" in _text("README.md")
    assert f"`{name}`" in _text("docs/methods.md")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_its_place_in_the_guide(name: str) -> None:
    assert name in _text("docs/metrics.md")


@pytest.mark.parametrize("name", colormap_names())
def test_every_colormap_has_its_place_in_the_guide(name: str) -> None:
    assert name in _text("docs/thermal.md")


@pytest.mark.parametrize("name", [each.name for each in thermal_formats().values()])
def test_every_thermal_format_has_its_place_in_the_guide(name: str) -> None:
    assert name in _text("docs/cameras.md")


@pytest.mark.parametrize("word", [*IR_WORDS, *VI_WORDS])
def test_every_word_of_a_modality_has_its_place_in_the_guide(word: str) -> None:
    assert word in _text("docs/images.md", "README.md")


@pytest.mark.parametrize("name", [*DEGRADATIONS, *OUTPUT_FORMATS, *LABEL_SETS, *WRITERS])
def test_every_degradation_and_format_of_a_task_has_its_place_in_the_guide(name: str) -> None:
    assert f"`{name}`" in _text("docs/tasks.md") or f"--export-detection {name}" in _text("docs/tasks.md")
