"""The manifest of weights: strict, verified, and open for methods of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ivfuse.errors import InputError, UsageError
from ivfuse.fusion.manifest import load_manifest, read_manifest
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import create_method, default_method, list_methods, method_info

ENTRY = """
[models.net]
file = "net.onnx"
sha256 = "00"
size = 1
summary = "s"
paper = "p"
parameters = 2
variant = "fixed"
license = "Apache-2.0"
version = "1"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_manifest_is_well_formed_and_its_files_are_whole() -> None:
    manifest = load_manifest()
    for entry in manifest.models.values():
        path = entry.path()
        assert path.stat().st_size == entry.size
        assert entry.int8 is None or entry.path(int8=True).is_file()
        assert not entry.card or entry.card_text()
    assert default_method() in list_methods()


def test_an_entry_without_reach_has_an_unbounded_one(tmp_path: Path) -> None:
    info = read_manifest(write(tmp_path, ENTRY)).models["net"].info
    assert (info.kind, info.reach, info.align, info.tile, info.parameters) == ("learned", None, 1, 1024, 2)


def test_the_facts_of_an_entry_reach_the_method_info(tmp_path: Path) -> None:
    info = read_manifest(write(tmp_path, ENTRY + "reach = 40\nalign = 16\ntile = 512\n")).models["net"].info
    assert (info.reach, info.align, info.tile) == (40, 16, 512)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY + "color = 1\n", "unknown key 'color'"),
        (ENTRY + 'int8 = "net.int8.onnx"\n', "expected both int8 and int8_sha256, or neither"),
        (ENTRY.replace('paper = "p"\n', ""), "missing paper"),
        (ENTRY.replace("size = 1", 'size = "1"'), "expected a value of type int"),
        (ENTRY.replace("size = 1", "size = true"), "expected a value of type int"),
        ('default = "other"\n' + ENTRY, "expected one of the models"),
        ("methods = 1\n", "unknown key 'methods'"),
        ("[models]\nnet = 3\n", "expected a table"),
        ("models = [", "cannot read the manifest"),
    ],
)
def test_a_manifest_that_is_not_well_formed_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_manifest(write(tmp_path, text))
    assert "manifest.toml" in str(caught.value)


def test_one_entry_in_a_folder_of_ones_own_makes_a_method(own_weights: Path) -> None:
    assert "larger" in list_methods()
    assert method_info("larger").kind == "learned"
    ir, vi = np.random.default_rng(0).random((2, 9, 7), dtype=np.float32)
    fused = Fuser("larger", runtime="onnxruntime").fuse(ir, vi)
    assert np.array_equal(fused, np.maximum(ir, vi))


def test_weights_that_were_changed_are_refused_with_both_digests(own_weights: Path) -> None:
    own_weights.write_bytes(own_weights.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"larger\.onnx: .*SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}"):
        create_method("larger")


def test_weights_that_are_missing_are_named_with_the_places_looked_at(own_weights: Path) -> None:
    own_weights.unlink()
    with pytest.raises(InputError, match=r"larger\.onnx .*not found in .*IVFUSE_WEIGHTS"):
        create_method("larger")


def test_a_trained_method_has_no_options_of_its_own(own_weights: Path) -> None:
    with pytest.raises(UsageError, match="'levels'; it has no options"):
        create_method("larger", method_options={"levels": 3})
