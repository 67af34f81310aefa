"""What holds for every network that fuses, in the small size of its smoke recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivfuse.training.checkpoint import load_model, save_model  # noqa: E402
from ivfuse.training.nets import NETS, build_net, outputs_of  # noqa: E402
from small_nets import noise, pair, seeded  # noqa: E402

SIZES = [(1, 1), (1, 9), (7, 3), (50, 37)]
Small = Callable[[str], Any]


@pytest.fixture
def small(smoke_of: Callable[[str], dict[str, Any]]) -> Small:
    """Make a network as its method's smoke recipe has it."""
    return lambda method: seeded(method, **smoke_of(method)["net"])


def fusing() -> list[str]:
    """Methods whose network gives an image; the matcher gives features."""
    return [method for method, variants in NETS.items() if outputs_of(variants["fixed"]) == ("fused",)]


def test_the_matcher_alone_does_not_fuse() -> None:
    assert NETS.keys() - set(fusing()) == {"matcher"}


@pytest.mark.parametrize("method", fusing())
@torch.no_grad()
def test_any_size_gives_an_image_of_that_size_in_range(method: str, small: Small) -> None:
    net = small(method)
    for size in SIZES:
        for ir, vi in (pair(*size, batch=2), (torch.ones(1, 1, *size), torch.zeros(1, 1, *size))):
            fused = net(ir, vi)
            assert fused.shape == ir.shape
            assert fused.dtype == torch.float32
            assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


@pytest.mark.parametrize("method", fusing())
@torch.no_grad()
def test_pairs_of_a_batch_do_not_act_on_each_other_and_inputs_stay(method: str, small: Small) -> None:
    net, (ir, vi) = small(method), pair(40, 48, batch=3)
    kept = ir.clone(), vi.clone()
    fused = net(ir, vi)
    assert torch.equal(fused, net(ir, vi))
    assert torch.equal(ir, kept[0])
    assert torch.equal(vi, kept[1])
    for i in range(3):  # float32 sums in another order
        assert torch.allclose(fused[i : i + 1], net(ir[i : i + 1], vi[i : i + 1]), atol=1e-5)


@pytest.mark.parametrize("method", fusing())
def test_both_sources_and_gradients_reach_the_image(method: str, small: Small) -> None:
    net, sources = small(method), [x.requires_grad_() for x in pair(40, 48)]
    net(*sources).square().mean().backward()
    for name, x in zip(("ir", "vi"), sources, strict=True):
        assert torch.isfinite(x.grad).all(), name
        assert x.grad.abs().max() > 0, name
    found = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in found)
    assert any(gradient.abs().max() > 0 for gradient in found)


@pytest.mark.parametrize("method", fusing())
@torch.no_grad()
def test_a_saved_network_is_the_same_when_loaded(
    method: str, small: Small, smoke_of: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    net = small(method)
    for parameter in net.parameters():
        parameter.add_(0.01 * noise(*parameter.shape))
    about = {"method": method, "variant": "fixed", "net": smoke_of(method)["net"]}
    save_model(tmp_path / "net.safetensors", net.state_dict(), about)
    ir, vi = pair(24, 32)
    assert torch.equal(load_model(tmp_path / "net.safetensors")[0](ir, vi), net(ir, vi))


@pytest.mark.parametrize("method", NETS)
def test_an_unknown_width_is_an_error_of_one_line(method: str) -> None:
    from ivfuse.errors import UsageError

    for variant in NETS[method]:
        with pytest.raises(UsageError, match=rf"{method} \({variant}\).*'no_such_width'"):
            build_net(method, variant, no_such_width=1)
