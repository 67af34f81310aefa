"""The authors' checkpoint files become weights of the paper variant, or a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors")

from ivfuse.errors import InputError, UsageError  # noqa: E402
from ivfuse.training.checkpoint import load_model  # noqa: E402
from ivfuse.training.convert_cam import convert_crossfuse_cam  # noqa: E402
from ivfuse.training.nets.crossfuse_cam_paper import CrossFuseCamPaper  # noqa: E402
from ivfuse.training.release import save_converted  # noqa: E402

SMALL = {"shallow": 2, "growth": 3, "deep": 8, "heads": 1}  # heads as the converter takes them: 4 * 8 / 32
CROSS = "cross_atten_block.cross_atten_block.cross_atten1"
Release = dict[str, dict[str, Any]]


@pytest.fixture
def weights() -> dict[str, Any]:
    """Of a random small network."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        state: dict[str, Any] = CrossFuseCamPaper(**SMALL).state_dict()
        return {k: v + torch.rand(v.shape) if v.is_floating_point() else v + 7 for k, v in state.items()}


@pytest.fixture
def release(weights: dict[str, Any], releases: Any) -> Release:
    """The three released state dicts of these weights, by name."""
    made: Release = releases.cam_release(weights)
    return made


def write(folder: Path, release: Release) -> tuple[Path, Path, Path]:
    for name, state in release.items():
        torch.save(state, folder / f"{name}.pth")
    return folder / "auto_ir.pth", folder / "auto_vi.pth", folder / "fusion.pth"


def test_weights_survive_the_way_to_the_release_and_back(
    tmp_path: Path, release: Release, weights: dict[str, Any]
) -> None:
    found, _ = convert_crossfuse_cam(*write(tmp_path, release))
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


@pytest.mark.parametrize(
    ("file", "theirs", "ours"),
    [
        ("auto_vi", "fea_encoder1.conv1.conv2d.0.weight", "encoder_vi.stem.weight"),
        (
            "auto_ir",
            "fea_encoder1.dense_blocks.2.dense_conv1.conv2d.0.bias",
            "encoder_ir.block2.layers.1.bias",
        ),
        ("auto_ir", "recon_decoder1.conv_block.2.conv2d.0.weight", "reconstructor_ir.conv3.weight"),
        (
            "fusion",
            "cross_atten_block.self_atten_block2.self_atten1.blocks.0.attn.qkv.weight",
            "cam.second_ir.qkv.weight",
        ),
        ("fusion", f"{CROSS}.blocks.0.attn.q_linear.weight", "cam.cross_vi.query.weight"),
        ("fusion", f"{CROSS}.norm.bias", "cam.cross_vi.norm3.bias"),
        ("fusion", "decoder_fusion.conv_block.4.conv2d.1.running_var", "decoder.conv4.1.running_var"),
        ("fusion", "decoder_fusion.conv_last.conv2d.0.weight", "decoder.out.0.weight"),
    ],
)
def test_a_released_weight_goes_to_its_layer(
    tmp_path: Path, release: Release, file: str, theirs: str, ours: str
) -> None:
    release[file][theirs] = mark = release[file][theirs] + 100
    found, _ = convert_crossfuse_cam(*write(tmp_path, release))
    assert torch.equal(found[ours], mark)


def test_what_the_release_never_uses_is_dropped(
    tmp_path: Path, release: Release, weights: dict[str, Any]
) -> None:
    release["fusion"] |= {
        "cross_atten_block.self_atten_block1.self_atten2.norm.weight": torch.ones(32),
        f"{CROSS}.blocks.0.attn.qkv.bias": torch.ones(96),
        "conv_gra.weight": torch.ones(2, 2, 3, 3),
        "decoder_fusion.weight.conv_de.weight": torch.full((8, 8, 3, 3), 1 / 9),
    }
    assert convert_crossfuse_cam(*write(tmp_path, release))[0].keys() == weights.keys()


def test_the_prefix_of_data_parallel_is_taken_off(
    tmp_path: Path, release: Release, weights: dict[str, Any]
) -> None:
    wrapped = {name: {f"module.{k}": v for k, v in state.items()} for name, state in release.items()}
    assert convert_crossfuse_cam(*write(tmp_path, wrapped))[0].keys() == weights.keys()


def test_half_precision_becomes_float32(tmp_path: Path, release: Release) -> None:
    halves = {
        name: {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        for name, state in release.items()
    }
    found, _ = convert_crossfuse_cam(*write(tmp_path, halves))
    assert {v.dtype for v in found.values()} == {torch.float32, torch.int64}


def test_an_unknown_key_is_named_with_its_file(tmp_path: Path, release: Release) -> None:
    release["fusion"] |= {f"extra{i}.weight": torch.ones(1) for i in range(5)}
    with pytest.raises(InputError, match=r"fusion\.pth: 5 unknown keys .*: extra0.*extra1.*extra2\.weight$"):
        convert_crossfuse_cam(*write(tmp_path, release))


def test_a_missing_key_is_named_with_its_file(tmp_path: Path, release: Release) -> None:
    del release["auto_vi"]["fea_encoder1.conv1.conv2d.0.bias"]
    with pytest.raises(
        InputError, match=r"auto_vi\.pth: 1 missing .*: fea_encoder1\.conv1\.conv2d\.0\.bias$"
    ):
        convert_crossfuse_cam(*write(tmp_path, release))


def test_exchanged_files_are_noticed(tmp_path: Path, release: Release) -> None:
    auto_ir, auto_vi, fusion = write(tmp_path, release)
    with pytest.raises(InputError, match=r"fusion\.pth: \d+ unknown keys"):
        convert_crossfuse_cam(fusion, auto_vi, auto_ir)


def test_files_of_different_widths_are_refused(tmp_path: Path, release: Release, releases: Any) -> None:
    other = releases.cam_release(CrossFuseCamPaper(**(SMALL | {"growth": 4})).state_dict())
    release["auto_vi"] = other["auto_vi"]
    with pytest.raises(
        InputError, match=r"auto_vi\.pth: fea_encoder1\S+ has the shape \(4, .*expected \(3, "
    ):
        convert_crossfuse_cam(*write(tmp_path, release))


def test_a_box_filter_that_is_none_is_refused(tmp_path: Path, release: Release) -> None:
    release["fusion"]["decoder_fusion.weight.conv_sh.weight"] = torch.full((2, 2, 3, 3), 0.2)
    with pytest.raises(
        InputError, match=r"fusion\.pth: decoder_fusion\.weight\.conv_sh\.weight is not .*1/9"
    ):
        convert_crossfuse_cam(*write(tmp_path, release))


class Unsafe:
    """Something that only a full unpickling would make again."""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "not a PyTorch checkpoint"),
        (lambda path: path.write_bytes(b"GIF89a" * 50), "not a PyTorch checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "not a PyTorch checkpoint"),
        (lambda path: torch.save(Unsafe(), path), "not a PyTorch checkpoint"),
        (lambda path: torch.save([torch.ones(1)], path), "contains a list, expected a plain state dict"),
        (lambda path: torch.save({"epoch": 4}, path), "contains a dict, expected a plain state dict"),
    ],
    ids=["missing", "empty", "image", "truncated", "object", "list", "no tensors"],
)
def test_what_is_no_state_dict_is_refused_in_one_line(
    tmp_path: Path, release: Release, spoil: Callable[[Path], object], message: str
) -> None:
    files = write(tmp_path, release)
    spoil(files[1])
    with pytest.raises(InputError, match=message) as caught:
        convert_crossfuse_cam(*files)
    assert str(caught.value).startswith(f"{files[1]}: ")
    assert "\n" not in str(caught.value)


def test_a_saved_file_states_what_it_is_and_loads_again(
    tmp_path: Path, release: Release, weights: dict[str, Any]
) -> None:
    file = tmp_path / "paper.safetensors"
    save_converted(file, "crossfuse-cam", *convert_crossfuse_cam(*write(tmp_path, release)))
    with safetensors.safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["ivfuse"])
    assert (about["method"], about["variant"], about["net"]) == ("crossfuse-cam", "paper", SMALL)
    net = load_model(file)[0]
    assert isinstance(net, CrossFuseCamPaper)
    assert not net.training
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())


def test_another_number_of_heads_can_be_stated(tmp_path: Path, release: Release) -> None:
    files = write(tmp_path, release)
    assert convert_crossfuse_cam(*files, heads=4)[1] == SMALL | {"heads": 4}
    with pytest.raises(UsageError, match="heads=5"):
        convert_crossfuse_cam(*files, heads=5)
