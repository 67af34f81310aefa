"""The matcher: features of any size, known shifts, losses that prefer the truth, and training by a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.errors import InputError, UsageError  # noqa: E402
from ivfuse.registration.features import describe  # noqa: E402
from ivfuse.registration.geometry import four_point_homography, image_corners, to_centers  # noqa: E402
from ivfuse.training import trainer  # noqa: E402
from ivfuse.training.checkpoint import load_model, read_model, save_model  # noqa: E402
from ivfuse.training.export import export_onnx  # noqa: E402
from ivfuse.training.matching import (  # noqa: E402
    MatchLoss,
    MatchSampler,
    recolored,
    shift_loss,
    surfaces,
    unrelated_loss,
)
from ivfuse.training.pairs import PairImages, load_set  # noqa: E402
from ivfuse.training.recipe import Augment, Match, PairSet, Recipe, load_recipe  # noqa: E402
from ivfuse.training.stages import check_recipe  # noqa: E402
from ivfuse.training.torch_method import load_torch_method  # noqa: E402
from small_nets import seeded  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STILL = Augment(flip=False, chance=0.0)
Texture = Callable[..., np.ndarray]


def make(**options: Any) -> Any:
    return seeded("matcher", **options)


def how(**options: Any) -> Match:
    batches = [{"crop": 64, "batch": 3, "block": 24, "blocks": 4}]
    return Match.model_validate({"batches": batches, "reach": 5} | options)


@pytest.fixture
def sets(texture: Texture) -> list[tuple[float, list[PairImages]]]:
    """One pair of one image in two copies: where it is warped is the only difference."""
    image = np.rint(texture(120, 160, seed=3) * 255).astype(np.uint8)
    return [(1.0, [PairImages("same", image, image.copy())])]


@pytest.mark.parametrize("sizes", [((1, 1), (1, 9)), ((7, 3), (50, 37))])
@torch.no_grad()
def test_features_keep_the_size_of_either_image_and_no_pixel_counts_more_than_one(sizes: Any) -> None:
    for found, size in zip(make()(*(torch.rand(2, 1, *size) for size in sizes)), sizes, strict=True):
        assert found.shape == (2, 8, *size)
        assert float(found.norm(dim=1).max()) <= 1


@torch.no_grad()
def test_brightness_and_contrast_of_a_whole_image_do_not_matter() -> None:
    net, x = make(), torch.rand(1, 1, 60, 60)
    assert torch.allclose(net.ir(x), net.ir(0.3 * x + 0.5), atol=0.02)


def test_the_shifts_of_a_batch_are_where_blocks_match(sets: Any) -> None:
    """Raw values of one image instead of features: the best shift is the stated one, to a pixel."""
    (batch,) = MatchSampler(sets, how(turn=0, bend=0.002), (1, 0), STILL).draw(0)
    plain = [x - x.mean() for x in (batch.ir, batch.vi)]
    found = surfaces(batch, *plain, reach=5).argmax(-1)
    best = torch.stack((found % 11 - 5, found // 11 - 5), -1)
    inside = batch.shifts.abs().amax(-1) <= 4.5
    assert inside.sum() >= 6
    assert float((best - batch.shifts).abs().amax(-1)[inside].max()) <= 1


def test_a_batch_is_a_function_of_its_step_alone_and_shared_by_ranks(sets: Any) -> None:
    sampler = MatchSampler(
        sets, how(batches=[{"crop": 48, "batch": 4, "block": 16, "blocks": 2}]), (1, 0), Augment()
    )
    (whole,), (again,), (other,) = sampler.draw(3), sampler.draw(3), sampler.draw(4)
    assert torch.equal(whole.vi, again.vi)
    assert not torch.equal(whole.vi, other.vi)
    (second,) = sampler.draw(3, rank=1, world=2)
    assert torch.equal(second.shifts, whole.shifts[1::2])


def test_a_photograph_is_seen_with_other_values_by_the_infrared(texture: Texture) -> None:
    image = np.rint(texture(80, 80, seed=1) * 255).astype(np.uint8)
    (batch,) = MatchSampler([(1.0, [PairImages("photo", image, image)])], how(), (1, 0), STILL).draw(0)
    assert float((batch.ir - batch.vi).abs().mean()) > 0.1
    changed = recolored(np.linspace(0, 1, 50, dtype=np.float32), np.random.default_rng(0))
    assert changed.min() == 0
    assert changed.max() == pytest.approx(1, abs=1e-5)


def test_losses_prefer_the_truth_and_silence() -> None:
    shifts = torch.tensor([[[1.0, -2.0]]])
    right, wrong = torch.zeros(1, 1, 121), torch.zeros(1, 1, 121)
    right[0, 0, (5 - 2) * 11 + 5 + 1] = 1
    wrong[0, 0, (5 + 2) * 11 + 5 + 1] = 1
    flat = torch.zeros(1, 1, 121)
    losses = [float(shift_loss(x, shifts, 5, 30.0, 0.03)) for x in (right, flat, wrong)]
    assert losses == sorted(losses)
    assert losses[0] < 0.1
    assert losses[2] < 10  # an outlier costs something, not everything
    assert float(unrelated_loss(flat, 30.0)) == pytest.approx(0, abs=1e-5)
    assert float(unrelated_loss(wrong, 30.0)) > 1
    assert math.isclose(float(shift_loss(right, shifts * 100, 5, 30.0, 0.03)), 0)  # out of reach


def test_it_learns(sets: Any) -> None:
    net = make(width=8, deep=16, depth=1, channels=4)
    sampler, loss = MatchSampler(sets, how(), (1, 0), STILL), MatchLoss(how())
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    seen = []
    for step in range(40):
        value, parts = loss(net, *sampler.draw(step), step)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(float(parts["shift"].detach()))
    assert sum(seen[-8:]) < 0.8 * sum(seen[:8])


def test_the_recipe_trains_resumes_and_exports(smoke_of: Any, data: Path, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(smoke_of("matcher"))
    whole = trainer.train(recipe, data, tmp_path / "a", accelerator="cpu")
    trainer.train(recipe, data, tmp_path / "b", accelerator="cpu", stop_after=4)
    halted = trainer.train(recipe, data, tmp_path / "b", accelerator="cpu")
    a, b = read_model(whole)[0], read_model(halted)[0]
    assert all(torch.equal(a[name], b[name]) for name in a)
    done = export_onnx(whole, tmp_path / "matcher.onnx")  # compares five sizes, and raises above 1e-4
    assert done.facts["parameters"] == sum(value.numel() for value in a.values())


def test_the_shipped_recipe_can_run() -> None:
    check_recipe(load_recipe(ROOT / "recipes" / "matcher" / "cpu.yaml"))


@pytest.mark.parametrize(("method", "of"), [("swift", "matcher"), ("matcher", "swift")])
def test_a_network_of_the_other_kind_is_refused(smoke_of: Any, method: str, of: str) -> None:
    content = smoke_of(of) | {"method": method, "net": {}}
    for stage in content["stages"]:
        stage["learn"] = ["ir"] if method == "matcher" else ["stem"]
    with pytest.raises(UsageError, match="cannot learn to"):
        check_recipe(Recipe.model_validate(content))


@pytest.mark.parametrize("change", [{"loss": [{"name": "mse"}]}, {"match": None}, {"task": "fuse"}])
def test_losses_and_matching_exclude_each_other(smoke_of: Any, change: dict[str, Any]) -> None:
    content = smoke_of("matcher")
    content["stages"][0] |= change
    with pytest.raises(ValueError, match="the task match has the key match"):
        Recipe.model_validate(content)


def test_a_block_must_fit_into_its_crop(tmp_path: Path) -> None:
    text = (ROOT / "recipes" / "matcher" / "smoke.yaml").read_text()
    file = tmp_path / "wrong.yaml"
    file.write_text(text.replace("block: 16", "block: 99"))
    with pytest.raises(InputError, match="block 99 does not fit into crop 48"):
        load_recipe(file)


def test_sets_are_brought_to_a_size_and_their_corners_put_right(tmp_path: Path, texture: Texture) -> None:
    image = np.rint(texture(96, 96, seed=5) * 255).astype(np.uint8)
    corners = ((1.0, 0.5), (-2.0, 0.0), (0.0, -1.0), (0.5, 0.5))
    wide = cv2.resize(image, (128, 96), interpolation=cv2.INTER_LINEAR)
    ends = image_corners((128, 96))
    out_of_line = cv2.warpPerspective(
        wide,
        to_centers(four_point_homography(ends + np.array(corners) * 1.28, ends)),
        (128, 96),
        borderMode=cv2.BORDER_REPLICATE,
    )
    for kind, values in (("ir", out_of_line), ("vi", image)):
        (tmp_path / "set" / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / kind / "a.png"), values)
    spec = PairSet(path="set", size=(128, 96), corners=corners)
    (pair,) = load_set(tmp_path, spec)
    inner = (slice(8, -8), slice(8, -8))
    (as_it_was,) = load_set(tmp_path, PairSet(path="set", size=(128, 96)))
    assert pair.vi.shape == (96, 128)

    def off(ir: np.ndarray) -> float:
        return float(np.abs(ir.astype(float) - pair.vi)[inner].mean())

    assert off(pair.ir) < 0.5 * off(as_it_was.ir)


@torch.no_grad()
def test_the_shipped_graph_computes_what_the_shipped_weights_do(texture: Texture) -> None:
    net, _ = load_model(ROOT / "weights" / "matcher.safetensors")
    image = texture(61, 83, seed=2)
    for band in ("ir", "vi"):
        expected = getattr(net, band)(torch.from_numpy(image)[None, None])[0].numpy()
        assert np.abs(describe(image, band) - expected).max() < 1e-4  # type: ignore[arg-type]


def test_the_matcher_is_no_method(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", make().state_dict(), {"method": "matcher", "net": {}})
    with pytest.raises(InputError, match="found weights of matcher, expected those of a fusion network"):
        load_torch_method(tmp_path / "m.safetensors")


def test_weights_of_another_network_do_not_fit(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", make().state_dict(), {"method": "matcher", "net": {"channels": 4}})
    with pytest.raises(InputError, match="do not fit matcher"):
        export_onnx(tmp_path / "m.safetensors", tmp_path / "m.onnx")
