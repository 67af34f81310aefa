"""The paper variant of maefuse against the release's own numbers, and its checkpoints' way here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ivfuse.errors import InputError, UnknownNameError, UsageError  # noqa: E402
from ivfuse.training import convert_maefuse as convert  # noqa: E402
from ivfuse.training.checkpoint import load_model, read_model  # noqa: E402
from ivfuse.training.nets import build_net  # noqa: E402
from ivfuse.training.nets import maefuse_paper as paper  # noqa: E402
from ivfuse.training.nets.vit import position_codes  # noqa: E402
from ivfuse.training.release import save_converted  # noqa: E402
from small_nets import set_sines  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle" / "methods"
HEADS = {"heads": 2, "decoder_heads": 2, "fusion_heads": 4}
SMALL: dict[str, Any] = {"dim": 16, "depth": 2, "decoder_dim": 8, "decoder_depth": 1, **HEADS}
FROZEN = [0.257706, 0.428179, 0.514887, 0.495554, 0.558138, 0.539538]

needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason="the released code's values are not at hand")


def formula_net(**options: Any) -> paper.MaeFusePaper:
    """A small network whose weights come from sines, the same on every machine."""
    net = paper.MaeFusePaper(**(SMALL | {"side": 48} | options)).eval()
    set_sines(net, ("norm.weight", "norm1.weight", "norm2.weight", "ln.weight"))
    return net


def pair(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    one, two = torch.rand(2, batch, 1, height, width, generator=torch.Generator().manual_seed(0)).unbind()
    return one, two


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> paper.MaeFusePaper:
    """The oracle's weights, put into a file as released and converted."""
    if not ORACLE.is_dir():
        pytest.skip("the released code's values are not at hand")
    folder = tmp_path_factory.mktemp("release")
    with np.load(ORACLE / "maefuse_small.npz") as values:
        state = {f"module.{k[2:]}": torch.from_numpy(values[k]) for k in values.files if k.startswith("w/")}
    torch.save({"model": state, "epoch": 3}, folder / "x.pth")
    weights, options = convert.convert_maefuse([folder / "x.pth"], heads=4, decoder_heads=4)
    assert (options["dim"], options["depth"], options["decoder_dim"], options["decoder_depth"]) == (
        64,
        2,
        32,
        2,
    )
    save_converted(folder / "net.safetensors", "maefuse", weights, options)
    net = load_model(folder / "net.safetensors")[0]
    assert isinstance(net, paper.MaeFusePaper)
    return net


@pytest.mark.oracle
@needs_oracle
def test_every_stored_tensor_of_the_release_is_matched(released: paper.MaeFusePaper) -> None:
    with np.load(ORACLE / "maefuse_small.npz") as values:
        stored = {key: values[key] for key in values.files if not key.startswith("w/")}
    ir, vi = (torch.from_numpy(stored.pop(key)).float().expand(-1, 3, -1, -1) for key in ("ir", "vi"))
    codes = position_codes(40, 40, 64)
    ours = {"pos_row": codes[:3], "pos_last": codes[-1], "decoder_pos_row1": position_codes(40, 40, 32)[:3]}
    for key, value in ours.items():
        np.testing.assert_allclose(value, stored.pop(key), rtol=0, atol=4e-6, err_msg=key)  # angles up to 39
    with torch.no_grad():
        found = released.forward_features(ir, vi)
        again = released._decoded(found.vi, 640, 640)
    ours = {
        "vi_latent": found.vi,
        "ir_latent": found.ir,
        "cfm": found.cross,
        "fused_latent": found.fused,
        "decoded": found.decoded[:, :1],
        "vi_reconstruction": again[:, :1],
    }
    assert stored.keys() == ours.keys()
    for key, value in stored.items():
        # Stored as float16, the sources too: half of the last place of the largest value (2^-11), and over
        # all values the mean error of that rounding, 2.1e-4, and a little for the sources'.
        wanted = value.astype(np.float32)
        off = ours[key].numpy() - wanted
        assert np.abs(off).max() < 2**-11 * np.abs(wanted).max(), key
        assert np.sqrt(np.square(off).mean() / np.square(wanted).mean()) < 2.5e-4, key


def test_the_full_size_has_the_release_s_number_of_parameters() -> None:
    with torch.device("meta"):
        net = build_net("maefuse", "paper")
        first = build_net("maefuse", "paper", feed_forward=False)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert count == {"encoder": 303_098_880, "cfm": 4_198_400, "mfm": 12_594_176, "decoder": 13_529_344}
    codes = 40 * 40 * (1024 + 1024 + 512)  # which the release counts, and which are computed here
    assert sum(count.values()) + codes == 337_516_800
    assert sum(p.numel() for part in (first.cfm, first.mfm) for p in part.parameters()) == 8_396_800


@pytest.mark.oracle
@needs_oracle
def test_the_release_s_keys_and_shapes_are_all_known() -> None:
    lines = (ORACLE / "maefuse_small.keys.txt").read_text("utf-8").splitlines()
    listed = dict(line.split("\t") for line in lines if not line.startswith("#"))
    with torch.device("meta"):
        state = paper.MaeFusePaper(64, 2, 4, 32, 2, 4, 16).state_dict()
    ours = {convert.released_name(key): str(tuple(value.shape)) for key, value in state.items()}
    # that program builds its MLPs as sequences; MAE's files call the layers fc1 and fc2
    assert ours == {
        k.replace("mlp.0.", "mlp.fc1.").replace("mlp.2.", "mlp.fc2."): v for k, v in listed.items()
    }


# ------------------------------------------------------------------ what it computes


@torch.no_grad()
def test_the_output_stays_what_it_was() -> None:
    # Found when the values of the release were matched.
    y, x = np.mgrid[:48, :48]
    ir, vi = (
        torch.from_numpy(0.5 + 0.4 * np.sin(0.2 * x + p) * np.cos(0.1 * y)).float()[None, None]
        for p in (0, 1)
    )
    fused = formula_net()(ir, vi)
    np.testing.assert_allclose(fused[0, 0, ::20, 5::30].flatten().numpy(), FROZEN, rtol=0, atol=1e-5)


@torch.no_grad()
def test_mistakes_that_are_kept() -> None:
    net, (ir, vi) = formula_net(), pair(48, 48, batch=2)
    a, b = (net.encoder(net._normalized(x)) for x in (ir, vi))
    for i in (0, 1):  # alone, the guide of MFM says nothing
        one, two = a[i : i + 1], b[i : i + 1]
        assert torch.allclose(net.mfm(one, one, two), net.mfm(5 * two, one, two), atol=1e-6)
    singles = torch.cat([net(ir[i : i + 1], vi[i : i + 1]) for i in (0, 1)])
    assert (net(ir, vi) - singles).abs().max() > 1e-4  # in a batch, images are mixed
    moved = b.clone()
    moved[:, 4] = 0  # one patch of the center changes what is found there and nowhere else
    changed = (net.cfm(a, moved) - net.cfm(a, b)).abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [i == 4 for i in range(9)]


@pytest.mark.parametrize("size", [(1, 1), (31, 90), (48, 48)])
@torch.no_grad()
def test_any_size_comes_out_as_it_went_in(size: tuple[int, int]) -> None:
    net, (ir, vi) = formula_net(), pair(*size)
    for out in (net(ir, vi), net.forward_through(ir, vi, "cfm")):
        assert out.shape == ir.shape
        assert 0 <= float(out.min()) <= float(out.max()) <= 1
    assert all(x.shape == ir.shape for x in net.reconstruct(ir, vi))


def test_every_weight_learns_also_beyond_the_limits_of_the_range() -> None:
    net, (ir, vi) = formula_net().train(), pair(48, 48)
    with torch.no_grad():
        net.decoder.decoder_pred.bias.add_(50)  # all pixels are far too bright
    fused = net(ir, vi)
    assert float(fused.detach().max()) <= 1 + 1e-5
    fused.square().mean().backward()
    largest = max(float(p.grad.abs().max()) for p in net.parameters() if p.grad is not None)
    # Nothing, or what rounding leaves of nothing, which differs between processors.
    idle = {
        name
        for name, p in net.named_parameters()
        if p.grad is None or float(p.grad.abs().max()) < 1e-6 * largest
    }
    # with one pair the weights of attention are 1: queries and keys have no gradient, and CFM leads nowhere
    assert idle == {n for n, _ in net.named_parameters() if n.startswith("cfm.")}


def test_the_alignment_aims_at_the_mean_without_the_second_code() -> None:
    net, (ir, vi) = formula_net(), pair(48, 48)
    with torch.no_grad():
        found, target = net.align_codes(ir, vi, "cfm")
        a, b = (net.encoder(net._normalized(x)) for x in (ir, vi))
        features = net.forward_features(*(net._normalized(x) for x in (ir, vi)))
    assert torch.equal(target, (a + b) / 2)
    assert torch.equal(found, features.cross)
    assert not torch.equal(net.align_codes(ir, vi)[0], found)


def test_what_cannot_work_is_refused() -> None:
    for wrong, message in (
        ({"side": 40}, "side=40, expected a multiple of 16"),
        ({"fusion_heads": 3}, "heads=3, expected a divisor of dim=16"),
        ({"decoder_heads": 3}, "heads=3, expected a divisor of decoder_dim=8"),
    ):
        with pytest.raises(UsageError, match=message):
            paper.MaeFusePaper(**(SMALL | wrong))
    with pytest.raises(UnknownNameError, match="unknown fusion module 'cmf'; did you mean mfm or cfm"):
        formula_net().forward_through(*pair(16, 16), "cmf")


# ------------------------------------------------------------------ the authors' files


@pytest.fixture
def state(releases: Any) -> dict[str, Any]:
    """A small network's state dict as the release names it, with its position codes."""
    state: dict[str, Any] = releases.mae_release(formula_net().state_dict())
    codes = {"model1.pos_embed": 16, "model1.decoder_pos_embed": 8, "model2.pos_embed": 16}
    return state | {key: position_codes(3, 3, dim)[None] for key, dim in codes.items()}


def write(file: Path, state: dict[str, Any]) -> list[Path]:
    torch.save(state, file)
    return [file]


def test_weights_survive_the_way_to_the_release_and_back(tmp_path: Path, state: dict[str, Any]) -> None:
    expected = formula_net().state_dict()
    parted: dict[str, Any] = {"a.pth": {}, "b.pth": {}}
    for key, value in state.items():
        group, name = key.split(".", 1)
        if name != "pos_embed" or group == "model1":
            parted["a.pth" if group == "model1" else "b.pth"][name] = value
    wrapped = {key.replace("model1.", "module.model1.module."): value for key, value in state.items()}
    for files in (
        write(tmp_path / "plain.pth", state),
        write(tmp_path / "wrapped.pth", {"model": wrapped, "epoch": 80}),
        [write(tmp_path / name, {"model": content})[0] for name, content in parted.items()],
    ):
        found, options = convert.convert_maefuse(files, **HEADS)
        assert options == SMALL | {"feed_forward": True}
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_the_first_version_without_feed_forward_is_known(tmp_path: Path, releases: Any) -> None:
    net = formula_net(feed_forward=False)
    files = write(tmp_path / "x.pth", releases.mae_release(net.state_dict()))
    weights, options = convert.convert_maefuse(files, **HEADS)
    assert options["feed_forward"] is False
    assert len(weights) == len(net.state_dict())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("model2.ln.bias"), r"x\.pth: 1 missing keys for maefuse: model2\.ln\.bias"),
        (lambda s: s.update({"model2.extra": torch.ones(1)}), r"1 unknown keys for maefuse: model2\.extra"),
        (lambda s: s.pop("model1.decoder_embed.weight"), r"1 missing .*: model1\.decoder_embed\.weight"),
        (
            lambda s: s.update({"model2.fc1.bias": torch.ones(3)}),
            r"model2\.fc1\.bias has the shape \(3,\), expected \(64,\)",
        ),
        (
            lambda s: s["model1.pos_embed"].add_(0.1),
            r"model1\.pos_embed contains learned position codes, expected MAE's fixed sines",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, state: dict[str, Any], spoil: Callable[[Any], object], message: str
) -> None:
    spoil(state)
    with pytest.raises(InputError, match=message) as caught:
        convert.convert_maefuse(write(tmp_path / "x.pth", state), **HEADS)
    assert "\n" not in str(caught.value)


def test_a_key_in_two_files_and_wrong_heads_are_refused(tmp_path: Path, state: dict[str, Any]) -> None:
    files = write(tmp_path / "x.pth", state)
    with pytest.raises(InputError, match="keys are also in another file"):
        convert.convert_maefuse(files * 2, **HEADS)
    with pytest.raises(UsageError, match="heads=16, expected a divisor of decoder_dim=8"):
        convert.convert_maefuse(files)


def test_a_saved_file_states_what_it_is(tmp_path: Path, state: dict[str, Any]) -> None:
    file = tmp_path / "net.safetensors"
    converted = convert.convert_maefuse(write(tmp_path / "x.pth", state), **HEADS)
    save_converted(file, "maefuse", *converted)
    about = read_model(file)[1]
    assert (about["method"], about["variant"], about["net"]["dim"]) == ("maefuse", "paper", 16)
