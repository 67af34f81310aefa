"""swift: any size, bounded output, its reach, its cost, and training by a teacher."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from ivfuse.errors import InputError, UsageError  # noqa: E402
from ivfuse.training import trainer  # noqa: E402
from ivfuse.training.checkpoint import read_model, save_model  # noqa: E402
from ivfuse.training.loss_registry import LOSSES  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.recipe import Recipe  # noqa: E402
from ivfuse.training.stages import StageLoss, check_recipe  # noqa: E402
from small_nets import noise, seeded  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

REACH = 176  # what the manifest says


def make(**options: Any) -> Any:
    return seeded("swift", **options)


@torch.no_grad()
def test_the_range_holds_for_extreme_weights() -> None:
    net = make()
    for parameter in net.parameters():
        parameter.mul_(100)
    fused = net(noise(1, 1, 40, 40), noise(1, 1, 40, 40, seed=1))
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


@torch.no_grad()
def test_the_visible_is_never_blotted_out_however_cold_its_place() -> None:
    net = make()
    for parameter in net.parameters():
        parameter.mul_(100)
    vi = noise(1, 1, 40, 40)
    fused = net(torch.zeros_like(vi), vi, torch.full((1, 1, 1, 1), 0.6))
    assert float((fused - 0.2 * vi).min()) >= -1e-6


def test_it_has_at_most_a_quarter_of_a_million_parameters() -> None:
    assert sum(p.numel() for p in make().parameters()) <= 250_000


@torch.no_grad()
def test_training_begins_nearer_to_the_visible_than_to_the_thermal() -> None:
    net, ir, vi = make(), noise(1, 1, 64, 64), noise(1, 1, 64, 64, seed=1)
    fused = net(ir, vi)
    assert float((fused - vi).abs().mean()) < 0.7 * float((fused - ir).abs().mean())


@pytest.mark.parametrize("at", [(224, 224), (229, 234), (239, 231)])
def test_a_pixel_acts_no_farther_than_the_reach(at: tuple[int, int]) -> None:
    """Any gradient, however small, of one output pixel counts; inputs of both modalities."""
    net = make().double()
    # Gray enough for no pixel to be cut off at black or white, where it would depend on nothing.
    ir, vi = ((0.4 + 0.2 * noise(1, 1, 464, 464, seed=s)).double().requires_grad_() for s in (0, 1))
    net(ir, vi, torch.full((1, 1, 1, 1), 0.5).double())[0, 0, at[0], at[1]].backward()
    for image in (ir, vi):
        rows, columns = image.grad[0, 0].nonzero().T
        assert max(abs(rows - at[0]).max(), abs(columns - at[1]).max()) <= REACH


@torch.no_grad()
def test_the_level_of_the_whole_image_matters_to_a_tile() -> None:
    net, ir, vi = make(), noise(1, 1, 32, 32), noise(1, 1, 32, 32, seed=1)
    low, high = (net(ir, vi, torch.full((1, 1, 1, 1), x)) for x in (0.1, 0.9))
    assert not torch.allclose(low, high)
    assert torch.equal(net(ir, vi), net(ir, vi, ir.mean((2, 3), keepdim=True)))


# ------------------------------------------------------------------ a teacher


def taught(content: dict[str, Any], teacher: Path | None, *losses: str) -> dict[str, Any]:
    """The smoke recipe with a teacher and these losses alone."""
    stage = content["stages"][0] | {"loss": [{"name": name} for name in losses]}
    return content | {"stages": [stage | ({"teacher": str(teacher)} if teacher else {})]}


@pytest.fixture
def swift_smoke(smoke_of: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return smoke_of("swift")


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """Weights of a small network of another method."""
    options = {"width": 8, "blocks": 1, "heads": 2, "nodes": 1, "stride": 2}
    net, path = build_net("crossfuse-topk", **options), tmp_path / "teacher.safetensors"
    save_model(path, net.state_dict(), {"method": "crossfuse-topk", "variant": "fixed", "net": options})
    return path


def test_imitation_is_nothing_where_the_images_are_equal_and_grows_with_their_distance() -> None:
    imitation: Callable[..., Tensor] = LOSSES["teacher"]["imitation"]
    x = noise(1, 1, 48, 48)
    assert float(imitation(x, x, gradient=1, low=1)) == 0
    assert float(imitation(x + 0.1, x, gradient=0)) == pytest.approx(0.1, rel=1e-5)
    assert float(imitation(x + 0.1, x, gradient=0, low=2)) == pytest.approx(0.3, rel=1e-5)
    assert float(imitation(x.flip(-1), x, gradient=1)) > float(imitation(x.flip(-1), x, gradient=0))


def test_a_stage_learns_from_its_teacher(
    swift_smoke: dict[str, Any], teacher: Path, data: Path, tmp_path: Path
) -> None:
    content = taught(swift_smoke, teacher, "imitation", "ssim")
    weights = trainer.train(Recipe.model_validate(content), data, tmp_path / "run", accelerator="cpu")
    plain = taught(swift_smoke, None, "ssim")
    other = trainer.train(Recipe.model_validate(plain), data, tmp_path / "plain", accelerator="cpu")
    mine, without = read_model(weights)[0], read_model(other)[0]
    assert mine.keys() == without.keys()  # the teacher is not shipped
    assert not torch.equal(mine["stem.0.0.weight"], without["stem.0.0.weight"])


def test_the_loss_of_a_stage_with_a_teacher_is_the_distance_to_its_image(
    swift_smoke: dict[str, Any],
) -> None:
    recipe = Recipe.model_validate(taught(swift_smoke, Path("any"), "imitation"))
    net, other, ir, vi = make(), make(width=8), noise(1, 1, 64, 64), noise(1, 1, 64, 64, seed=1)
    loss, _ = StageLoss(recipe.stages[0], (1, 0), teacher=other)(net, ir, vi, 0)
    assert torch.equal(loss, LOSSES["teacher"]["imitation"](net(ir, vi), other(ir, vi)))
    assert all(p.grad is None for p in other.parameters())


def test_a_teacher_and_its_loss_go_together(swift_smoke: dict[str, Any]) -> None:
    for content in (taught(swift_smoke, Path("any"), "ssim"), taught(swift_smoke, None, "imitation")):
        with pytest.raises(UsageError, match="go together"):
            check_recipe(Recipe.model_validate(content))


def test_a_missing_teacher_is_told_before_anything_is_written(
    swift_smoke: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(taught(swift_smoke, tmp_path / "none.safetensors", "imitation"))
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        trainer.train(recipe, data, tmp_path / "run", accelerator="cpu")
    assert not (tmp_path / "run").exists()
