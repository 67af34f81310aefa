"""Protocols: what changes their hash, what files are refused, and runs that are repeated by them."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ivfuse.benchmark.datasets import open_sets
from ivfuse.benchmark.protocol import Protocol, protocol_of, sets_of
from ivfuse.benchmark.protocol_file import read_protocol, write_protocol
from ivfuse.benchmark.tables import latex, markdown
from ivfuse.errors import InputError

from .conftest import Done, scenes

Cli = Callable[..., Any]


@pytest.fixture
def roads(tmp_path: Path) -> Path:
    return scenes(tmp_path / "roads", count=2)


def made(*roots: Path, **changes: Any) -> Protocol:
    choices: dict[str, Any] = {"metrics": ("EN", "SD"), "conventions": ("default", "li"), **changes}
    return protocol_of(open_sets(list(roots)), **choices)


def test_what_changes_no_score_does_not_change_the_hash(roads: Path, tmp_path: Path) -> None:
    first = made(roads)
    assert made(shutil.copytree(roads, tmp_path / "elsewhere")).hash == first.hash
    assert made(roads, metrics=("SD", "EN")).hash == first.hash
    assert made(roads, degradations=("none",)).hash == first.hash
    assert made(roads, degradations=("haze",)).hash == made(roads, degradations=("haze:3",)).hash
    other = scenes(tmp_path / "other", count=1, size=(32, 40))
    assert made(roads, other).hash == made(other, roads).hash


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": ("EN",)},
        {"conventions": ("li", "default")},
        {"degradations": ("haze:2",)},
        {"seed": 1},
        {"ir_window": (0.0, 200.0)},
    ],
)
def test_a_setting_that_changes_scores_changes_the_hash(roads: Path, change: dict[str, Any]) -> None:
    assert made(roads, **change).hash != made(roads).hash


@pytest.mark.parametrize("change", [{"resize": "nearest"}, {"ivfuse": "9.9"}, {"code": "0" * 12}])
def test_another_program_changes_the_hash(roads: Path, change: dict[str, Any]) -> None:
    assert replace(made(roads), **change).hash != made(roads).hash


def test_another_source_or_split_changes_the_hash(roads: Path) -> None:
    first = made(roads)
    file = roads / "vi" / "s1.png"
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    assert made(roads).hash != first.hash
    file.write_bytes(content)
    assert made(roads).hash == first.hash
    for part in ("ir", "vi"):
        (roads / part / "s2.png").unlink()
    assert made(roads).hash != first.hash


def test_a_protocol_is_read_as_it_was_written(roads: Path, tmp_path: Path) -> None:
    for part in ("ir", "vi"):
        (roads / part / "s1.png").rename(roads / part / 'ä "1" \x7f.png')
    protocol = made(roads, degradations=("haze:3", "none"), seed=7, ir_window=(1, 2.5))
    write_protocol(protocol, tmp_path / "p.toml")
    again = read_protocol(tmp_path / "p.toml")
    assert again == replace(protocol, ir_window=(1.0, 2.5))
    assert again.hash == protocol.hash
    pair = again.sets[0].pairs[-1]
    assert pair.ir_sha256 == hashlib.sha256((roads / pair.ir).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 0", "seed = 1", "states the hash"),
        ("seed = 0", "seed = -1", "seed = -1, expected 0 or more"),
        ("seed = 0", 'seed = "0"', "expected a int"),
        ("seed = 0\n", "", "lacks seed"),
        ("seed = 0", "seed = 0\nspeed = 1", "unknown key 'speed'"),
        ("format = 1", "format = 2", "expected format = 1"),
        ('"ir/s1.png"', '"../ir/s1.png"', "expected a path within the folder"),
        ('"ir/s1.png"', '"/etc/passwd"', "expected a path within the folder"),
        ('name = "s1"', 'name = "s2"', "pairs of different names"),
        ('name = "roads"', 'name = "../roads"', "expected a name that a folder can have"),
        ('ir_sha256 = "', 'ir_sha256 = "X', "expected 64 digits"),
        ("resize = ", 'resize = "nearest" # ', "resize = 'nearest'"),
        ("seed = 0", "seed = 0\nir_window = [2, 2]", "expected two values that differ"),
        ('metrics = ["EN", "SD"]', "metrics = []", "metrics is empty"),
        ("[[sets]]", "[[sets", "no TOML file"),
    ],
)
def test_a_file_that_is_not_well_formed_is_refused(
    roads: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "p.toml"
    write_protocol(made(roads), path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_protocol(path)
    assert said in str(caught.value)
    assert "p.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.toml", "binary.toml"):
        with pytest.raises(InputError, match=name):
            read_protocol(tmp_path / name)


def test_sources_that_differ_are_named_in_one_line(roads: Path, tmp_path: Path) -> None:
    protocol = made(roads)
    theirs = shutil.copytree(roads, tmp_path / "theirs")
    (theirs / "vi" / "extra.png").write_bytes(b"not of the protocol")
    (found,) = sets_of(protocol, [theirs])
    assert (found.name, [pair.name for pair in found.pairs]) == ("roads", ["s1", "s2"])
    (theirs / "ir" / "s1.png").unlink()
    (theirs / "vi" / "s2.png").write_bytes(b"another")
    with pytest.raises(
        InputError, match=r"^2 of 4 files .*s1\.png \(missing\), .*s2\.png \(another content\)$"
    ):
        sets_of(protocol, [theirs])
    with pytest.raises(InputError, match=r"2 folders of data, expected 1, .*: roads"):
        sets_of(protocol, [roads, theirs])


def test_the_hash_stands_under_every_table(finished: Done) -> None:
    protocol = finished.plan.protocol
    assert protocol is not None
    text = markdown(finished.results)
    tables = text.count("|---|\n") + text.count("|---|---|")
    assert tables
    heads = [part for part in text.split("### ")[1:] if "\n|" in part]
    assert all(f"Protocol {protocol.hash}, ivfuse" in part for part in heads)
    tex = latex(finished.results)
    assert tex.count(f"% Protocol {protocol.hash}") == tex.count(r"\begin{tabular}")
    tabled = finished.page.count("</table></div>")
    assert tabled == finished.page.count(f"Protocol {protocol.hash}")
    folder = finished.plan.out / "tables"
    assert json.loads((folder / "results.json").read_text())["protocol"] == protocol.hash
    for name in ("images.csv", "summary.csv", "tests.csv", "seeing.csv"):
        with (folder / name).open(encoding="utf-8") as file:
            assert {row["protocol"] for row in csv.DictReader(file)} == {protocol.hash}


def test_a_benchmark_is_repeated_by_its_protocol(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    words = ("--methods", "average", "--jobs", 1, "--json")
    settings = ("--metrics", "EN", "--degrade", "noise:2", "--seed", 3, "--save-protocol", file)
    first = ivfuse_cli("benchmark", "--data", roads, "-o", tmp_path / "a", *words, *settings)
    assert first.code == 0, first.err
    theirs = shutil.copytree(roads, tmp_path / "theirs")
    (theirs / "ir" / "own.png").write_bytes((roads / "ir" / "s1.png").read_bytes())
    again = ivfuse_cli("benchmark", "--data", theirs, "-o", tmp_path / "b", *words, "--protocol", file)
    assert again.code == 0, again.err
    one, two = json.loads(first.out), json.loads(again.out)
    assert one["protocol"] == two["protocol"] == read_protocol(file).hash
    assert one["boards"] == two["boards"]


def test_wrong_use_of_a_protocol_is_one_line(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    write_protocol(made(roads), file)
    call = ("benchmark", "--data", roads, "-o", tmp_path / "out", "--protocol", file)
    said = ivfuse_cli(*call, "--seed", 1)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--seed and --protocol" in said.err
    (roads / "ir" / "s1.png").write_bytes(b"another")
    said = ivfuse_cli(*call)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "s1.png (another content)" in said.err
    assert not (tmp_path / "out").exists()


def test_another_version_is_told(ivfuse_cli: Cli, roads: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    write_protocol(replace(made(roads), ivfuse="0.0.9", metrics=("EN",), conventions=("default",)), file)
    call = ("benchmark", "--data", roads, "-o", tmp_path / "out", "--methods", "average", "--jobs", 1)
    said = ivfuse_cli(*call, "--protocol", file)
    assert said.code == 0
    assert f"protocol {read_protocol(file).hash} was made with ivfuse 0.0.9" in said.err
