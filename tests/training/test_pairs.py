"""Training pairs: what is read, what is left out, and batches that depend on the seed and the step alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pydantic")

from ivfuse.errors import InputError  # noqa: E402
from ivfuse.training.pairs import PairImages, Sampler, augmented, load_set, load_training  # noqa: E402
from ivfuse.training.recipe import Augment, Data, PairSet  # noqa: E402

PLAIN = Augment(flip=False)
WILD = Augment(flip=True, turn=True, exposure=0.5, gain=0.5, noise=0.05)


def numbered(height: int, width: int, name: str = "a", seed: int = 0) -> PairImages:
    """A pair whose modalities are each other's complement: a pixel can be matched with its partner."""
    ir = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return PairImages(name, ir, 255 - ir)


def sampler(pairs: list[PairImages], augment: Augment = PLAIN, **options: Any) -> Sampler:
    options = {"crop": 16, "batch": 4, "seed": (1, 0)} | options
    return Sampler([(1.0, pairs)], augment=augment, **options)


def same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_a_batch_depends_on_seed_stage_and_step_alone() -> None:
    pairs = [numbered(40, 50, seed=i) for i in range(3)]
    one, two = sampler(pairs, WILD), sampler(pairs, WILD)
    for step in (0, 1, 2):
        one.draw(step)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 (the global state must not matter)
    assert same(one.draw(7), two.draw(7))
    assert not same(one.draw(7), one.draw(8))
    assert not same(one.draw(7), sampler(pairs, WILD, seed=(2, 0)).draw(7))
    assert not same(one.draw(7), sampler(pairs, WILD, seed=(1, 1)).draw(7))


def test_two_ranks_share_the_batch_of_one() -> None:
    source = sampler([numbered(40, 50, seed=i) for i in range(3)], WILD)
    whole = source.draw(3)
    parts = [source.draw(3, rank, 2) for rank in (0, 1)]
    for side in (0, 1):
        assert parts[0][side].shape == (2, 1, 16, 16)
        assert torch.equal(torch.stack((parts[0][side], parts[1][side]), 1).flatten(0, 1), whole[side])


@pytest.mark.parametrize("how", [{"exposure": 3.0}, {"gain": 0.9}, {"noise": 0.5}])
def test_batches_are_float32_in_range_whatever_is_augmented(how: dict[str, float]) -> None:
    source = sampler([numbered(40, 50)], Augment(**how, chance=1.0), batch=16)
    for x in source.draw(0):
        assert (x.dtype, x.shape) == (torch.float32, (16, 1, 16, 16))
        assert 0 <= float(x.min()) < float(x.max()) <= 1
        assert x.is_contiguous()


def test_small_images_are_mirrored() -> None:
    pair = numbered(5, 40)
    ir, vi = sampler([pair], crop=12).draw(0)
    assert torch.equal(ir[:, :, :5].flip(2), ir[:, :, 5:10])
    assert torch.equal(ir[:, :, 10:], ir[:, :, :2])
    assert torch.allclose(ir + vi, torch.ones(()))


@pytest.mark.parametrize("augment", [Augment(flip=True), Augment(flip=True, turn=True)])
def test_geometry_changes_alike_in_both_modalities(augment: Augment) -> None:
    pair = numbered(16, 16)
    ir, vi = sampler([pair], augment, batch=32).draw(0)
    assert torch.allclose(ir + vi, torch.ones(()))
    found = {x.numpy().tobytes() for x in ir}
    assert len(found) == (8 if augment.turn else 4)


def test_values_change_in_each_modality_alone() -> None:
    gray = np.random.default_rng(0).random((16, 16), np.float32)
    how = Augment(flip=False, exposure=0.5, gain=0.5, chance=1.0)
    ir, vi = augmented(gray, gray, how, np.random.default_rng(3))
    assert not np.allclose(ir, vi)
    order = np.argsort(gray.ravel())
    assert (np.diff(ir.ravel()[order]) >= 0).all()  # without noise the order of values stays


def test_without_augmentation_crops_are_parts_of_the_image() -> None:
    pair = numbered(30, 34)
    windows = np.lib.stride_tricks.sliding_window_view(pair.ir, (16, 16)).reshape(-1, 16, 16)
    known = {window.tobytes() for window in windows}
    ir, _ = sampler([pair], batch=24).draw(0)
    found = {np.rint(x[0].numpy() * 255).astype(np.uint8).tobytes() for x in ir}
    assert found <= known
    assert len(found) > 8


def test_resize_takes_the_whole_image() -> None:
    pair = numbered(32, 48)
    ir, _ = sampler([pair], resize=True).draw(0)
    expected = cv2.resize(pair.ir, (16, 16), interpolation=cv2.INTER_AREA)
    assert np.array_equal(np.rint(ir[0, 0].numpy() * 255), expected)


def test_sets_are_drawn_by_their_weights() -> None:
    dark = PairImages("d", np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8))
    bright = PairImages("b", np.full((16, 16), 255, np.uint8), np.full((16, 16), 255, np.uint8))
    source = Sampler([(3.0, [dark]), (1.0, [bright])], crop=16, batch=400, seed=(0, 0), augment=PLAIN)
    # 400 draws of a quarter: a standard deviation of 0.022
    assert float(source.draw(0)[0].mean()) == pytest.approx(0.25, abs=0.09)


def test_a_smaller_thermal_image_is_brought_to_the_visible_one(data: Path) -> None:
    pairs = load_set(data, PairSet(path="train"))
    assert [p.name for p in pairs] == ["0", "1", "2", "3"]
    assert {p.ir.shape for p in pairs} == {p.vi.shape for p in pairs} == {(60, 72)}
    assert cv2.imread(str(data / "train" / "ir" / "0.png")).shape[:2] == (40, 48)


def test_pairs_of_the_named_folders_are_never_trained_on(data: Path) -> None:
    spec = Data(train=[PairSet(path="train")], exclude_stems_of=["val"])
    ((weight, pairs),) = load_training(data, spec)
    assert weight == 1
    assert [p.name for p in pairs] == ["2", "3"]  # val holds 0 and 1


def test_a_limit_spreads_over_the_names(data: Path) -> None:
    def names(limit: int) -> list[str]:
        return [p.name for p in load_set(data, PairSet(path="train", limit=limit))]

    assert names(2) == ["0", "3"]
    assert names(1) == ["0"]
    assert names(9) == ["0", "1", "2", "3"]


def test_a_folder_without_pairs_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "ir").mkdir(parents=True)
    (tmp_path / "empty" / "vi").mkdir()
    with pytest.raises(InputError, match="empty"):
        load_set(tmp_path, PairSet(path="empty"))
    with pytest.raises(InputError, match="nowhere"):
        load_set(tmp_path, PairSet(path="nowhere"))
    with pytest.raises(InputError, match="train: no pairs"):
        load_set(data, PairSet(path="train"), frozenset("0123"))


# ------------------------------------------------------------------ patches of another set


def color_set(root: Path, name: str, count: int, low: int, high: int) -> None:
    for index in range(count):
        rng = np.random.default_rng(index + 100 * low)
        for side, shape in (("ir", (40, 48)), ("vi", (40, 48, 3))):
            path = root / name / side / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), rng.integers(low, high, shape, np.uint8))


def mixed(**external: Any) -> Data:
    how = {"path": "dark", "weight": 0.5, "k": 7, "patch": 16, "stride": 16} | external
    return Data.model_validate({"train": [{"path": "bright"}, {"path": "dim"}], "external": how})


@pytest.fixture
def colored(tmp_path: Path) -> Path:
    color_set(tmp_path, "bright", 2, 120, 180)
    color_set(tmp_path, "dim", 2, 60, 120)
    color_set(tmp_path, "dark", 3, 5, 80)
    return tmp_path


def test_external_patches_are_one_more_set_brought_to_the_target_in_color(colored: Path) -> None:
    *_, (weight, patches) = load_training(colored, mixed(target=["bright"]))
    assert weight == 0.5
    assert len(patches) == 7
    assert {x.shape for p in patches for x in (p.ir, p.vi)} == {(16, 16)}
    assert np.mean([p.vi.mean() for p in patches]) == pytest.approx(149.5, abs=4)  # 120..179
    assert np.mean([p.ir.mean() for p in patches]) == pytest.approx(42, abs=4)  # untouched
    *_, (_, plain) = load_training(colored, mixed(target=["bright"], gamma="none"))
    assert np.mean([p.vi.mean() for p in plain]) == pytest.approx(42, abs=4)


def test_without_a_named_target_all_training_sets_are_it(colored: Path) -> None:
    *_, (_, patches) = load_training(colored, mixed(k=None))
    assert len(patches) == 3 * 6
    assert np.mean([p.vi.mean() for p in patches]) == pytest.approx((149.5 + 89.5) / 2, abs=4)


def test_what_is_kept_for_validation_is_neither_target_nor_external(colored: Path) -> None:
    color_set(colored, "held", 1, 0, 255)  # the stem "0"
    data = mixed(k=None).model_copy(update={"exclude_stems_of": ["held"]})
    *_, (_, patches) = load_training(colored, data)
    assert {p.name.split("-")[0] for p in patches} == {"1", "2"}
