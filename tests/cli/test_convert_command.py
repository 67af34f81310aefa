"""``ivfuse convert``: each method takes its own files, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

Cli = Callable[..., Any]


def test_the_one_file_of_crossfuse_topk_is_converted(ivfuse_cli: Cli, tmp_path: Path, releases: Any) -> None:
    from ivfuse.training.checkpoint import load_model
    from ivfuse.training.nets import build_net

    net = build_net("crossfuse-topk", "paper", width=4, blocks=1, heads=2, nodes=1).eval()
    torch.save(releases.topk_release(net.state_dict()), tmp_path / "released.pth")
    out = tmp_path / "new" / "topk.safetensors"
    said = ivfuse_cli("convert", "--method", "crossfuse-topk", tmp_path / "released.pth", "-o", out)
    assert said.code == 0, said.err
    assert f"{sum(p.numel() for p in net.parameters()):,} values" in said.out
    ir, vi = torch.rand(2, 1, 1, 20, 24).unbind()
    with torch.no_grad():
        assert torch.equal(load_model(out)[0](ir, vi), net(ir, vi))


@pytest.mark.parametrize("apart", [False, True])
def test_one_file_of_maefuse_or_two_are_converted(
    ivfuse_cli: Cli, tmp_path: Path, releases: Any, apart: bool
) -> None:
    from ivfuse.training.checkpoint import load_model
    from ivfuse.training.nets import build_net

    options = {"dim": 16, "depth": 1, "heads": 2, "decoder_dim": 16, "decoder_depth": 1}
    net = build_net("maefuse", "paper", **options).eval()
    state = releases.mae_release(net.state_dict())
    parts = [{k: v for k, v in state.items() if k.startswith(f"model{i}.")} for i in (1, 2)]
    files = []
    for index, content in enumerate(parts if apart else [state]):
        files.append(tmp_path / f"{index}.pth")
        torch.save({"model": content}, files[-1])
    out = tmp_path / "mae.safetensors"
    said = ivfuse_cli("convert", "--method", "maefuse", *files, "-o", out, "--heads", 2)
    assert said.code == 0, said.err
    converted, about = load_model(out)
    assert (about["net"]["heads"], about["net"]["fusion_heads"]) == (2, 16)
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in converted.state_dict().items())


def test_the_three_files_of_crossfuse_cam_are_converted(
    ivfuse_cli: Cli, tmp_path: Path, releases: Any
) -> None:
    from ivfuse.training.nets import build_net

    net = build_net("crossfuse-cam", "paper", shallow=2, growth=3, deep=8, heads=1)
    options: list[Any] = []
    for name, state in releases.cam_release(net.state_dict()).items():
        torch.save(state, tmp_path / name)
        options += ["--" + name.replace("_", "-"), tmp_path / name]
    said = ivfuse_cli("convert", "--method", "crossfuse-cam", *options, "-o", tmp_path / "cam.safetensors")
    assert said.code == 0, said.err
    assert (tmp_path / "cam.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "crossfuse-topk"), "crossfuse-topk takes the files FILE; found none"),
        (
            ("--method", "crossfuse-cam", "x.pth"),
            "takes the files --auto-ir, --auto-vi, --fusion; found FILE",
        ),
        (("--method", "crossfuse-topk", "x.pth", "--fusion", "y"), "found FILE, --fusion"),
        (("--method", "crossfuse-topk", "x.pth", "--heads", "8"), "--heads: crossfuse-topk does not take it"),
        (("--method", "crossfuse-topk", "x.pth", "y.pth"), "takes the files FILE; found FILE, FILE"),
        (("--method", "maefuse"), "maefuse takes the files FILE...; found none"),
        (("--method", "maefuse", "x.pth", "--fusion", "y"), "found FILE, --fusion"),
        (("--method", "crossfuse-top", "x.pth"), "did you mean crossfuse-topk"),
    ],
)
def test_files_that_the_method_does_not_take_are_refused(
    ivfuse_cli: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    said = ivfuse_cli("convert", *arguments, "-o", tmp_path / "m.safetensors")
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_target_that_cannot_be_is_refused_before_reading(ivfuse_cli: Cli, tmp_path: Path) -> None:
    said = ivfuse_cli("convert", "--method", "crossfuse-topk", "x.pth", "-o", tmp_path / "m.onnx")
    assert (said.code, "expected .safetensors" in said.err) == (2, True)
    file = tmp_path / "m.safetensors"
    said = ivfuse_cli("convert", "--method", "crossfuse-topk", file, "-o", file)
    assert (said.code, "is one of the files to convert" in said.err) == (2, True)
