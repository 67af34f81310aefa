"""Networks published and loaded again: ``ivfuse push``, ``from_pretrained``, ``torch.hub``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")
pytest.importorskip("onnx")

from ivfuse.errors import InputError, UsageError  # noqa: E402
from ivfuse.fusion.pipeline import Fuser  # noqa: E402
from ivfuse.training.checkpoint import save_model  # noqa: E402
from ivfuse.training.hub import CardFacts, from_pretrained, save_pretrained  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402

Cli = Callable[..., Any]
SMALL = {"width": 8, "near": 1, "deep": 8}
ROOT = Path(__file__).resolve().parents[2]
FILES = {"config.json", "model.safetensors", "model.onnx", "README.md"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as a training leaves it."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_model(file, build_net("swift", **SMALL).state_dict(), {"method": "swift", "net": SMALL})
    return file


@pytest.fixture(scope="module")
def model(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "night"
    save_pretrained(weights, folder, CardFacts("MIT", ("me/pairs", "TNO: all"), ("VIF",)))
    return folder


def metadata(card: str) -> dict[str, Any]:
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


def test_a_published_network_is_loaded_bit_for_bit(weights: Path, model: Path) -> None:
    net, config = from_pretrained(model)
    ir, vi = torch.rand(2, 1, 1, 33, 47).unbind()
    expected = build_net("swift", **SMALL)
    expected.load_state_dict(net.state_dict())
    assert config.network == "swift"
    assert not net.training
    with torch.no_grad():
        level = ir.mean((2, 3), keepdim=True)
        assert torch.equal(net(ir, vi, level), expected.eval()(ir, vi, level))
    assert (model / "model.safetensors").read_bytes() == weights.read_bytes()


def test_the_configuration_states_the_digests_of_the_files(model: Path) -> None:
    assert {each.name for each in model.iterdir()} == FILES
    config = json.loads((model / "config.json").read_text())
    for key in ("graph", "weights"):
        content = (model / config[key]["file"]).read_bytes()
        assert config[key]["sha256"] == hashlib.sha256(content).hexdigest()
        assert config[key]["size"] == len(content)
    assert "reach" not in config["graph"]  # that of the shipped swift, which is another architecture


def test_the_card_has_the_metadata_that_the_hub_reads(model: Path) -> None:
    read = metadata((model / "README.md").read_text())
    assert read["license"] == "mit"
    assert read["pipeline_tag"] == "image-to-image"
    assert read["library_name"] == "ivfuse"
    assert read["datasets"] == ["me/pairs", "TNO: all"]
    assert read["metrics"] == ["VIF"]
    assert {"image-fusion", "infrared"} <= set(read["tags"])


def test_a_license_that_the_hub_does_not_know_is_named(weights: Path, tmp_path: Path) -> None:
    save_pretrained(weights, tmp_path / "m", CardFacts('Our "terms": 1', text="# Mine\n"))
    card = (tmp_path / "m" / "README.md").read_text()
    assert metadata(card)["license"] == "other"
    assert metadata(card)["license_name"] == 'Our "terms": 1'
    assert card.endswith("---\n\n# Mine\n")


@pytest.mark.parametrize("facts", [{"license": "mit\nx: y"}, {"license": "mit", "datasets": [""]},
                                   {"license": "mit", "text": "---\nlicense: x\n---\n"}])  # fmt: skip
def test_facts_that_would_forge_metadata_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        CardFacts(**facts)


def test_other_weights_than_the_configuration_states_are_refused(model: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((model / name).read_bytes())
    save_model(tmp_path / "model.safetensors", {}, {"method": "swift"})
    with pytest.raises(InputError, match="SHA-256"):
        from_pretrained(tmp_path)


def test_push_publishes_what_fuses_and_loads(fake_hub: Any, weights: Path, ivfuse_cli: Cli) -> None:
    said = ivfuse_cli("push", weights, "me/night", "--license", "MIT", "--dataset", "MSRS", "--private")
    assert said.code == 0, said.err
    commits = fake_hub.repositories["me/night"]
    assert said.out == f"uploaded: hf://me/night@{next(iter(commits))}\n"
    assert [set(files) for files in commits.values()] == [FILES]
    assert fake_hub.settings[0]["visibility"] == "private"
    assert metadata(fake_hub.cards[0])["datasets"] == ["MSRS"]
    assert 'Fuser("hf://me/night")' in fake_hub.cards[0]
    assert Fuser("hf://me/night").method.info.name == "night"
    assert from_pretrained("hf://me/night")[1].network == "swift"


def test_a_folder_is_looked_at_and_pushed_later(
    fake_hub: Any, weights: Path, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    folder = tmp_path / "night"
    (tmp_path / "card.md").write_text("# By hand")
    said = ivfuse_cli("push", weights, "-o", folder, "--license", "MIT", "--card", tmp_path / "card.md")
    assert (said.code, fake_hub.requests) == (0, [])
    assert ivfuse_cli("push", folder, "me/night").code == 0
    assert fake_hub.cards[0].endswith("# By hand\n")


def test_wrong_use_of_push_is_one_line(fake_hub: Any, weights: Path, model: Path, ivfuse_cli: Cli) -> None:
    for arguments, said in (
        ([weights], "expected REPO to upload to, or --out"),
        ([weights, "night", "--license", "MIT"], "REPO: found 'night', expected owner/name"),
        ([weights, "me/night"], "--license: expected the license"),
        ([model, "me/night", "--license", "MIT"], "a folder is uploaded as it is"),
        ([model, "-o", model], "a folder is uploaded as it is"),
    ):
        done = ivfuse_cli("push", *arguments)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert said in done.err
    assert not fake_hub.requests


def test_a_refused_upload_is_one_line(
    fake_hub: Any, model: Path, ivfuse_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "bad")
    done = ivfuse_cli("push", model, "me/night")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "log in with `hf auth login`" in done.err
    assert not fake_hub.repositories


@pytest.mark.parametrize("name", ["swift", "crossfuse_cam", "crossfuse_topk", "maefuse"])
def test_torch_hub_loads_the_networks_of_the_checkout(name: str) -> None:
    net = torch.hub.load(str(ROOT), name, source="local")
    ir, vi = torch.rand(2, 1, 1, 40, 56).unbind()
    with torch.no_grad():
        fused = net(ir, vi, ir.mean((2, 3), keepdim=True))
    assert fused.shape == ir.shape
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    fresh = torch.hub.load(str(ROOT), name, source="local", pretrained=False)
    assert fresh.state_dict().keys() == net.state_dict().keys()
