"""crossfuse-cam, the fixed variant: any size, bounded, local, an attention that means what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from ivfuse.errors import UnknownNameError, UsageError  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.nets import crossfuse_cam as cam  # noqa: E402
from ivfuse.training.nets.blocks import RelativeBias, box3, from_windows, to_windows  # noqa: E402
from small_nets import noise, pair  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

REACH = 165  # pixels; for windows of 8 deep pixels, at any widths
SMALL = {"shallow": 4, "middle": 8, "deep": 8, "growth": 4, "heads": 2, "window": 4}


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (64, 48), (131, 97)])
@torch.no_grad()
def test_any_size_keeps_shape_and_range(small_net: Any, size: tuple[int, int]) -> None:
    ir, vi = pair(*size, batch=2)
    fused = small_net(ir, vi)
    assert fused.shape == ir.shape
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    for out in small_net.reconstruct(ir, vi):
        assert out.shape == ir.shape


@torch.no_grad()
def test_the_range_holds_for_extreme_weights_and_inputs(small_net: Any) -> None:
    for parameter in small_net.decoder.head.parameters():
        parameter.mul_(1000)
    black = torch.zeros(1, 1, 40, 40)
    for ir, vi in ((black, black + 1), (black + 1, black), pair(40, 40)):
        fused = small_net(ir, vi)
        assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


@torch.no_grad()
def test_a_batch_of_two_is_two_batches_of_one(small_net: Any) -> None:
    ir, vi = pair(50, 70, batch=2)
    both = small_net(ir, vi)
    singles = torch.cat([small_net(ir[i : i + 1], vi[i : i + 1]) for i in (0, 1)])
    assert (both - singles).abs().max() < 1e-6  # matrix products of other sizes round differently


@torch.no_grad()
def test_the_same_input_gives_the_same_output(small_net: Any) -> None:
    ir, vi = pair(50, 70)
    assert torch.equal(small_net(ir, vi), small_net(ir, vi))
    assert torch.equal(small_net(ir, vi), small_net.train()(ir, vi))  # nothing in it depends on the mode


def test_gradients_reach_every_parameter_of_the_fusion(small_net: Any) -> None:
    ir, vi = pair(96, 80, batch=2)
    (small_net(ir, vi) - noise(2, 1, 96, 80, seed=5)).square().mean().backward()
    idle = [n for n, p in small_net.named_parameters() if p.grad is None or not p.grad.abs().max()]
    assert all(name.startswith("reconstructor") for name in idle)
    # a bias added to all keys shifts each row of the softmax by a constant: no gradient but rounding
    live = [n for n, _ in small_net.named_parameters() if not n.startswith("reconstructor")]
    assert len(live) > 100
    assert not set(live) & set(idle)


@pytest.mark.parametrize("deep_only", [False, True])
def test_gradients_reach_every_parameter_of_the_autoencoders(small_net: Any, deep_only: bool) -> None:
    ir, vi = pair(64, 64, batch=2)
    outs = small_net.reconstruct(ir, vi, deep_only=deep_only)
    sum((out - x).square().mean() for out, x in zip(outs, (ir, vi), strict=True)).backward()
    parts = ("encoder", "reconstructor")
    idle = [
        n
        for n, p in small_net.named_parameters()
        if n.startswith(parts) and (p.grad is None or not p.grad.abs().max())
    ]
    assert idle == []


@torch.no_grad()
def test_deep_only_leaves_fine_detail_out(small_net: Any) -> None:
    ir, vi = pair(64, 64)
    detail = torch.zeros(1, 1, 64, 64)
    detail[..., ::2, ::2] = 0.001  # survives no pooling as a place, only as a level
    moved = detail.roll(1, -1)
    deep = [small_net.reconstruct(0 * ir + x, vi, deep_only=True)[0] for x in (detail, moved)]
    full = [small_net.reconstruct(0 * ir + x, vi)[0] for x in (detail, moved)]
    inner = (..., slice(16, 48), slice(16, 48))
    assert (full[0] - full[1])[inner].std() > 3 * (deep[0] - deep[1])[inner].std()


@torch.no_grad()
def test_constant_inputs_give_a_nearly_flat_image(small_net: Any) -> None:
    ir, vi = torch.full((1, 1, 90, 70), 0.7), torch.full((1, 1, 90, 70), 0.2)
    fused = small_net(ir, vi)
    # zero padding acts in the border that is cut off, but its deep part leaks through the attention
    assert float(fused.max() - fused.min()) < 0.03
    base, step = 0.25, 0.25  # an untrained step towards black or white is small
    assert 0.2 - base < float(fused.mean()) < 0.7 + step


@torch.no_grad()
def test_the_output_lies_between_the_sources_where_the_step_is_zero(small_net: Any) -> None:
    small_net.decoder.head.weight[1].zero_()
    small_net.decoder.head.bias[1].zero_()
    ir, vi = pair(40, 56)
    fused = small_net(ir, vi)
    assert (fused >= torch.minimum(ir, vi) - 1e-6).all()
    assert (fused <= torch.maximum(ir, vi) + 1e-6).all()


@torch.no_grad()
def test_the_level_is_the_mean_of_the_infrared_unless_another_is_given(small_net: Any) -> None:
    ir, vi = pair(40, 56, batch=2)
    own = small_net(ir, vi)
    assert torch.equal(own, small_net(ir, vi, ir.mean((2, 3), keepdim=True)))
    assert (own - small_net(ir, vi, torch.zeros(2, 1, 1, 1))).abs().max() > 1e-4


@pytest.mark.parametrize("axis", [2, 3])
@torch.no_grad()
def test_a_pixel_reaches_no_further_than_the_stated_reach(axis: int) -> None:
    """NaN spreads along every path, whatever the weights: what it leaves clean cannot depend on the pixel."""
    net = build_net("crossfuse-cam", shallow=2, middle=2, deep=2, growth=2, heads=1, window=8).eval()
    long, furthest = 7 * net.align, 0
    for offset in (0, 10, 37):  # of all 64, the second reaches furthest before it, the third behind it
        shape = (1, 1, long, 8) if axis == 2 else (1, 1, 8, long)
        ir, vi = noise(*shape), noise(*shape, seed=1)
        position = 3 * net.align + offset
        vi.narrow(axis, position, 1).fill_(float("nan"))
        spoilt = net(ir, vi).isnan().any(5 - axis).flatten().nonzero().flatten()
        furthest = max(furthest, position - int(spoilt[0]), int(spoilt[-1]) - position)
    assert furthest == REACH


@torch.no_grad()
def test_a_move_by_one_window_moves_the_image(small_net: Any) -> None:
    step = small_net.align
    assert step == 4 * cam.STRIDE
    ir, vi = pair(4, 12 * step)  # along one axis: the reach is 2.6 windows or less
    level = ir.mean((2, 3), keepdim=True)
    whole, moved = small_net(ir, vi), small_net(ir[..., step:], vi[..., step:], level)
    inner = slice(4 * step, 8 * step)
    difference = (whole[..., step:][..., inner] - moved[..., inner]).abs().max()
    assert difference < 1e-6
    off = small_net(ir[..., step // 2 :], vi[..., step // 2 :], level)
    assert (whole[..., step // 2 :][..., inner] - off[..., inner]).abs().max() > 1e-5


# ------------------------------------------------------------------ attention


def attend(attention: Any, x: Tensor, other: Tensor) -> Tensor:
    """The weights of an attention, (N, heads, T, T), read off by values that name their token."""
    count, dim = other.shape[1], other.shape[2]
    heads = attention.heads
    columns = []
    for token in range(count):
        # values and output are made the identity; each run asks how much of one token arrives
        mark = torch.zeros(count, dim)
        mark[token] = 1

        def value(_: Tensor, mark: Tensor = mark) -> Tensor:
            return mark.expand(len(other), -1, -1)

        attention.value.forward, attention.out.forward = value, lambda t: t
        columns.append(attention(x, other).unflatten(-1, (heads, -1))[..., 0])
    return torch.stack(columns, -1).transpose(1, 2)


@torch.no_grad()
def test_the_less_a_token_resembles_the_query_the_more_it_adds() -> None:
    torch.manual_seed(0)
    attention = cam.Attention(8, 1, 2, uncorrelated=True)
    query = noise(1, 1, 8, seed=2) - 0.5
    aim = attention.query(query)
    # tokens whose projections have the cosines 1, 0.5, 0, -1 with the query's: solved backwards
    across = torch.linalg.svd(aim[0])[2][1]
    along = aim[0, 0] / aim.norm()
    cosines = torch.tensor([1.0, 0.5, 0.0, -1.0])
    projected = cosines[:, None] * along + (1 - cosines**2).sqrt()[:, None] * across
    tokens = torch.linalg.solve(attention.query.weight, (projected - attention.query.bias).T).T
    weights = attend(attention, query.expand(1, 4, -1), tokens[None])[0, 0, 0]
    assert (weights.diff() > 0).all()
    assert torch.allclose(weights, torch.softmax(-cosines, 0), atol=1e-4)
    attention.log_temperature.fill_(-20.0)  # however far training pushes it, the temperature stays positive
    assert float(attention.log_temperature.exp()) > 0
    attention.log_temperature.fill_(2.0)
    sharp = attend(attention, query.expand(1, 4, -1), tokens[None])[0, 0, 0]
    assert float(sharp[3]) > float(weights[3])
    assert (sharp.diff() > 0).all()


@torch.no_grad()
def test_a_token_looks_at_its_own_likeness_least() -> None:
    torch.manual_seed(1)
    attention = cam.Attention(8, 2, 3, uncorrelated=True)
    tokens = torch.randn(1, 9, 8)
    weights = attend(attention, tokens, tokens)
    assert (weights.argmin(-1) == torch.arange(9)).all()
    assert attention.key is attention.query


@pytest.mark.parametrize("uncorrelated", [False, True])
@torch.no_grad()
def test_the_weights_of_a_query_sum_to_one(uncorrelated: bool) -> None:
    attention = cam.Attention(8, 2, 3, uncorrelated=uncorrelated)
    torch.nn.init.normal_(attention.bias.table)
    weights = attend(attention, noise(2, 9, 8), noise(2, 9, 8, seed=1))
    assert weights.shape == (2, 2, 9, 9)
    assert (weights > 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-6)


@pytest.mark.parametrize(("shift", "expected"), [(False, {0}), (True, {0, 1})])
@torch.no_grad()
def test_a_change_crosses_the_border_of_a_window_by_the_shift_only(shift: bool, expected: set[int]) -> None:
    torch.manual_seed(0)
    block = cam.Block(8, 2, 4, shift=shift).eval()
    x = noise(1, 8, 4, 16)
    changed = x.clone()
    changed[..., 3] = noise(1, 8, 4, seed=9)  # the last column of the first window
    moved = (block(changed, changed) - block(x, x)).abs().amax((0, 1, 2)) > 1e-6
    assert {column // 4 for column in moved.nonzero().flatten().tolist()} == expected
    if shift:
        assert moved.nonzero().flatten().tolist() == [2, 3, 4, 5]


@torch.no_grad()
def test_positions_matter_through_the_learned_bias() -> None:
    torch.manual_seed(0)
    attention = cam.Attention(8, 2, 3, uncorrelated=False)
    tokens, order = torch.randn(1, 9, 8), torch.randperm(9)
    before = attention(tokens, tokens)[:, order]
    assert torch.allclose(before, attention(tokens[:, order], tokens[:, order]), atol=1e-6)
    torch.nn.init.normal_(attention.bias.table)
    before = attention(tokens, tokens)[:, order]
    assert (before - attention(tokens[:, order], tokens[:, order])).abs().max() > 1e-2


# ------------------------------------------------------------------ parts and facts


def test_windows_hold_neighbors_and_come_back() -> None:
    x = torch.arange(2 * 3 * 8 * 12).float().reshape(2, 3, 8, 12)
    tokens = to_windows(x, 4)
    assert tokens.shape == (2 * 2 * 3, 16, 3)
    assert torch.equal(tokens[4].T.reshape(3, 4, 4), x[0, :, 4:, 4:8])
    assert torch.equal(from_windows(tokens, 4, 8, 12), x)


def test_the_bias_depends_on_the_offset_alone() -> None:
    bias = RelativeBias(3, 2)
    torch.nn.init.normal_(bias.table)
    table = bias().reshape(2, 3, 3, 3, 3)
    assert torch.equal(table[:, 0, 0, 1, 1], table[:, 1, 1, 2, 2])
    assert not torch.equal(table[:, 0, 0, 1, 1], table[:, 1, 1, 0, 0])
    assert len(table[0].flatten().unique()) == 25


def test_the_box_filter_is_a_mean_at_the_border_too() -> None:
    assert torch.allclose(box3(torch.full((1, 2, 4, 5), 0.3)), torch.tensor(0.3))
    assert float(box3(torch.tensor([[[[0.0, 1.0, 2.0]]]]))[0, 0, 0, 0]) == 0.5


def test_the_variants_are_what_the_registry_says() -> None:
    fixed = build_net("crossfuse-cam", **SMALL)
    paper = build_net("crossfuse-cam", "paper", shallow=2, growth=2, deep=4, heads=1)
    assert (fixed.variant, paper.variant) == ("fixed", "paper")
    assert (fixed.align, paper.align) == (32, 256)
    count = sum(p.numel() for p in build_net("crossfuse-cam").parameters())
    assert 300_000 < count < 1_000_000
    assert not any(True for _ in fixed.buffers()) or all("index" in n for n, _ in fixed.named_buffers())


def test_wrong_widths_and_names_are_refused() -> None:
    with pytest.raises(UsageError, match="heads=3, expected a divisor of deep=8"):
        build_net("crossfuse-cam", **(SMALL | {"heads": 3}))
    with pytest.raises(UsageError, match="depth"):
        build_net("crossfuse-cam", depth=2)
    with pytest.raises(UnknownNameError, match="variant of crossfuse-cam 'fix'; did you mean fixed"):
        build_net("crossfuse-cam", "fix")
