"""The paper variant of crossfuse-cam against the release's own numbers, and against itself."""

from __future__ import annotations

from math import prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivfuse.errors import ShapeError, UsageError  # noqa: E402
from ivfuse.training.checkpoint import load_model  # noqa: E402
from ivfuse.training.convert_cam import convert_crossfuse_cam  # noqa: E402
from ivfuse.training.nets import crossfuse_cam_paper as paper  # noqa: E402
from ivfuse.training.release import save_converted  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle" / "methods"
SMALL = {"shallow": 2, "growth": 4, "deep": 8, "heads": 2}
FROZEN_FUSED = [
    [0.519416, 0.576567, 0.574349, 0.579676],
    [0.564288, 0.573220, 0.360638, 0.537064],
    [0.541045, 0.570297, 0.605946, 0.505267],
    [0.583470, 0.558027, 0.525270, 0.549381],
]
FROZEN_CAM = [-1.83328, 3.61562, 0.19770, -0.73735, 0.31241, -1.06259, 0.20296, 2.26669]
FROZEN_MEAN = 0.552148

needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason="the released code's values are not at hand")


def formula_net(**widths: int) -> paper.CrossFuseCamPaper:
    """A network whose weights come from sines, the same on every machine and in every version of torch."""
    net = paper.CrossFuseCamPaper(**(widths or SMALL)).eval()
    for i, (name, value) in enumerate(sorted(net.state_dict().items())):
        if value.ndim == 0:
            continue
        wave = np.sin(0.9 * np.arange(value.numel()) ** 1.1 + i + 1).reshape(value.shape)
        if value.ndim > 1:
            wave *= 1.5 / np.sqrt(prod(value.shape[1:]))
        elif name.endswith(("running_var", "weight")):
            wave = 1 + 0.2 * wave
        else:
            wave *= 0.1
        value.copy_(torch.from_numpy(wave))
    return net


def image(height: int, width: int, phase: float) -> Tensor:
    """Waves and a bright disc, (1, 1, H, W) in [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    wave = 0.4 + 0.25 * np.sin(0.11 * x + phase) * np.cos(0.07 * y - phase)
    disc = np.hypot(y - height / 3, x - width / 2 - 9 * phase) < 20
    out: Tensor = torch.from_numpy(np.where(disc, 0.9, wave).astype(np.float32))[None, None]
    return out


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> paper.CrossFuseCamPaper:
    """The oracle's weights, put into the three files of a release and converted."""
    if not ORACLE.is_dir():
        pytest.skip("the released code's values are not at hand")
    folder = tmp_path_factory.mktemp("release")
    files = [folder / part for part in ("auto_ir", "auto_vi", "fusion")]
    with np.load(ORACLE / "crossfuse_cam_small_a.npz") as values:
        for file in files:
            prefix = f"w/{file.name}."
            keys = [key for key in values.files if key.startswith(prefix)]
            torch.save({key.removeprefix(prefix): torch.from_numpy(values[key]) for key in keys}, file)
    save_converted(folder / "net.safetensors", "crossfuse-cam", *convert_crossfuse_cam(*files))
    net = load_model(folder / "net.safetensors")[0]
    assert isinstance(net, paper.CrossFuseCamPaper)
    return net


@pytest.mark.oracle
@needs_oracle
@pytest.mark.parametrize("size", ["a", "b"])
def test_every_stored_tensor_of_the_release_is_matched(released: paper.CrossFuseCamPaper, size: str) -> None:
    with np.load(ORACLE / f"crossfuse_cam_small_{size}.npz") as values:
        stored = {key: values[key] for key in values.files if not key.startswith("w/")}
    ir, vi = (torch.from_numpy(stored.pop(key)) / 255 for key in ("ir", "vi"))
    with torch.no_grad():
        found = released.forward_features(ir, vi)
    ours = {
        "ir_shallow": found.shallow_ir,
        "ir_deep": found.deep_ir,
        "vi_shallow": found.shallow_vi,
        "vi_deep": found.deep_vi,
        "cam_first_window": found.cam[..., :32, :32],
        "fused": found.fused * 255,
    }
    assert stored.keys() == ours.keys()
    for key, value in stored.items():
        # float32 sums in another order: some 1e-6 of the largest value after a chain of 20 layers
        np.testing.assert_allclose(
            ours[key].numpy(), value, rtol=0, atol=2e-6 * np.abs(value).max(), err_msg=key
        )


def test_the_full_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = paper.CrossFuseCamPaper()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert count["encoder_ir"] == count["encoder_vi"] == 1_125_312
    assert count["encoder_ir"] + count["reconstructor_ir"] == 1_254_529
    live = count["cam"] + count["decoder"]
    assert 2 * count["encoder_ir"] + live == 21_305_827
    # The release trains more, which never acts: two fused qkv, four LayerNorms, a Laplacian convolution.
    dead = 2 * (3 * 512 * 512 + 3 * 512) + 4 * 2 * 512 + 32 * 32 * 9
    assert dead == 1_589_248
    assert live + dead == 20_644_451


@pytest.mark.oracle
@needs_oracle
def test_the_full_size_has_the_release_s_keys_and_shapes(releases: Any) -> None:
    listed: dict[str, tuple[int, ...]] = {}
    for line in (ORACLE / "crossfuse_cam_full.keys.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            key, shape = line.split("\t")
            listed[key] = tuple(int(n) for n in shape.strip("()").split(",") if n)
    with torch.device("meta"):
        made = releases.cam_release(paper.CrossFuseCamPaper().state_dict())
    assert made["auto_ir"].keys() == made["auto_vi"].keys()
    ours = {key: tuple(value.shape) for key, value in (made["auto_ir"] | made["fusion"]).items()}
    left = {key: listed.pop(key) for key in listed.keys() - ours.keys()}
    assert listed == ours
    boxes = {key: left.pop(key) for key in list(left) if key.startswith("decoder_fusion.weight.")}
    assert sum(map(prod, boxes.values())) == 156_672
    assert sum(map(prod, left.values())) == 1_589_248


def test_the_output_stays_what_it_was() -> None:
    # Found when the values of the release were matched; float64 is within 5e-7 (fused) and 2e-6 (cam).
    with torch.no_grad():
        found = formula_net().forward_features(image(137, 146, 0.0), image(137, 146, 1.0))
    np.testing.assert_allclose(found.fused[0, 0, ::45, ::45].numpy(), FROZEN_FUSED, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.cam[0, :, 8, 8].numpy(), FROZEN_CAM, rtol=0, atol=2e-5)
    assert found.fused.mean().item() == pytest.approx(FROZEN_MEAN, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(136, 136), (137, 151), (264, 259)])
def test_any_size_from_136_up_comes_out_as_it_went_in(height: int, width: int) -> None:
    with torch.no_grad():
        fused = formula_net()(image(height, width, 0.0), image(height, width, 1.0))
    assert fused.shape == (1, 1, height, width)
    assert fused.min() == 0
    assert fused.max() == pytest.approx(1, abs=1e-5)


def test_a_smaller_image_is_refused_with_both_sizes_named() -> None:
    with pytest.raises(ShapeError, match=r"135x200.*136"):
        formula_net()(image(135, 200, 0.0), image(135, 200, 1.0))


def test_a_constant_pair_gives_a_finite_image() -> None:
    with torch.no_grad():
        fused = formula_net()(torch.full((1, 1, 136, 136), 0.3), torch.full((1, 1, 136, 136), 0.7))
    assert torch.isfinite(fused).all()


def test_a_batch_of_two_is_two_singles() -> None:
    net = formula_net()
    pairs = [(image(136, 264, p), image(136, 264, p + 1)) for p in (0.0, 2.5)]
    with torch.no_grad():
        both = net(torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs]))
        singles = torch.cat([net(*pair) for pair in pairs])
    assert (singles[0] - singles[1]).abs().max() > 0.1
    # batched and single matrix products may round differently
    torch.testing.assert_close(both, singles, rtol=0, atol=2e-6)


def test_the_shift_changes_nothing() -> None:
    net = formula_net()
    ir, vi = image(264, 136, 0.0), image(264, 136, 1.0)
    with torch.no_grad():
        on, off = net(ir, vi, shift=True), net(ir, vi, shift=False)
    # attention's sums run over the same tokens in another order
    torch.testing.assert_close(on, off, rtol=0, atol=5e-6)


def test_the_shift_is_off_while_training_and_on_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    net, rolled = formula_net(), count_rolls(monkeypatch, paper)
    maps = torch.rand(2, 1, 8, 32, 32)
    net.cam(maps[0], maps[1])
    assert len(rolled) == 4
    net.cam.train()(maps[0], maps[1])
    assert len(rolled) == 4


def count_rolls(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[int]:
    rolled: list[int] = []
    plain = module._roll

    def counted(tokens: Tensor, sign: int) -> Tensor:
        rolled.append(sign)
        out: Tensor = plain(tokens, sign)
        return out

    monkeypatch.setattr(module, "_roll", counted)
    return rolled


def test_windows_do_not_see_each_other() -> None:
    cam = formula_net().cam
    ir, vi = (torch.sin(torch.arange(2 * 8 * 64 * 96) * k).reshape(2, 8, 64, 96) for k in (0.37, 0.61))
    with torch.no_grad():
        whole = cam(ir, vi)
        for y in (0, 32):
            for x in (0, 32, 64):
                window = (..., slice(y, y + 32), slice(x, x + 32))
                # 12 windows at once or 2: matrix products may round differently
                torch.testing.assert_close(whole[window], cam(ir[window], vi[window]), rtol=0, atol=1e-5)


def test_a_token_is_a_patch_and_comes_back_to_its_place() -> None:
    maps = torch.arange(2 * 3 * 64 * 96).reshape(2, 3, 64, 96)
    tokens = paper.to_tokens(maps)
    assert tokens.shape == (2 * 6, 256, 12)
    assert tokens[8, 17].tolist() == maps[1, :, 2:4, 66:68].flatten().tolist()
    assert torch.equal(paper.from_tokens(tokens, 64, 96), maps)


def test_the_box_filter_is_a_full_convolution_of_ninths() -> None:
    maps = torch.sin(torch.arange(2 * 5 * 9 * 7) * 0.37).reshape(2, 5, 9, 7)
    full = torch.nn.functional.conv2d(maps, torch.full((5, 5, 3, 3), 1 / 9), padding=1)
    torch.testing.assert_close(paper.summed_box(maps).expand_as(full), full, rtol=0, atol=1e-6)  # rounding


def test_every_weight_learns_in_one_of_the_stages() -> None:
    net = formula_net().train()
    ir, vi = image(136, 136, 0.0).repeat(2, 1, 1, 1), image(136, 136, 1.0).repeat(2, 1, 1, 1)
    loss = net(ir, vi).square().mean() + sum(out.square().mean() for out in net.reconstruct(ir, vi))
    loss.backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


def test_reconstruction_without_the_shallow_features_is_another_image() -> None:
    net, ir, vi = formula_net(), image(139, 136, 0.0), image(139, 136, 1.0)
    with torch.no_grad():
        full, deep = net.reconstruct(ir, vi), net.reconstruct(ir, vi, deep_only=True)
    for a, b in zip(full, deep, strict=True):
        assert a.shape == b.shape == ir.shape
        assert (a - b).abs().max() > 0.01


def test_heads_that_do_not_divide_a_token_are_refused() -> None:
    with pytest.raises(UsageError, match=r"heads=5.*32"):
        paper.CrossFuseCamPaper(**(SMALL | {"heads": 5}))
