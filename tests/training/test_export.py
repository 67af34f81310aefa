"""From trained weights to a method that users run: the graph equals the network, and torch can run it too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from ivfuse.errors import InputError, IvfuseError, UsageError  # noqa: E402
from ivfuse.fusion.manifest import add_method, read_manifest, update_entry  # noqa: E402
from ivfuse.fusion.method import MethodInfo  # noqa: E402
from ivfuse.fusion.onnx_method import OnnxMethod  # noqa: E402
from ivfuse.fusion.pipeline import Fuser  # noqa: E402
from ivfuse.image.pairing import FilePair, pair_folder  # noqa: E402
from ivfuse.training import export, quantize  # noqa: E402
from ivfuse.training.checkpoint import save_model  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.torch_method import load_torch_method  # noqa: E402

SMALL = {"shallow": 4, "middle": 8, "deep": 8, "growth": 4, "heads": 2, "window": 4}
INFO = MethodInfo("small", "learned", "a small network", "none", align=32, reach=None)


@pytest.fixture
def weights(small_net: Any, tmp_path: Path) -> Path:
    """The small network as a training leaves it."""
    file = tmp_path / "model.safetensors"
    save_model(file, small_net.state_dict(), {"method": "crossfuse-cam", "variant": "fixed", "net": SMALL})
    return file


@pytest.fixture
def exported(weights: Path, tmp_path: Path) -> export.Exported:
    return export.export_onnx(weights, tmp_path / "new" / "small.onnx")


def test_the_graph_is_compared_with_torch_on_five_sizes(exported: export.Exported) -> None:
    assert len({size[1:] for size in export.SIZES}) == 5
    assert any(height % 2 and width % 2 for _, height, width in export.SIZES)
    assert exported.difference <= export.TOLERANCE


def test_what_is_said_of_the_file_is_true(exported: export.Exported, small_net: Any) -> None:
    content = exported.path.read_bytes()
    assert exported.facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert exported.facts["size"] == len(content)
    parts = (small_net.encoder_ir, small_net.encoder_vi, small_net.cam, small_net.decoder)
    assert exported.facts["parameters"] == sum(p.numel() for part in parts for p in part.parameters())
    names = {x.name for x in onnx.load(str(exported.path)).graph.input}
    assert names == {"ir", "vi", "level"}


def test_a_manifest_learns_how_the_result_of_a_network_is_used(
    exported: export.Exported, tmp_path: Path
) -> None:
    assert not {"reducible", "emphasis"} & exported.facts.keys()
    options = {"width": 8, "near": 1, "deep": 8}
    net = build_net("swift", "fixed", **options)
    save_model(
        tmp_path / "swift.safetensors",
        net.state_dict(),
        {"method": "swift", "variant": "fixed", "net": options},
    )
    done = export.export_onnx(tmp_path / "swift.safetensors", tmp_path / "mine.onnx")
    add_method(tmp_path / "manifest.toml", "mine", done.facts, "mine")
    info = read_manifest(tmp_path / "manifest.toml").models["mine"].info
    assert (info.reducible, info.emphasis) == (True, "balanced")


def test_the_graph_is_folded_to_standard_operators(exported: export.Exported) -> None:
    graph = onnx.load(exported.path)
    assert [(each.domain, each.version) for each in graph.opset_import] == [("", export.OPSET)]
    assert all(node.op_type != "Constant" and not node.domain for node in graph.graph.node)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (200, 90)])
def test_torch_and_the_graph_fuse_alike(
    exported: export.Exported, weights: Path, texture: Callable[..., np.ndarray], size: tuple[int, int]
) -> None:
    ir, vi = texture(*size, seed=1), texture(*size, seed=2)
    graph = OnnxMethod(INFO, exported.path, runtime="onnxruntime", threads=1)
    network = load_torch_method(weights, "cpu")
    for tile in (None, 64):
        a, b = (Fuser(method, tile=tile).fuse(ir, vi) for method in (graph, network))
        assert np.abs(a - b).max() < 1e-4


def test_a_graph_that_differs_is_not_kept(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small.onnx"
    out.write_bytes(b"the old one")
    monkeypatch.setattr(export, "compare", lambda net, path: float("nan"))
    with pytest.raises(
        IvfuseError, match=r"small\.onnx: the graph differs from torch by nan, expected 1e-04"
    ):
        export.export_onnx(weights, out)
    assert out.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_file_that_is_no_weights_is_said(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        export.export_onnx(file, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="no such file"):
        load_torch_method(tmp_path / "none.safetensors")


def test_fuse_takes_weights_in_place_of_a_method(
    ivfuse_cli: Callable[..., Any],
    weights: Path,
    tmp_path: Path,
    make_pair: Callable[..., tuple[Path, Path]],
) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    out = tmp_path / "fused.png"
    said = ivfuse_cli("fuse", ir, vi, "-o", out, "--weights", weights, "--threads", 1)
    assert (said.code, out.is_file()) == (0, True)
    assert "crossfuse-cam" in said.out
    said = ivfuse_cli("fuse", ir, vi, "-o", out, "--weights", weights, "--method", "average")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--weights takes the place of --method" in said.err


def test_an_export_becomes_a_method_of_a_manifest(
    exported: export.Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    texture: Callable[..., np.ndarray],
) -> None:
    manifest = exported.path.with_name("manifest.toml")
    manifest.write_text("# mine\n\n[models.other]\n" + OTHER, encoding="utf-8")
    add_method(manifest, "small", exported.facts, "a small one")
    text = manifest.read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    assert read_manifest(manifest).models.keys() == {"other", "small"}
    update_entry(manifest, "small", {"reach": 64, "summary": 'with "quotes"'})
    add_method(manifest, "small", exported.facts, "not taken")
    entry = read_manifest(manifest).models["small"]
    assert (entry.info.reach, entry.info.summary) == (64, 'with "quotes"')
    assert read_manifest(manifest).models["other"].sha256 == "0" * 64
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(manifest.parent))
    pair = texture(40, 50), texture(40, 50, seed=1)
    assert np.array_equal(Fuser("small").fuse(*pair), Fuser(exported.path).fuse(*pair))


OTHER = (
    'file = "other.onnx"\nsha256 = "' + "0" * 64 + '"\nsize = 1\nsummary = "other"\npaper = "none"\n'
    'parameters = 1\nvariant = "fixed"\nlicense = "MIT"\nversion = "1"\n'
)


def pairs_in(folder: Path, make_pair: Callable[..., tuple[Path, Path]]) -> list[FilePair]:
    """Three pairs of texture."""
    for number in range(3):
        paths = [folder / kind / f"{number}.png" for kind in ("ir", "vi")]
        make_pair(*paths, size=(64, 96), seed=number)
    return list(pair_folder(folder).pairs)


def test_in_8_bits_the_image_is_nearly_the_same(
    exported: export.Exported, tmp_path: Path, make_pair: Callable[..., tuple[Path, Path]]
) -> None:
    pairs = pairs_in(tmp_path / "pairs", make_pair)
    rounded = export.export_int8(exported, pairs)
    assert rounded.path.name == "small.int8.onnx"
    assert rounded.facts["int8_sha256"] == hashlib.sha256(rounded.path.read_bytes()).hexdigest()
    exact, quick = (Fuser(path).fuse(pairs[0].ir, pairs[0].vi) for path in (exported.path, rounded.path))
    assert 0 < np.abs(exact - quick).mean() <= quantize.TOLERANCE
    operators = {node.op_type for node in onnx.load(str(rounded.path)).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators


def test_without_pairs_nothing_is_calibrated(exported: export.Exported) -> None:
    with pytest.raises(IvfuseError, match="found no pairs to calibrate by"):
        export.export_int8(exported, [])


def test_a_manifest_offers_the_graph_in_8_bits_until_the_weights_change(
    exported: export.Exported,
    tmp_path: Path,
    make_pair: Callable[..., tuple[Path, Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = exported.path.parent
    monkeypatch.setenv("IVFUSE_WEIGHTS", str(folder))
    pairs = pairs_in(tmp_path / "pairs", make_pair)
    facts = {**exported.facts, **export.export_int8(exported, pairs).facts}
    add_method(folder / "manifest.toml", "small", facts, "a small network")
    exact = Fuser("small").fuse(pairs[0].ir, pairs[0].vi)
    quick = Fuser("small", precision="int8").fuse(pairs[0].ir, pairs[0].vi)
    assert 0 < np.abs(exact - quick).mean() <= quantize.TOLERANCE
    with pytest.raises(UsageError, match="expected a name"):
        Fuser(exported.path, precision="int8")
    update_entry(folder / "manifest.toml", "small", {"sha256": "0" * 64})
    with pytest.raises(UsageError, match="found int8 with the method 'small', expected fp32 or bf16"):
        Fuser("small", precision="int8")
