"""The paper variant of crossfuse-topk against the release's own numbers, and its checkpoint's way here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivfuse.errors import InputError, ShapeError, UsageError  # noqa: E402
from ivfuse.training import convert_topk as convert  # noqa: E402
from ivfuse.training.checkpoint import load_model, read_model  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.nets import crossfuse_topk_paper as paper  # noqa: E402
from ivfuse.training.release import save_converted  # noqa: E402
from small_nets import set_sines  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle" / "methods"
SMALL = {"width": 8, "blocks": 2, "heads": 2, "nodes": 2}
FROZEN = [0.624062, 0.578994, 0.641744, 0.710651, 0.576559, 0.617139]

needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason="the released code's values are not at hand")


def formula_net() -> paper.CrossFuseTopkPaper:
    """A small network whose weights come from sines, the same on every machine."""
    net = paper.CrossFuseTopkPaper(**SMALL).eval()
    set_sines(net, ("norm1.weight", "norm2.weight", "temperature"))
    return net


def image(height: int, width: int, phase: float) -> Tensor:
    """Waves and a bright disc, (1, 1, H, W) in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    wave = 0.4 + 0.25 * np.sin(0.31 * x + phase) * np.cos(0.17 * y - phase)
    disc = np.hypot(y - height / 3, x - width / 2 - 5 * phase) < 6
    out: Tensor = torch.from_numpy(np.where(disc, 0.9, wave).astype(np.float32))[None, None]
    return out


def write_release(file: Path, groups: dict[str, Any]) -> Path:
    """As the authors do: each state dict from inside a DataParallel."""
    wrapped = {name: {f"module.{k}": v for k, v in state.items()} for name, state in groups.items()}
    torch.save(wrapped, file)
    return file


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> paper.CrossFuseTopkPaper:
    """The oracle's weights, put into a file as released and converted."""
    if not ORACLE.is_dir():
        pytest.skip("the released code's values are not at hand")
    folder = tmp_path_factory.mktemp("release")
    groups: dict[str, Any] = {}
    with np.load(ORACLE / "crossfuse_topk_a.npz") as values:
        for key in values.files:
            if key.startswith("w/"):
                group, name = key[2:].split(".", 1)
                groups.setdefault(group, {})[name] = torch.from_numpy(values[key])
    weights, options = convert.convert_crossfuse_topk(write_release(folder / "topk.pth", groups))
    assert options == {"width": 64, "blocks": 4, "heads": 8, "nodes": 3}
    save_converted(folder / "net.safetensors", "crossfuse-topk", weights, options)
    net = load_model(folder / "net.safetensors")[0]
    assert isinstance(net, paper.CrossFuseTopkPaper)
    return net


# The stored values of size a are 3e-5 away from float64 themselves (b: 3e-7); ours are 3e-7 away in both.
@pytest.mark.oracle
@needs_oracle
@pytest.mark.parametrize(("size", "rounding"), [("a", 5e-5), ("b", 2e-6)])
def test_every_stored_tensor_of_the_release_is_matched(
    released: paper.CrossFuseTopkPaper, size: str, rounding: float
) -> None:
    with np.load(ORACLE / f"crossfuse_topk_{size}.npz") as values:
        stored = {key: values[key] for key in values.files if not key.startswith("w/")}
    ir, vi = (torch.from_numpy(stored.pop(key)) for key in ("ir", "vi"))
    with torch.no_grad():
        found, (_, again) = released.forward_features(ir, vi), released.reconstruct(ir, vi)
    ours = {
        "vi_low": found.bands.low_vi,
        "vi_high": found.bands.high_vi,
        "fused_low": found.fused_low,
        "fused_high": found.fused_high,
        "fused": found.fused,
        "vi_reconstruction": again,
    }
    assert stored.keys() == ours.keys()
    for key, value in stored.items():
        tolerance = rounding * np.abs(value).max()
        np.testing.assert_allclose(ours[key].numpy(), value, rtol=0, atol=tolerance, err_msg=key)


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = build_net("crossfuse-topk", "paper")
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert count == {"encoder": 599_144, "fuse_low": 363_016, "fuse_high": 18_176, "decoder": 207_936}
    assert sum(count.values()) == 1_188_272


def test_the_output_stays_what_it_was() -> None:
    # Found when the values of the release were matched; float64 is within 1e-7.
    with torch.no_grad():
        fused = formula_net()(image(19, 26, 0.0), image(19, 26, 1.0))
    np.testing.assert_allclose(fused[0, 0, ::9, ::15].flatten().numpy(), FROZEN, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 9), (17, 3), (31, 40)])
def test_any_size_from_two_up_comes_out_as_it_went_in(height: int, width: int) -> None:
    ir, vi = (image(height, width, p).repeat(2, 1, 1, 1) for p in (0.0, 1.0))
    with torch.no_grad():
        fused = formula_net()(ir, vi)
    assert fused.shape == ir.shape
    assert torch.isfinite(fused).all()
    assert torch.allclose(fused[0], fused[1], atol=1e-6)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"1x5.*2 or more"):
        formula_net()(image(1, 5, 0.0), image(1, 5, 1.0))
    with pytest.raises(UsageError, match="heads=3, expected a divisor of width=8"):
        paper.CrossFuseTopkPaper(**(SMALL | {"heads": 3}))
    with pytest.raises(UsageError, match="width=5, expected an even number"):
        paper.CrossFuseTopkPaper(width=5, heads=1)


def test_the_sum_of_bands_does_not_know_its_sources() -> None:
    """A mistake that is kept: only the visible that is added at the end tells the modalities apart."""
    net, ir, vi = formula_net(), image(20, 20, 0.0), image(20, 20, 1.0)
    with torch.no_grad():
        one, two = net.forward_features(ir, vi), net.forward_features(vi, ir)
    assert torch.allclose(one.fused_low, two.fused_low, atol=1e-6)
    assert torch.allclose(torch.logit(one.fused) - vi, torch.logit(two.fused) - ir, atol=1e-4)


def test_every_weight_learns() -> None:
    net = formula_net().train()
    net(image(16, 16, 0.0), image(16, 16, 1.0)).square().mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max()] == []


# ------------------------------------------------------------------ the authors' file


@pytest.fixture
def groups(releases: Any) -> dict[str, Any]:
    """The four state dicts of a small network."""
    made: dict[str, Any] = releases.topk_release(formula_net().state_dict())
    return made


def test_weights_survive_the_way_to_the_release_and_back(tmp_path: Path, groups: dict[str, Any]) -> None:
    found, options = convert.convert_crossfuse_topk(write_release(tmp_path / "x.pth", groups))
    assert options == SMALL
    expected = formula_net().state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("encoder.stem.weight", "DIDF_Encoder.patch_embed.proj.weight"),
        ("encoder.blocks.1.norm2.bias", "DIDF_Encoder.encoder_level1.1.norm2.body.bias"),
        ("encoder.low.attention.temperature", "DIDF_Encoder.baseFeature.attn.scale"),
        (
            "encoder.high.2.rho.3.weight",
            "DIDF_Encoder.detailFeature.net.2.theta_rho.bottleneckBlock.3.weight",
        ),
        ("decoder.blocks.0.attention.local.weight", "DIDF_Decoder.encoder_level2.0.attn.qkv_dwconv.weight"),
        ("decoder.blocks.0.attention.temperature", "DIDF_Decoder.encoder_level2.0.attn.temperature"),
        ("decoder.out.2.weight", "DIDF_Decoder.output.2.weight"),
        ("fuse_low.feed_forward.local.weight", "BaseFuseLayer.mlp.dwconv.weight"),
        ("fuse_low.attention.local.weight", "BaseFuseLayer.attn.qkv2.weight"),
        ("fuse_high.0.shuffle.bias", "DetailFuseLayer.net.0.shffleconv.bias"),
    ],
)
def test_a_weight_has_its_name_in_the_release(ours: str, theirs: str) -> None:
    assert convert.released_name(ours) == theirs


@pytest.mark.oracle
@needs_oracle
def test_the_full_size_has_the_release_s_keys_and_shapes() -> None:
    lines = (ORACLE / "crossfuse_topk_a.keys.txt").read_text("utf-8").splitlines()
    listed = dict(line.split("\t") for line in lines if not line.startswith("#"))
    with torch.device("meta"):
        state = paper.CrossFuseTopkPaper().state_dict()
    assert {convert.released_name(key): str(tuple(v.shape)) for key, v in state.items()} == listed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda g: g.pop("BaseFuseLayer"), r"x\.pth: 1 missing keys for crossfuse-topk: BaseFuseLayer"),
        (lambda g: g.update(optimizer={}), r"1 unknown keys for crossfuse-topk: optimizer"),
        (
            lambda g: g["DIDF_Decoder"].pop("output.0.weight"),
            r"1 missing .*: DIDF_Decoder\.output\.0\.weight",
        ),
        (lambda g: g["DIDF_Encoder"].update(extra=torch.ones(1)), r"1 unknown .*: DIDF_Encoder\.extra"),
        (
            lambda g: g["DIDF_Encoder"].pop("patch_embed.proj.weight"),
            r"1 missing .*patch_embed\.proj\.weight",
        ),
        (
            lambda g: g["BaseFuseLayer"].update({"attn.proj.weight": torch.ones(4, 8, 1, 1)}),
            r"BaseFuseLayer\.attn\.proj\.weight has the shape \(4, 8, 1, 1\), expected \(8, 8, 1, 1\)",
        ),
        (
            lambda g: g["DIDF_Encoder"].update({"baseFeature.attn.scale": torch.ones(3, 1, 1)}),
            "3 heads do not divide 8 channels",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, groups: dict[str, Any], spoil: Callable[[Any], object], message: str
) -> None:
    spoil(groups)
    with pytest.raises(InputError, match=message):
        convert.convert_crossfuse_topk(write_release(tmp_path / "x.pth", groups))


def test_a_group_that_is_no_state_dict_is_refused(tmp_path: Path, groups: dict[str, Any]) -> None:
    torch.save(groups | {"DIDF_Encoder": [1, 2]}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"x\.pth: contains a list, expected a plain state dict"):
        convert.convert_crossfuse_topk(tmp_path / "x.pth")


def test_a_saved_file_states_what_it_is(tmp_path: Path, groups: dict[str, Any]) -> None:
    file = tmp_path / "net.safetensors"
    converted = convert.convert_crossfuse_topk(write_release(tmp_path / "x.pth", groups))
    save_converted(file, "crossfuse-topk", *converted)
    about = read_model(file)[1]
    assert (about["method"], about["variant"], about["net"]) == ("crossfuse-topk", "paper", SMALL)
