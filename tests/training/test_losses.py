"""Training losses: finite everywhere, lowest at the ideal, and the same as the measures they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ivfuse.errors import UnknownNameError, UsageError  # noqa: E402
from ivfuse.metrics.evaluate import evaluate_arrays  # noqa: E402
from ivfuse.training import losses  # noqa: E402
from ivfuse.training.loss_registry import LOSSES, find_loss  # noqa: E402
from ivfuse.training.nets.blocks import Bands  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

NAMES = [*LOSSES["fusion"], *LOSSES["reconstruction"]]


def measure(name: str, fused: Tensor, ir: Tensor, vi: Tensor, **options: float) -> Tensor:
    """A loss of either kind; one of reconstruction compares with the infrared."""
    if name in LOSSES["fusion"]:
        return LOSSES["fusion"][name](fused, ir, vi, **options)
    return LOSSES["reconstruction"][name](fused, ir, **options)


def image(seed: int, height: int = 72, width: int = 80, batch: int = 1) -> Tensor:
    """Smooth noise with an edge, of whole 8-bit levels."""
    rng = np.random.default_rng(seed)
    planes = []
    for _ in range(batch):
        x = cv2.GaussianBlur(rng.random((height, width), dtype=np.float32), (0, 0), 1.2)
        x[:, width // 2 :] += 0.3 * rng.random()
        planes.append(np.rint(230 * (x - x.min()) / (x.max() - x.min()) + 10) / 255)
    return torch.from_numpy(np.stack(planes)[:, None].astype(np.float32))


def ideal(name: str, ir: Tensor, vi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A triple at which the loss is lowest."""
    if name in ("intensity_max", "intensity_mask"):
        warm = losses._box(ir, 11) > losses._box(vi, 11)
        return (torch.where(warm, ir, vi) if name == "intensity_mask" else torch.maximum(ir, vi)), ir, vi
    if name == "intensity_shift":
        above = ir - ir.mean((2, 3), keepdim=True)
        moved = torch.where(above > 0, vi + above * (1 - vi), vi + 0.8 * above)
        return torch.maximum(ir, moved), ir, vi
    if name == "differences":
        return ir + vi, ir, vi  # each difference is then the other source
    return ir, ir, ir


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["texture", "identical", "constant", "black", "white", "half flat"])
def test_value_and_gradient_are_finite(name: str, what: str) -> None:
    ir, vi, fused = image(0, batch=2), image(1, batch=2), image(2, batch=2)
    if what == "identical":
        vi = fused = ir
    elif what in ("constant", "black", "white"):
        ir = vi = fused = torch.full_like(ir, {"constant": 0.4, "black": 0.0, "white": 1.0}[what])
    elif what == "half flat":
        for x in (ir, vi, fused):
            x[..., :40] = 1.0
    fused = fused.clone().requires_grad_()
    loss = measure(name, fused, ir, vi)
    assert loss.shape == ()
    (gradient,) = torch.autograd.grad(loss, fused)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    if what == "texture" and name != "contrast":  # the fused one may have contrast enough
        assert gradient.abs().max() > 0


PARTS = {  # the losses of bands, codes, patches and teachers, and what they are given; one that learns first
    "bands": (LOSSES["bands"], lambda: [Bands(*(image(seed, 16, 16) for seed in range(4)))]),
    "codes": (LOSSES["alignment"], lambda: [image(0), image(1)]),
    "patches": (LOSSES["mask"], lambda: [*torch.rand(2, 2, 9, 256).unbind(), torch.ones(2, 9)]),
    "teacher": (LOSSES["teacher"], lambda: [image(0), image(1)]),
}


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part, (table, _) in PARTS.items() for name in table]
)
def test_losses_of_parts_are_positive_and_can_be_differentiated(part: str, name: str) -> None:
    table, make = PARTS[part]
    given: list[Any] = make()
    learning = [*given[0]] if isinstance(given[0], Bands) else [given[0]]
    for x in learning:
        x.requires_grad_()
    loss = table[name](*given)
    assert loss.shape == ()
    assert float(loss.detach()) > 0
    gradients = torch.autograd.grad(loss, learning)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_the_ideal_image_has_next_to_no_loss(name: str) -> None:
    # Qabf's own sigmoids leave 2.5 % at equal edges; the rest is float32 and the small terms in denominators.
    expected, tolerance = (0.0253, 2e-4) if name == "edges" else (0.0, 1e-4)
    assert float(measure(name, *ideal(name, image(0), image(1)))) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls_on_the_way_to_the_ideal(name: str) -> None:
    best, ir, vi = ideal(name, image(0), image(1))
    start = torch.full_like(best, 0.5) if name == "contrast" else image(7)
    found = [float(measure(name, start.lerp(best, t), ir, vi)) for t in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] + 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_a_batch_does_not_matter(name: str) -> None:
    triple = [image(seed, batch=3) for seed in (3, 4, 5)]
    turned = [x[[2, 0, 1]] for x in triple]
    # The same terms are added in another order.
    assert float(measure(name, *triple)) == pytest.approx(float(measure(name, *turned)), rel=1e-5)


@pytest.mark.parametrize("name", [n for n in LOSSES["fusion"] if n != "intensity_shift"])
def test_neither_source_is_preferred_where_the_measure_is_symmetric(name: str) -> None:
    fused, ir, vi = image(0), image(1), image(2)
    assert float(measure(name, fused, ir, vi)) == pytest.approx(float(measure(name, fused, vi, ir)), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "metric", "tolerance"),
    [
        ("ssim", "SSIM", 1e-5),  # float32 against float64
        ("information", "VIF", 1e-4),  # the same, and variances near zero
        ("differences", "SCD", 1e-4),  # the small term that keeps gradients finite
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_loss_is_one_less_half_of_its_metric(loss: str, metric: str, tolerance: float, seed: int) -> None:
    fused, ir, vi = image(seed), image(seed + 10), image(seed + 20)
    fused = torch.round((0.5 * fused + 0.3 * ir + 0.2 * vi) * 255) / 255
    planes = [np.rint(x[0, 0].numpy() * 255).astype(np.uint8) for x in (fused, ir, vi)]
    expected = 1 - evaluate_arrays(*planes, [metric])[metric] / 2
    assert float(measure(loss, fused, ir, vi)) == pytest.approx(expected, abs=tolerance)


def test_edges_orders_images_as_qabf_does() -> None:
    ir, vi = image(0), image(1)
    blurred = torch.from_numpy(cv2.GaussianBlur(ir[0, 0].numpy(), (0, 0), 2.0))[None, None]
    candidates = [ir, vi, (ir + vi) / 2, torch.maximum(ir, vi), blurred, image(9), 0.3 * ir + 0.35]
    found = [float(measure("edges", x, ir, vi)) for x in candidates]
    planes = [x[0, 0].numpy() for x in (ir, vi)]
    expected = [evaluate_arrays(x[0, 0].numpy(), *planes, ["Qabf"])["Qabf"] for x in candidates]
    # A smooth form: wrapped angles, a replicated border. Not the value but the order has to agree.
    assert np.corrcoef(found, expected)[0, 1] < -0.97
    assert list(np.argsort(found)[:4]) == list(np.argsort(expected)[::-1][:4]) == [0, 1, 3, 2]


def brute_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Term by term, window by window, in float64."""
    t = np.arange(11) - 5
    window = np.exp(-(t[:, None] ** 2 + t**2) / 4.5)
    window /= window.sum()
    product = 1.0
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        a, b = (np.lib.stride_tricks.sliding_window_view(p, (11, 11)) for p in (x, y))
        mean = [np.einsum("ijkl,kl->ij", p, window) for p in (a, b, a * a, b * b, a * b)]
        va, vb, cov = mean[2] - mean[0] ** 2, mean[3] - mean[1] ** 2, mean[4] - mean[0] * mean[1]
        term = (2 * cov + 9e-4) / (va + vb + 9e-4)
        if scale == 4:
            term = term * (2 * mean[0] * mean[1] + 1e-4) / (mean[0] ** 2 + mean[1] ** 2 + 1e-4)
        product *= ((term.mean() + 1) / 2) ** weight
        x, y = (p[: len(p) // 2 * 2].reshape(len(p) // 2, 2, -1, 2).mean((1, 3)) for p in (x, y))
    return 1 - product


def test_ms_ssim_equals_the_formula_written_out() -> None:
    x, y = image(0, 176, 192), image(1, 176, 192)
    y = 0.6 * x + 0.4 * y
    expected = brute_ms_ssim(x[0, 0].double().numpy(), y[0, 0].double().numpy())
    # Variances are small differences of float32 squares.
    assert float(losses.ms_ssim(x, y)) == pytest.approx(expected, abs=1e-5)


def test_ms_ssim_takes_images_that_hold_fewer_scales() -> None:
    small = image(0, 24, 24)
    assert float(losses.ms_ssim(small, small)) == pytest.approx(0, abs=1e-5)
    assert float(losses.ms_ssim(small, small.flip(-1))) > 0.05


@pytest.mark.parametrize("name", ["mse", "intensity_mask", "gradient_laplacian"])
def test_a_scale_multiplies_values_before_they_are_squared(name: str) -> None:
    triple = [image(seed) for seed in (0, 1, 2)]
    assert float(measure(name, *triple, scale=255.0)) == pytest.approx(
        255**2 * float(measure(name, *triple)), rel=1e-5
    )


def test_without_light_and_dark_the_shifted_visible_is_the_pixel_maximum() -> None:
    triple = [image(seed) for seed in (0, 1, 2)]
    plain = float(measure("intensity_shift", *triple, light=0.0, dark=0.0))
    assert plain == float(measure("intensity_max", *triple))


def test_the_low_part_of_a_shift_weighs_levels_and_hardly_noise() -> None:
    flat = torch.full((1, 1, 40, 40), 0.5)
    assert float(measure("intensity_shift", flat + 0.1, flat, flat, low=2.0)) == pytest.approx(0.3, rel=1e-4)
    checks = 0.1 * (1 - 2 * ((torch.arange(40)[:, None] + torch.arange(40)) % 2))
    assert float(measure("intensity_shift", flat + checks, flat, flat, low=2.0)) < 0.11


def test_a_gain_asks_for_more_contrast_than_the_sources_have() -> None:
    ir, vi = image(0), 0.5 * image(1)
    assert float(measure("contrast", ir, ir, vi)) == 0
    assert float(measure("contrast", ir, ir, vi, gain=1.5)) == pytest.approx(0.5 * float(ir.std()), rel=1e-4)


def test_information_looks_at_as_many_scales_as_asked() -> None:
    triple = [image(seed) for seed in (0, 1, 2)]
    one, four = (float(measure("information", *triple, scales=n)) for n in (1, 4.0))  # recipes give floats
    assert one != four
    assert four == float(measure("information", *triple))


def test_a_loss_is_found_with_its_options_in_place() -> None:
    triple = [image(seed) for seed in (0, 1, 2)]
    kind, found = find_loss("fuse", "contrast", {"gain": 2.0})
    assert kind == "fusion"
    assert float(found(*triple)) == float(measure("contrast", *triple, gain=2.0))


def test_an_unknown_loss_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown loss 'intensity_maks'; did you mean intensity_mask"):
        find_loss("fuse", "intensity_maks", {})


def test_an_unknown_option_of_a_loss_is_named_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"'contrast' does not know the option 'gian'; accepted: gain"):
        find_loss("fuse", "contrast", {"gian": 1.0})


def test_dssim_is_half_of_what_ssim_lacks() -> None:
    x, y = image(0), image(1)
    # The loss of fusion averages over two sources, here equal.
    assert float(losses.dssim(x, y)) == pytest.approx(float(losses.ssim(x, y, y)) / 2, rel=1e-5)


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    ramp = (torch.arange(20.0) / 40).expand(1, 1, 16, 20)
    inner = losses._sobel(ramp)[..., 1:-1, 1:-1] / 8
    assert torch.allclose(inner[:, 0], torch.tensor(1 / 40), atol=1e-6)
    assert float(losses.gradient(ramp, ramp + 0.2)) == pytest.approx(0, abs=1e-6)
    assert float(losses.gradient(ramp, 0 * ramp)) > 0.01 / 2


def bands(low: float, high: float, seed: int = 0) -> Bands:
    """Random bands whose channels correlate as stated."""
    a, b, c, d = torch.randn(
        4, 2, 3, 40, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.double
    )
    return Bands(a, c, low * a + (1 - low**2) ** 0.5 * b, high * c + (1 - high**2) ** 0.5 * d)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (0.6, 0.3), (-0.5, -0.8), (0.0, 1.0)])
def test_decomposition_is_the_formula_of_both_correlations(low: float, high: float) -> None:
    # 2000 random pixels: correlations off by some hundredths, averaged over six channels
    expected = high**2 / (1.01 + low)
    assert float(losses.decomposition(bands(low, high))) == pytest.approx(expected, rel=0.1, abs=0.01)


def test_laplacian_max_keeps_the_larger_signed_value() -> None:
    flat = torch.full((1, 1, 7, 7), 0.5)
    dark, bright = flat.clone(), flat.clone()
    dark[..., 3, 3], bright[..., 3, 3] = 0.25, 0.75
    loss = LOSSES["fusion"]["laplacian_max"]
    # of eight neighbors: 2 at the center of a dark dot, -2 at that of a bright one, an eighth in the ring
    assert float(loss(flat, dark, dark)) == pytest.approx((2 + 8 * 0.25) / 49)
    assert float(loss(dark, dark, dark)) == 0
    # of a dark and a bright dot the center of the dark one is kept, and the ring of the bright one
    assert float(loss(flat, dark, bright)) == pytest.approx((2 + 8 * 0.25) / 49)
    assert float(loss(dark, dark, bright)) == pytest.approx(8 * 0.5 / 49)
    # the border is replicated: a plain image has no edge there
    assert float(loss(flat, flat, flat)) == 0


def test_decomposition_is_finite_where_bands_are_flat() -> None:
    flat = [torch.full((1, 2, 8, 8), 0.5, requires_grad=True) for _ in range(4)]
    loss = losses.decomposition(Bands(*flat))
    gradients = torch.autograd.grad(loss, flat)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in gradients)
