"""maefuse, the fixed variant: any size, bounded, attention over patches, no blocks; encoders from files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivfuse.errors import InputError, ShapeError, UnknownNameError, UsageError  # noqa: E402
from ivfuse.training.checkpoint import save_model  # noqa: E402
from ivfuse.training.mae_weights import read_encoder  # noqa: E402
from ivfuse.training.nets import build_net, takes_level, vit  # noqa: E402
from ivfuse.training.nets import maefuse as mae  # noqa: E402
from ivfuse.training.nets.maefuse_paper import DEVIATION, MEAN  # noqa: E402
from small_nets import noise, pair, seeded  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

SMALL: dict[str, Any] = {
    "dim": 16,
    "depth": 2,
    "heads": 2,
    "decoder_dim": 8,
    "decoder_depth": 1,
    "decoder_heads": 2,
    "features": 3,
    "detail": 4,
}


def make(**options: Any) -> Any:
    return seeded("maefuse", **(SMALL | options))


@pytest.fixture
def net() -> Any:
    return make()


# ------------------------------------------------------------------ the contract


@pytest.mark.parametrize("options", [{}, {"guide": "infrared"}, {"grid": 3, "class_token": True}])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (50, 37), (16, 160)])
@torch.no_grad()
def test_any_size_keeps_shape_and_range(options: dict[str, Any], size: tuple[int, int]) -> None:
    net, (ir, vi) = make(**options), pair(*size, batch=2)
    fused = net(ir, vi)
    assert fused.shape == ir.shape
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    assert all(out.shape == ir.shape for out in net.reconstruct(ir, vi))
    assert torch.equal(fused, net(ir, vi))


@torch.no_grad()
def test_the_range_holds_for_extreme_weights_and_black_can_be_black(net: Any) -> None:
    for parameter in net.head.parameters():
        parameter.mul_(1000)
    black = torch.zeros(1, 1, 24, 24)
    for ir, vi in ((black, black + 1), (black + 1, black), pair(24, 24)):
        fused = net(ir, vi)
        assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    net.head.out.weight.zero_()
    net.head.out.bias.copy_(torch.tensor([0.0, -100.0]))  # a step all the way to black
    assert float(net(*pair(24, 24)).max()) == 0


@torch.no_grad()
def test_a_batch_of_two_is_two_batches_of_one(net: Any) -> None:
    ir, vi = pair(30, 44, batch=2)
    singles = torch.cat([net(ir[i : i + 1], vi[i : i + 1]) for i in (0, 1)])
    assert (net(ir, vi) - singles).abs().max() < 1e-6  # products of other sizes round differently


@torch.no_grad()
def test_a_tile_is_told_the_level_of_the_whole_image(net: Any) -> None:
    ir, vi = pair(40, 40)
    assert takes_level(net)
    assert torch.equal(net(ir, vi), net(ir, vi, ir.mean((2, 3), keepdim=True)))
    assert (net(ir, vi) - net(ir, vi, torch.full((1, 1, 1, 1), 0.1))).abs().max() > 1e-4


def idle_after(net: Any, loss: Tensor) -> set[str]:
    net.zero_grad()
    loss.backward()
    # A bias of all keys moves each row of the softmax by a constant: its gradient is rounding.
    return {
        name
        for name, p in net.named_parameters()
        if not name.endswith("key.bias") and (p.grad is None or not p.grad.abs().max())
    }


def test_each_task_reaches_the_parts_that_it_is_for(net: Any) -> None:
    ir, vi = pair(48, 64, batch=2)
    of = {
        part: {
            n for n, _ in net.named_parameters() if n.startswith(f"{part}.") and not n.endswith("key.bias")
        }
        for part, _ in net.named_children()
    }
    everything = set().union(*of.values())
    guess, truth, hidden = net.reconstruct_masked(ir, noise(2, 12), 0.5)
    assert idle_after(net, ((guess - truth).square().mean(-1) * hidden).sum()) == everything - (
        of["encoder"] | of["reconstructor_mask"]
    )
    loss = sum((out - x).square().mean() for out, x in zip(net.reconstruct(ir, vi), (ir, vi), strict=True))
    assert idle_after(net, loss) == everything - (of["encoder"] | of["decoder"] | of["reconstructor"])
    fusing = of["encoder"] | of["cfm"] | of["mfm"] | of["decoder"] | of["head"]
    target = noise(2, 1, 48, 64, seed=5)
    assert idle_after(net, (net(ir, vi) - target).square().mean()) == everything - fusing
    early = net.forward_through(ir, vi, "cfm")
    assert idle_after(net, (early - target).square().mean()) == everything - (fusing - of["mfm"])
    found, mean = net.align_codes(ir, vi, "cfm")
    assert idle_after(net, (found - mean).square().mean()) == everything - (of["encoder"] | of["cfm"])


# ------------------------------------------------------------------ what was mended


@torch.no_grad()
def test_attention_is_over_patches_and_within_a_image(net: Any) -> None:
    a, b = noise(2, 6, 16), noise(2, 6, 16, seed=1)
    places = vit.position_codes(2, 3, 16)
    before = net.cfm(a, b, places)
    moved = b.clone()
    moved[0, 4] = noise(16, seed=3)
    changed = (net.cfm(a, moved, places) - before).abs().amax(2) > 1e-6
    assert changed[0].all()  # every patch of the image sees it
    assert not changed[1].any()  # no other image does
    guides = [net.mfm(guide, a, b, places) for guide in (a, b)]
    assert (guides[0] - guides[1]).abs().max() > 1e-4  # the guide matters, in one image alone too


@torch.no_grad()
def test_training_begins_near_the_mean_of_both_codes() -> None:
    ir, vi = pair(64, 64)

    def off(net: Any, through: str) -> float:
        found, mean = net.align_codes(ir, vi, through)
        return float((found - mean).square().mean() / mean.square().mean())

    for through in ("cfm", "mfm"):
        assert off(make(), through) < 0.1
        assert off(make(residual=False), through) > 0.5


@torch.no_grad()
def test_the_target_of_the_alignment_is_the_mean(net: Any) -> None:
    ir, _ = pair(40, 40)
    codes = net.encoder(
        (torch.nn.functional.pad(ir, (8, 16, 8, 16), mode="replicate") - mae.CENTER) / mae.SPREAD
    )
    assert torch.allclose(net.align_codes(ir, ir)[1], codes, atol=1e-5)


@torch.no_grad()
def test_painted_patches_meet_without_a_jump() -> None:
    torch.manual_seed(0)
    paint = mae.Overlap(4, 1)
    assert (
        float(paint.weight.amax((2, 3)).sub(paint.weight.amin((2, 3))).max()) == 0
    )  # no texture to begin with
    paint.weight.fill_(1.0)
    flat = paint(torch.ones(1, 12, 4), 3, 4)[..., 8:-8, 8:-8]  # the windows of neighbors add up to one
    assert torch.allclose(flat, torch.full_like(flat, 4.0), atol=1e-5)
    image = paint(noise(1, 12, 4), 3, 4)[0, 0, 8:-8, 8:-8]
    jumps = image.diff(dim=1).abs().amax(0)  # tokens differ, yet ...
    assert image.std() > 0.05
    assert float(jumps.max()) < 4 / 16  # ... no step is above what one ramp can make


@torch.no_grad()
def test_a_detail_is_seen_at_its_place_and_far_away_only_through_the_codes(net: Any) -> None:
    ir, vi = pair(96, 96)
    before = net(ir, vi)
    vi[0, 0, 50, 50] = 1 - vi[0, 0, 50, 50]
    changed = (net(ir, vi) - before).abs()[0, 0]
    assert changed[50, 50] > 10 * changed[:20].max() > 0


@torch.no_grad()
def test_the_infrared_guides_where_the_visible_says_nothing() -> None:
    net, (ir, vi) = make(guide="infrared"), pair(48, 48)
    assert not hasattr(net, "cfm")
    codes = net.encoder(ir), net.encoder(vi)
    places = vit.position_codes(3, 3, 16)
    assert torch.equal(net._fused(*codes, places, "mfm"), net.mfm(codes[0], *codes, places))
    with pytest.raises(UsageError, match="guide='infrared' has no cfm"):
        net.forward_through(ir, vi, "cfm")


def test_facts_and_refusals() -> None:
    assert (make().variant, make().align, make().patch) == ("fixed", 16, 16)
    assert 7_000_000 < sum(p.numel() for p in build_net("maefuse").parameters()) < 9_000_000
    with pytest.raises(UnknownNameError, match="unknown guide 'infrard'; did you mean infrared"):
        make(guide="infrard")
    with pytest.raises(UsageError, match="heads=3, expected a divisor of dim=16"):
        make(heads=3)
    with pytest.raises(UsageError, match="depht"):
        make(depht=3)
    with pytest.raises(ShapeError, match="crops of 48x40, expected multiples of 16"):
        make().reconstruct_masked(noise(1, 1, 48, 40), noise(1, 6), 0.5)


@pytest.mark.parametrize("options", [{"grid": 3, "class_token": True}, {"guide": "infrared"}])
def test_it_exports_with_free_sizes(options: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from ivfuse.training.export import export_onnx

    net, weights = make(**options), tmp_path / "net.safetensors"
    save_model(weights, net.state_dict(), {"method": "maefuse", "net": SMALL | options})
    done = export_onnx(weights, tmp_path / "net.onnx")  # compares five sizes, and raises above 1e-4
    assert done.difference < 1e-5
    live = sum(p.numel() for n, p in net.named_parameters() if not n.startswith("reconstructor"))
    assert done.facts["parameters"] == live


# ------------------------------------------------------------------ the encoder's weights from a file


@pytest.fixture
def official() -> dict[str, Any]:
    """A small model with the layout of a file of the MAE release: encoder and decoder, three channels."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = vit.Encoder(vit.Size(16, 2, 2), 3, class_token=True)
        decoder = vit.Decoder(16, 8, 1, 2, 768, masked=True)
        torch.nn.init.normal_(encoder.patch_embed.proj.bias)
    state: dict[str, Any] = {**encoder.state_dict(), **decoder.state_dict()}
    for name, dim in (("pos_embed", 16), ("decoder_pos_embed", 8)):
        codes = torch.cat((torch.zeros(1, dim), vit.position_codes(14, 14, dim)))
        state[name] = codes[None]
    return state


def encoder_only(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in state.items() if not k.startswith("decoder") and k != "mask_token"}


@torch.no_grad()
def test_official_weights_give_the_codes_that_they_give_there(
    tmp_path: Path, official: dict[str, Any]
) -> None:
    """Three channels are folded into one; the class token takes part as it does there."""
    reference = vit.Encoder(vit.Size(16, 2, 2), 3, class_token=True)
    reference.load_state_dict({k: v for k, v in encoder_only(official).items() if k != "pos_embed"})
    net, x = make(class_token=True), noise(2, 1, 32, 48)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
    wanted = reference((x - mean) / deviation)
    for name, content in {
        "full.pth": {"model": official, "epoch": 799, "args": Namespace(mask_ratio=0.75)},
        "encoder.pth": {"model": encoder_only(official)},
        "bare.pth": official,
    }.items():
        torch.save(content, tmp_path / name)
        net.encoder.load_state_dict(read_encoder(net, tmp_path / name))
        assert torch.allclose(net.encoder(mae._normalized(x)), wanted, atol=1e-5), name


@torch.no_grad()
def test_without_a_class_token_the_file_s_is_left_out_and_three_channels_stay_three(
    tmp_path: Path, official: dict[str, Any]
) -> None:
    torch.save({"model": official}, tmp_path / "full.pth")
    assert "cls_token" not in read_encoder(make(), tmp_path / "full.pth")
    paper = build_net(
        "maefuse", "paper", dim=16, depth=2, heads=2, decoder_dim=8, decoder_heads=2, fusion_heads=2
    )
    found = read_encoder(paper, tmp_path / "full.pth")
    assert torch.equal(found["patch_embed.proj.weight"], official["patch_embed.proj.weight"])
    assert found.keys() == paper.encoder.state_dict().keys()


@torch.no_grad()
def test_the_encoder_of_another_run_can_be_taken(tmp_path: Path) -> None:
    other = build_net("maefuse", **(SMALL | {"guide": "infrared"}))
    save_model(tmp_path / "m.safetensors", other.state_dict(), {"method": "maefuse", "net": SMALL})
    found = read_encoder(make(), tmp_path / "m.safetensors")
    assert all(torch.equal(found[k], v) for k, v in other.encoder.state_dict().items())
    wrong = tmp_path / "topk.safetensors"
    save_model(wrong, {"head.bias": torch.ones(1)}, {"method": "crossfuse-topk", "net": {}})
    with pytest.raises(InputError, match="weights of crossfuse-topk, expected ones with a transformer"):
        read_encoder(make(), wrong)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda s: s.pop("blocks.1.mlp.fc1.bias"),
            r"m\.pth: 1 missing keys for .*: blocks\.1\.mlp\.fc1\.bias",
        ),
        (lambda s: s.update({"head.weight": torch.ones(2)}), r"1 unknown keys for .*: head\.weight"),
        (lambda s: s.pop("patch_embed.proj.bias"), r"1 missing keys .*patch_embed\.proj\.bias"),
        (
            lambda s: s.update({"blocks.0.attn.proj.bias": torch.ones(4)}),
            r"blocks\.0\.attn\.proj\.bias has the shape \(4,\), expected \(16,\)",
        ),
        (lambda s: s["pos_embed"].mul_(1.5), "pos_embed contains learned position codes"),
        (
            lambda s: s.update({"blocks.2.norm1.bias": torch.ones(16)}),
            r"1 unknown .*: blocks\.2\.norm1\.bias",
        ),
    ],
)
def test_an_encoder_that_does_not_fit_is_named_in_one_line(
    tmp_path: Path, official: dict[str, Any], spoil: Callable[[Any], object], message: str
) -> None:
    spoil(official)
    torch.save({"model": official}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=message) as caught:
        read_encoder(make(), tmp_path / "m.pth")
    assert "\n" not in str(caught.value)


def test_files_and_networks_without_an_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pth: no such file"):
        read_encoder(make(), tmp_path / "none.pth")
    with pytest.raises(UsageError, match="CrossFuseTopk has no transformer encoder"):
        read_encoder(build_net("crossfuse-topk", width=4, heads=2), tmp_path / "none.pth")
