"""``hf://owner/name``: fetched at one commit, verified, cached, and every failure is one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivfuse.benchmark.plan import method_entries
from ivfuse.errors import InputError, MissingExtraError, UnknownNameError, UsageError
from ivfuse.fusion.hub import find_model, parse_reference, upload_model
from ivfuse.fusion.hub_config import FileFacts, read_config, write_config
from ivfuse.fusion.manifest import load_manifest
from ivfuse.fusion.pipeline import Fuser
from ivfuse.fusion.registry import is_learned, method_info

Images = Callable[..., np.ndarray]
STORED = FileFacts("0" * 64, 8)


def graph_facts(**changes: Any) -> dict[str, Any]:
    """The table ``graph`` of a configuration of the shipped network swift."""
    entry = load_manifest().models["swift"]
    facts = {"file": "model.onnx", "sha256": entry.sha256, "size": entry.size, "summary": "small"}
    facts |= {"paper": "none", "parameters": 1, "variant": "fixed", "license": "MIT", "version": "1"}
    return {**facts, "align": 16, "reach": 176, "tile": 512, **changes}


def published(**changes: Any) -> dict[str, bytes]:
    """The files of a repository with the shipped network swift."""
    config = write_config("swift", graph_facts(**changes), STORED)
    return {"config.json": config.encode(), "model.onnx": load_manifest().models["swift"].path().read_bytes()}


def fused(method: str, texture: Images) -> np.ndarray:
    return Fuser(method, runtime="onnxruntime", threads=1).fuse(texture(40, 56), texture(40, 56, seed=1))


def test_a_model_of_the_hub_fuses_as_its_graph_does(fake_hub: Any, texture: Images) -> None:
    fake_hub.commit("me/night", published(emphasis="balanced"))
    assert np.array_equal(fused("hf://me/night", texture), fused("swift", texture))
    info = Fuser("hf://me/night").method.info
    assert (info.name, info.align, info.reach, info.tile) == ("night", 16, 176, 512)
    assert info.emphasis == "balanced"


def test_a_revision_pins_the_model(fake_hub: Any) -> None:
    first = fake_hub.commit("me/night", published(summary="first"))
    last = fake_hub.commit("me/night", published(summary="last"))
    assert Fuser("hf://me/night").method.info.summary == "last"
    assert Fuser(f"hf://me/night@{first}").method.info.summary == "first"
    assert str(find_model("hf://me/night").reference) == f"hf://me/night@{last}"


def test_configuration_and_graph_are_of_one_commit(fake_hub: Any) -> None:
    fake_hub.commit("me/night", published())
    model = find_model("hf://me/night")
    fake_hub.commit("me/night", {"model.onnx": b"another graph"})
    assert model.fetch("model.onnx").stat().st_size == load_manifest().models["swift"].size


def test_a_pinned_model_in_the_cache_asks_for_nothing(fake_hub: Any) -> None:
    commit = fake_hub.commit("me/night", published())
    Fuser(f"hf://me/night@{commit}")
    fake_hub.requests.clear()
    Fuser(f"hf://me/night@{commit}")
    assert not fake_hub.requests


def test_without_a_network_the_cache_is_used(fake_hub: Any, texture: Images) -> None:
    fake_hub.commit("me/night", published())
    online = fused("hf://me/night", texture)
    fake_hub.close()
    assert np.array_equal(fused("hf://me/night", texture), online)
    with pytest.raises(InputError, match=r"^hf://me/other: not in the cache, and the Hub cannot be reached$"):
        Fuser("hf://me/other")


@pytest.mark.parametrize(
    ("method", "said"),
    [("hf://me/none", "no such model on the Hub"), ("hf://me/night@v9", "the model has no revision v9"),
     ("hf://me/empty", "a file is missing; expected a model that `ivfuse push` has published")],
)  # fmt: skip
def test_what_is_not_there_is_named(fake_hub: Any, method: str, said: str) -> None:
    fake_hub.commit("me/night", published())
    fake_hub.commit("me/empty", {"README.md": b"# empty"})
    with pytest.raises(InputError, match=said) as error:
        Fuser(method)
    assert str(error.value).startswith(method + ": ")


def test_another_digest_is_refused(fake_hub: Any) -> None:
    fake_hub.commit("me/night", published(sha256="a" * 64))
    with pytest.raises(InputError, match=r"^hf://me/night@.*SHA-256 .* expected a{64}"):
        Fuser("hf://me/night")


def test_a_graph_of_another_size_is_not_downloaded(fake_hub: Any) -> None:
    fake_hub.commit("me/night", published(size=7))
    with pytest.raises(InputError, match=r"model.onnx has \d+ bytes, expected 7$"):
        Fuser("hf://me/night")
    assert not [each for each in fake_hub.requests if each.startswith("GET") and "onnx" in each]


def test_a_huge_configuration_is_not_downloaded(fake_hub: Any) -> None:
    fake_hub.commit("me/night", {"config.json": b" " * 70_000})
    with pytest.raises(InputError, match=r"config.json has 70000 bytes, expected at most 65536"):
        Fuser("hf://me/night")
    assert not [each for each in fake_hub.requests if each.startswith("GET") and "config" in each]


def test_without_the_extra_its_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"models of the Hub, needs more packages: .*\[hub\]"):
        Fuser("hf://me/night")


@pytest.mark.parametrize(
    "text",
    ["hf://", "hf://night", "hf://me/night@", "hf://me/../x", "hf://me/a/b", "hf://me/a--b", "hf://me/night@../x",
     "hf://me/night@a//b", "hf://me/night@a\n", "hf://-me/night", "hf://me/n?x=1", "hf://me/" + "n" * 97],
)  # fmt: skip
def test_other_forms_are_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="expected hf://owner/name"):
        parse_reference(text)


def test_branches_and_tags_are_revisions() -> None:
    assert parse_reference("hf://me/night_2.x@refs/pr/1").revision == "refs/pr/1"
    assert str(parse_reference("hf://me/night@v1.0")) == "hf://me/night@v1.0"
    assert is_learned("hf://me/night")


def config_of(**changes: Any) -> bytes:
    return json.dumps({**json.loads(write_config("swift", graph_facts(), STORED)), **changes}).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "not JSON: nested too deeply"),
        (b'{"library_name": ' + b"9" * 6000 + b"}", "not JSON"),
        (b" " * 65_537, "more than 65,536 bytes"),
        (b'{"architectures": ["BertModel"], "model_type": "bert"}', "a configuration of another kind"),
        (b"[]", "a configuration of another kind"),
        (config_of(format=2), "found format 2, expected 1; a newer ivfuse"),
        (config_of(network=["x"]), "network a list"),
        (config_of(graph=None), "found graph None, expected a table"),
        (config_of(weights={"file": "model.safetensors"}), "weights.sha256: found None"),
        (config_of(graph=graph_facts(file="../../x.onnx")), "graph.file: found '../../x.onnx'"),
        (config_of(graph=graph_facts(sha256="A" * 64)), "64 lower-case hexadecimal digits"),
        (config_of(graph=graph_facts(size=2**40)), "graph.size: found 1099511627776"),
        (config_of(graph=graph_facts(size=True)), "graph.size: found True"),
        (config_of(graph=graph_facts(align=0)), "graph.align: found 0, expected a whole number, 1 to 1024"),
        (config_of(graph=graph_facts(tile=10**30)), "graph.tile: found a huge number"),
        (config_of(graph=graph_facts(reach=1.5)), "graph.reach: found 1.5"),
        (config_of(graph=graph_facts(summary="x" * 301)), "expected a number or a short text"),
        (config_of(graph=graph_facts(summary={"a": {}})), "graph.summary: found a table"),
        (config_of(graph=graph_facts(code="import os")), "unknown key 'code'"),
    ],
)
def test_a_damaged_or_hostile_configuration_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_config(tmp_path / "config.json", "night")
    assert said in str(error.value)
    assert len(str(error.value)) < len(str(tmp_path)) + 400


def test_a_folder_is_verified_before_it_is_uploaded(fake_hub: Any, tmp_path: Path) -> None:
    for name, content in {**published(), "model.safetensors": b"12345678", "README.md": b"#"}.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"model.safetensors: the weights have SHA-256"):
        upload_model(tmp_path, "me/night")
    assert not fake_hub.requests


def test_a_benchmark_runs_the_commit_that_it_found(fake_hub: Any) -> None:
    commit = fake_hub.commit("me/night", published())
    (entry,) = method_entries("hf://me/night")
    assert (entry.name, entry.method) == ("night", f"hf://me/night@{commit}")
    assert entry.version == load_manifest().models["swift"].sha256


def test_names_of_methods_alone_never_fetch(fake_hub: Any) -> None:
    """The server looks methods up so: no visitor makes it download."""
    with pytest.raises(UnknownNameError):
        method_info("hf://me/night")
    assert not fake_hub.requests
