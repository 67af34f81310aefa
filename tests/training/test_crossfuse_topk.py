"""crossfuse-topk, the fixed variant: any size, bounded output, bounded coupling, bands that are bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from ivfuse.errors import UsageError  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.nets import crossfuse_topk as topk  # noqa: E402
from ivfuse.training.nets.restormer import ChannelAttention, ChannelNorm  # noqa: E402
from small_nets import noise, pair, seeded  # noqa: E402

if TYPE_CHECKING:
    pass

SMALL = {"width": 8, "blocks": 1, "heads": 2, "nodes": 2, "stride": 2}


def make(**options: Any) -> Any:
    return seeded("crossfuse-topk", **(SMALL | options))


@pytest.fixture
def net() -> Any:
    return make()


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (50, 37)])
@torch.no_grad()
def test_any_size_keeps_shape_and_range(stride: int, size: tuple[int, int]) -> None:
    net = make(stride=stride)
    ir, vi = pair(*size, batch=2)
    fused, bands = net.forward_bands(ir, vi)
    assert torch.equal(fused, net(ir, vi))
    assert fused.shape == ir.shape
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    assert len({band.shape for band in bands}) == 1
    for out in net.reconstruct(ir, vi):
        assert out.shape == ir.shape


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
    net.head.out.bias.copy_(torch.tensor([-100.0, 0.0]))
    ir, vi = pair(24, 24)
    assert torch.allclose(net(ir, vi), vi, atol=1e-6)  # all weight on the visible, no step


@torch.no_grad()
def test_a_batch_of_two_is_two_batches_of_one(net: Any) -> None:
    ir, vi = pair(30, 44, batch=2)
    singles = torch.cat([net(ir[i : i + 1], vi[i : i + 1]) for i in (0, 1)])
    assert (net(ir, vi) - singles).abs().max() < 1e-6  # products of other sizes round differently


@torch.no_grad()
def test_the_same_input_gives_the_same_output_in_both_modes(net: Any) -> None:
    ir, vi = pair(30, 44)
    assert torch.equal(net(ir, vi), net(ir, vi))
    assert torch.equal(net(ir, vi), net.train()(ir, vi))


def test_gradients_reach_every_parameter_that_should_learn(net: Any) -> None:
    ir, vi = pair(40, 48, batch=2)

    def idle() -> set[str]:
        return {
            n.split(".")[0] for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max()
        }

    (net(ir, vi) - noise(2, 1, 40, 48, seed=5)).square().mean().backward()
    assert idle() == {"reconstructor"}
    net.zero_grad()
    sum(
        (out - x).square().mean() for out, x in zip(net.reconstruct(ir, vi), (ir, vi), strict=True)
    ).backward()
    assert idle() == {"fuse_low", "fuse_high", "head"}


@torch.no_grad()
def test_constant_inputs_give_a_flat_image(net: Any) -> None:
    fused = net(torch.full((1, 1, 40, 30), 0.7), torch.full((1, 1, 40, 30), 0.2))
    # The border keeps zero padding away; attention sees it, but only as one number for each pair of channels.
    assert float(fused.max() - fused.min()) < 0.02


@torch.no_grad()
def test_the_modalities_can_be_told_apart_behind_the_fusion_of_bands(net: Any) -> None:
    bands = [noise(1, 8, 6, 6, seed=s) for s in (0, 1)]
    for layer in (net.fuse_low, net.fuse_high):
        # As it begins, with the release's mean in front ...
        assert torch.allclose(layer(*bands), layer(*bands[::-1]), atol=1e-6)
        torch.nn.init.normal_(layer.mix.weight, generator=torch.Generator().manual_seed(0))
        assert not torch.allclose(layer(*bands), layer(*bands[::-1]), atol=1e-2)  # ... but it can learn


@torch.no_grad()
def test_coupling_is_bounded_and_can_be_undone() -> None:
    node = topk.CouplingNode(8).eval()
    for parameter in node.parameters():
        parameter.mul_(50)
    assert torch.isfinite(node(100 * (noise(1, 8, 12, 12) - 0.5))).all()
    x = noise(1, 8, 12, 12).double()
    node = topk.CouplingNode(8).double().eval()
    first, second = node(x).chunk(2, 1)
    rho, eta = node.rho_eta(second).chunk(2, 1)
    first = (first - eta) * torch.exp(-torch.tanh(rho))
    back = torch.cat((first, second - node.phi(first)), 1)
    assert torch.allclose(back, node.shuffle(x), atol=1e-12)


@torch.no_grad()
def test_the_low_band_cannot_hold_the_finest_detail(net: Any) -> None:
    checks = ((torch.arange(16)[:, None] + torch.arange(16)) % 2).float()[None, None].repeat(1, 8, 1, 1)
    low = net.encoder.low
    assert torch.allclose(low(checks), low(1 - checks), atol=1e-6)  # both are gray to it
    high = net.encoder.high
    assert (high(checks) - high(1 - checks)).abs().max() > 0.1


@torch.no_grad()
def test_reconstruction_is_given_nothing_but_the_bands(net: Any) -> None:
    for parameter in net.decoder.parameters():
        parameter.zero_()
    one, two = net.reconstruct(*pair(20, 20))
    assert torch.equal(one, two)  # with the bands silenced the images are gone


@torch.no_grad()
def test_a_pixel_is_seen_by_the_whole_image(net: Any) -> None:
    """Why the method states no reach: attention between channels is measured over the whole image."""
    ir, vi = pair(16, 200)
    before = net(ir, vi)
    vi[..., :4] = 1 - vi[..., :4]
    assert (net(ir, vi) - before)[..., -1].abs().max() > 0


# ------------------------------------------------------------------ parts


@torch.no_grad()
def test_channel_norm_is_layer_norm_over_channels() -> None:
    x = noise(2, 6, 5, 7) * 3
    found = ChannelNorm(6)(x)
    assert torch.allclose(found.mean(1), torch.zeros(()), atol=1e-5)
    assert torch.allclose(found.var(1, unbiased=False), torch.ones(()), atol=1e-3)


@pytest.mark.parametrize("full", [False, True])
@torch.no_grad()
def test_channel_attention_is_the_formula_written_out(full: bool) -> None:
    torch.manual_seed(0)
    layer = ChannelAttention(6, 2, full=full)
    layer.temperature.copy_(torch.tensor([0.5, 2.0])[:, None, None])
    x = noise(1, 6, 4, 5)
    q, k, v = layer.local(layer.qkv(x)).flatten(2)[0].chunk(3)
    heads = []
    for head in range(2):
        a, b, c = (part[3 * head : 3 * head + 3] for part in (q, k, v))
        cosines = torch.stack([torch.cosine_similarity(row[None], b, dim=1) for row in a])
        heads.append(torch.softmax(cosines * layer.temperature[head], dim=1) @ c)
    expected = layer.out(torch.cat(heads).reshape(1, 6, 4, 5))
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_facts_and_refusals() -> None:
    assert (make().variant, make().align, make(stride=4).align) == ("fixed", 4, 8)
    assert 150_000 < sum(p.numel() for p in build_net("crossfuse-topk").parameters()) < 400_000
    for wrong, message in (
        ({"width": 7}, "width=7"),
        ({"heads": 3}, "heads=3, expected a divisor of width=8"),
        ({"stride": 3}, "stride=3, expected 1, 2 or 4"),
        ({"depth": 2}, "depth"),
    ):
        with pytest.raises(UsageError, match=message):
            make(**wrong)


def test_it_exports_with_free_sizes(net: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from ivfuse.training.checkpoint import save_model
    from ivfuse.training.export import export_onnx

    weights = tmp_path / "net.safetensors"
    save_model(weights, net.state_dict(), {"method": "crossfuse-topk", "net": SMALL})
    done = export_onnx(weights, tmp_path / "net.onnx")  # compares five sizes, and raises above 1e-4
    assert done.difference < 1e-5
    live = sum(p.numel() for n, p in net.named_parameters() if not n.startswith("reconstructor"))
    assert done.facts["parameters"] == live
