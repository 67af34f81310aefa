"""The vision transformer: MAE's names and codes, masking as stated, patches there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ivfuse.errors import ShapeError, UnknownNameError, UsageError  # noqa: E402
from ivfuse.training.nets import vit  # noqa: E402
from small_nets import noise  # noqa: E402

if TYPE_CHECKING:
    pass

TINY = vit.Size(16, 2, 2)


def encoder(**options: Any) -> vit.Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return vit.Encoder(TINY, 1, **options).eval()


def decoder(**options: Any) -> vit.Decoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return vit.Decoder(16, 8, 1, 2, 256, **options).eval()


# ------------------------------------------------------------------ position codes


def test_codes_are_the_formula_written_out() -> None:
    found = vit.position_codes(3, 4, 8).reshape(3, 4, 8)
    for row in range(3):
        for column in range(4):
            # two rates for each of sine and cosine: 1 and 10000^(-1/2)
            parts = [f(at * rate) for at in (column, row) for f in (np.sin, np.cos) for rate in (1, 0.01)]
            np.testing.assert_allclose(found[row, column], parts, atol=1e-6)


def test_a_larger_grid_is_scaled_down_to_what_was_trained_and_a_smaller_one_is_not() -> None:
    plain, scaled = vit.position_codes(4, 4, 16), vit.position_codes(8, 2, 16, grid=4)
    columns = plain.reshape(4, 4, 16)[0, :2, :8]
    assert torch.allclose(scaled.reshape(8, 2, 16)[0, :, :8], columns)  # two columns keep their places
    rows = plain.reshape(4, 4, 16)[:, 0, 8:]
    assert torch.allclose(
        scaled.reshape(8, 2, 16)[::2, 0, 8:], rows, atol=1e-6
    )  # every second row is one of four


def test_codes_of_different_places_differ() -> None:
    codes = vit.position_codes(40, 30, 64)
    assert float(torch.cdist(codes, codes).add(torch.eye(1200) * 9).min()) > 0.1


# ------------------------------------------------------------------ patches


def test_patches_are_cut_row_by_row_and_put_back() -> None:
    x = noise(2, 3, 32, 48)
    patches = vit.patchify(x)
    assert patches.shape == (2, 6, 768)
    assert torch.equal(patches[1, 4].reshape(16, 16, 3), x[1, :, 16:, 16:32].permute(1, 2, 0))
    assert torch.equal(vit.unpatchify(patches, 2, 3), x)
    with pytest.raises(ShapeError, match="images of 32x40, expected sides that are multiples of 16"):
        vit.patchify(x[..., :40])


def test_the_right_share_is_hidden_and_the_noise_alone_decides() -> None:
    random = noise(3, 36)
    keep, hidden = vit.choose_patches(random, 0.75)
    assert keep.shape == (3, 9)
    assert hidden.sum(1).tolist() == [27.0] * 3
    for row in range(3):
        assert set(keep[row].tolist()) == set(np.argsort(random[row].numpy())[:9].tolist())
        assert not hidden[row, keep[row]].any()
    assert torch.equal(vit.choose_patches(random.clone(), 0.75)[0], keep)
    assert not torch.equal(vit.choose_patches(noise(3, 36, seed=1), 0.75)[0], keep)
    assert vit.choose_patches(noise(1, 2), 0.9)[0].shape == (1, 1)  # one at least is seen


# ------------------------------------------------------------------ attention, encoder and decoder


@torch.no_grad()
def test_attention_is_the_formula_written_out() -> None:
    q, k, v = (noise(2, t, 6, seed=t) for t in (3, 5, 5))
    found = vit.attend(q, k, v, heads=2)
    for head in (slice(0, 3), slice(3, 6)):
        weights = torch.softmax(q[..., head] @ k[..., head].transpose(1, 2) / 3**0.5, -1)
        assert torch.allclose(found[..., head], weights @ v[..., head], atol=1e-6)


@torch.no_grad()
def test_what_is_hidden_is_not_seen() -> None:
    net, x = encoder(), noise(1, 1, 48, 32)
    keep = torch.tensor([[0, 3]])
    seen = net(x, keep)
    assert seen.shape == (1, 2, 16)
    other = x.clone()
    other[..., 32:, :] = 0.3  # patches 4 and 5
    assert torch.equal(net(other, keep), seen)
    other[..., 16:32, 16:] = 0.3  # patch 3
    assert not torch.allclose(net(other, keep), seen)


@torch.no_grad()
def test_keeping_all_patches_in_their_order_is_no_masking() -> None:
    net, x = encoder(), noise(2, 1, 32, 48)
    assert torch.allclose(net(x, torch.arange(6).repeat(2, 1)), net(x), atol=1e-6)


@torch.no_grad()
def test_the_class_token_takes_part_and_is_left_out_of_the_codes() -> None:
    net, x = encoder(class_token=True), noise(2, 1, 32, 48)
    before = net(x)
    assert before.shape == (2, 6, 16)
    net.cls_token.add_(noise(16))
    assert not torch.allclose(net(x), before, atol=1e-4)


@torch.no_grad()
def test_the_decoder_puts_seen_patches_in_their_places() -> None:
    net, codes = decoder(masked=True), noise(1, 2, 16)
    one, two = (net(codes, 2, 3, torch.tensor([order])) for order in ([1, 4], [4, 1]))
    swapped = net(codes.flip(1), 2, 3, torch.tensor([[4, 1]]))
    assert one.shape == (1, 6, 256)
    assert torch.allclose(one, swapped, atol=1e-6)
    assert not torch.allclose(one, two, atol=1e-3)
    with pytest.raises(UsageError, match="without a mask token"):
        decoder()(codes, 2, 3, torch.tensor([[1, 4]]))


def test_every_parameter_learns() -> None:
    coder, back, x = encoder(class_token=True), decoder(masked=True), noise(2, 1, 32, 48)
    keep, _ = vit.choose_patches(noise(2, 6), 0.5)
    back(coder(x, keep), 2, 3, keep).square().mean().backward()
    for net in (coder, back):
        assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max()] == []


@pytest.mark.parametrize(
    ("size", "millions"), [("tiny", 5.5), ("small", 21.6), ("base", 85.65), ("large", 303.1)]
)
def test_the_sizes_are_the_usual_ones(size: str, millions: float) -> None:
    with torch.device("meta"):
        net = vit.Encoder(vit.find_size(size), 3, class_token=True)
    # of ViT-Ti/S/B/L with 16-pixel patches, without head and position codes
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_names_are_those_of_the_mae_release() -> None:
    block = [
        f"{layer}.{leaf}"
        for layer in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        for leaf in ("weight", "bias")
    ]
    expected = {"cls_token", "patch_embed.proj.weight", "patch_embed.proj.bias", "norm.weight", "norm.bias"}
    expected |= {f"blocks.{i}.{name}" for i in (0, 1) for name in block}
    assert set(encoder(class_token=True).state_dict()) == expected
    expected = {f"decoder_{x}.{leaf}" for x in ("embed", "norm", "pred") for leaf in ("weight", "bias")}
    expected |= {"mask_token"} | {f"decoder_blocks.0.{name}" for name in block}
    assert set(decoder(masked=True).state_dict()) == expected


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown size 'smal'; did you mean small"):
        vit.find_size("smal")
    with pytest.raises(UsageError, match="heads=5, expected a divisor of dim=192"):
        vit.find_size("tiny", heads=5)
    with pytest.raises(UsageError, match="dim=6, expected a multiple of 4"):
        vit.find_size("tiny", dim=6, heads=2)
    assert vit.find_size("tiny", depth=3) == vit.Size(192, 3, 3)
