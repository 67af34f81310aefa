"""The Fuser around a method: sizes, color, depth, windows, notes, errors."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import ivfuse
from ivfuse.errors import InputError, IvfuseError, OutputError, ShapeError, UnknownNameError, UsageError
from ivfuse.fusion.method import MethodInfo
from ivfuse.fusion.outputs import TemperatureRaster
from ivfuse.fusion.pipeline import Fuser, fuse
from ivfuse.registration.transform import Registration
from ivfuse.thermal.read import ThermalOptions
from ivfuse.thermal.render import RenderOptions
from ivfuse.thermal.units import Scale

Texture = Callable[..., np.ndarray]
MakePair = Callable[..., tuple[Path, Path]]


class Own:
    """A method from a function."""

    def __init__(self, function: Callable[..., np.ndarray], **facts: object) -> None:
        self.function = function
        self.info = MethodInfo("own", "classical", "a test", "none", **facts)

    def fuse(self, ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        return self.function(ir, vi)


def test_paths_and_arrays_may_be_mixed(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "a_ir.png", tmp_path / "a_vi.png")
    thermal = cv2.imread(str(ir), cv2.IMREAD_GRAYSCALE)
    visible = cv2.imread(str(vi))[..., ::-1]
    from_paths = fuse(ir, str(vi), "average")
    assert np.array_equal(from_paths, fuse(thermal, vi, "average"))
    assert np.array_equal(from_paths, fuse(ir, visible, method="average"))
    assert np.array_equal(from_paths, ivfuse.fuse(thermal, visible, method="average"))


def test_the_visible_alone_gives_the_visible_back(texture: Texture) -> None:
    vi = texture(40, 50, channels=3)
    fused = Fuser(Own(lambda ir, vi: vi)).fuse(texture(40, 50), vi)
    # the way through luma and back rounds in float32
    assert np.abs(fused - vi).max() < 1e-5


def test_gray_gives_the_fused_luma(texture: Texture) -> None:
    ir = texture(40, 50)
    fused = Fuser(Own(lambda ir, vi: ir), gray=True).fuse(ir, texture(40, 50, channels=3))
    assert np.array_equal(fused, ir)


def test_depths_of_arrays_are_brought_to_one_range() -> None:
    first = Own(lambda ir, vi: vi)
    ir = np.zeros((4, 5), np.uint8)
    for dtype, top in [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0), (np.float64, 1.0)]:
        vi = np.full((4, 5), top, dtype)
        assert Fuser(first).fuse(ir, vi).max() == pytest.approx(1.0)
        assert Fuser(first).fuse(ir, (vi / 2).astype(dtype)).max() == pytest.approx(0.5, abs=0.5 / 255)


def test_sixteen_bit_thermal_counts_are_mapped_by_the_window() -> None:
    counts = np.linspace(7000, 8000, 101).astype(np.uint16).reshape(1, -1)
    fused = Fuser(Own(lambda ir, vi: ir), thermal=ThermalOptions((7250, 7750))).fuse(
        counts, np.zeros((1, 101), np.uint8)
    )
    assert fused[0, 0] == 0
    assert fused[0, -1] == 1
    assert fused[0, 50] == pytest.approx(0.5, abs=1e-3)


def test_a_thermal_of_another_size_is_resampled_and_said(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png", size=(48, 64), ir_size=(24, 30))
    result = Fuser("average").fuse_files(ir, vi, tmp_path / "out.png")
    assert (result.height, result.width) == (48, 64)
    assert "thermal resampled from 30x24 to 64x48" in result.notes
    assert cv2.imread(str(result.out)).shape == (48, 64, 3)


def test_sixteen_bits_come_out_when_asked(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    Fuser("average").fuse_files(ir, vi, tmp_path / "out.png", depth=16)
    deep = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert deep.dtype == np.uint16
    # more values than 8 bits can hold
    assert len(np.unique(deep)) > 256


def test_the_alpha_of_the_visible_is_kept(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    rgba = np.dstack([cv2.imread(str(vi)), np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))])
    cv2.imwrite(str(vi), rgba)
    Fuser("average").fuse_files(ir, vi, tmp_path / "out.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)[..., 3], rgba[..., 3])


def test_a_method_that_leaves_the_range_or_gives_nan_is_made_safe(texture: Texture) -> None:
    def wild(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        fused = vi * 3 - 1
        fused[0, 0] = np.nan
        return fused

    fused = Fuser(Own(wild)).fuse(texture(20, 30), texture(20, 30))
    assert np.isfinite(fused).all()
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_a_method_that_changes_the_size_is_refused(texture: Texture) -> None:
    with pytest.raises(ShapeError, match="the method"):
        Fuser(Own(lambda ir, vi: vi[1:])).fuse(texture(20, 30), texture(20, 30))


def test_a_method_of_unbounded_reach_leaves_no_seam() -> None:
    # the mean of the tile differs from tile to tile: only the blending can hide it
    method = Own(lambda ir, vi: 0.5 * vi + 0.5 * ir.mean(), reach=None)
    ir = np.tile(np.linspace(0, 1, 600, dtype=np.float32), (150, 1))
    fused = Fuser(method, tile=256).fuse(ir, np.full((150, 600), 0.5, np.float32))
    assert np.abs(np.diff(fused, axis=1)).max() < 2 / 255


def test_tiles_of_unbounded_reach_fade_over_an_eighth_of_their_side() -> None:
    method = Own(lambda ir, vi: np.full_like(vi, ir.mean()), reach=None)
    ir = np.full((128, 1300), 0.1, np.float32)  # not 0, which would be a frame
    ir[:, 700:] = 1
    fused = Fuser(method, tile=800).fuse(ir, np.zeros_like(ir))
    changing = np.flatnonzero(np.abs(np.diff(fused[64])) > 1e-6)
    assert changing[-1] - changing[0] + 1 == pytest.approx(100, abs=2)


def test_the_output_may_not_be_an_input(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    before = vi.read_bytes()
    with pytest.raises(OutputError, match="one of the inputs"):
        Fuser("average").fuse_files(ir, vi, tmp_path / "." / "vi.png")
    assert vi.read_bytes() == before


def test_a_missing_file_is_named(tmp_path: Path, make_pair: MakePair) -> None:
    ir, vi = make_pair(tmp_path / "ir.png", tmp_path / "vi.png")
    with pytest.raises(InputError, match=r"absent\.png"):
        fuse(tmp_path / "absent.png", vi)
    with pytest.raises(InputError, match=r"absent\.png"):
        fuse(ir, tmp_path / "absent.png")


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4, 5), (4, 4, 7)])
def test_an_array_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    good = np.zeros((4, 4), np.float32)
    with pytest.raises(IvfuseError):
        fuse(good, np.zeros(shape, np.float32), "average")
    with pytest.raises(IvfuseError):
        fuse(np.zeros(shape, np.float32), good, "average")


def test_an_array_with_nan_is_refused() -> None:
    good, bad = np.zeros((4, 4), np.float32), np.full((4, 4), np.nan, np.float32)
    with pytest.raises(IvfuseError):
        fuse(bad, good, "average")
    with pytest.raises(IvfuseError):
        fuse(good, bad, "average")


@pytest.mark.parametrize(
    "choice",
    [
        {"tile": 0},
        {"method": "average", "method_options": {"levels": 3}},
        {"crop": True},
        {"strength": 1.5},
        {"strength": float("nan")},
        {"ir_gamma": 0},
        {"ir_gamma": float("nan")},
        {"method": Own(lambda ir, vi: vi), "threads": 2},
        {"method": "average", "runtime": "openvino"},
    ],
)
def test_a_choice_without_meaning_is_refused(choice: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Fuser(**choice)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="averge"):
        Fuser("averge")


def test_a_camera_file_is_fused_by_its_name_alone(flir: Any, texture: Texture, tmp_path: Path) -> None:
    counts = np.rint(flir.counts_of(np.tile(np.linspace(10, 40, 40), (30, 1)))).astype(np.uint16)
    photo = np.rint(40 + 200 * texture(60, 80, channels=3)).astype(np.uint8)
    path = flir.Flir(counts, photo=photo, alignment=(1.0, 0, 0)).write(tmp_path / "f.jpg")
    fused = ivfuse.fuse(path, method="average")
    assert fused.shape == (60, 80, 3)
    assert np.array_equal(fused, ivfuse.fuse(path, path, method="average"))
    result = Fuser("average").fuse_files(
        path, None, tmp_path / "o.png", extra=[TemperatureRaster(tmp_path / "o.tiff")]
    )
    assert result.extra == {"temperature": tmp_path / "o.tiff"}
    with pytest.raises(InputError, match="no radiometric data"):
        ivfuse.fuse(cv2_file(tmp_path / "plain.png"), method="average")
    with pytest.raises(UsageError, match="expected the visible image"):
        ivfuse.fuse(counts, method="average")


def cv2_file(path: Path) -> Path:
    cv2.imwrite(str(path), np.zeros((4, 5), np.uint8))
    return path


def test_temperatures_lie_on_the_grid_of_the_visible() -> None:
    kelvin = np.full((30, 40), 30_000, np.uint16)
    options = ThermalOptions(scale=Scale(0.01, -273.15))
    loaded = Fuser("average", thermal=options).read(kelvin, np.zeros((60, 80), np.uint8))
    assert loaded.thermal.celsius == pytest.approx(np.full((60, 80), 26.85), abs=1e-3)


@pytest.mark.parametrize("window", [(5.0, 5.0), (0.0, float("nan")), "10C..5C", "wide"])
def test_a_window_without_meaning_is_refused(window: object) -> None:
    with pytest.raises(UsageError, match="window"):
        ThermalOptions(window)  # type: ignore[arg-type]


def test_a_misspelt_choice_is_named_as_such() -> None:
    with pytest.raises(UnknownNameError, match="unknown option of the fusion 'grey'; did you mean gray"):
        Fuser("average", grey=True)


@pytest.mark.parametrize("method", ["average", "laplacian", None])
@pytest.mark.parametrize("render", [None, RenderOptions("iron")])
def test_stages_change_nothing_that_they_were_given(
    texture: Texture, method: str | None, render: RenderOptions | None
) -> None:
    fuser = Fuser(method, render=render)
    pair = fuser.read(texture(40, 50), texture(40, 50, seed=1, channels=3))
    before = pair.thermal.pixels.copy(), pair.visible.pixels.copy()
    first = fuser.fuse_pair(pair)
    assert np.array_equal(first, fuser.fuse_pair(pair))
    assert np.array_equal(pair.thermal.pixels, before[0])
    assert np.array_equal(pair.visible.pixels, before[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_the_rounded_floats(texture: Texture, dtype: type) -> None:
    fuser = Fuser("laplacian")
    pair = fuser.read(texture(40, 50), (255 * texture(40, 50, seed=1, channels=3)).astype(np.uint8))
    expected = np.rint(fuser.fuse_pair(pair) * np.float32(np.iinfo(dtype).max))
    assert np.array_equal(fuser.fuse_pair(pair, dtype=dtype), expected)


def test_a_large_color_image_is_fused_in_little_memory_besides_the_pair() -> None:
    class Brighter:
        info = MethodInfo("brighter", "classical", "", "")

        def fuse(self, ir: Any, vi: Any) -> Any:
            return np.maximum(ir, vi)

    fuser = Fuser(Brighter(), tile=2000)
    pair = fuser.read(np.zeros((1000, 1500), np.uint8), np.zeros((1000, 1500, 3), np.uint8))
    fuser.fuse_pair(pair, dtype=np.uint8)  # imports
    tracemalloc.start()
    try:
        fuser.fuse_pair(pair, dtype=np.uint8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two lumas in float32; colors in float32 would be 12 bytes per pixel.
    assert peak / (1000 * 1500) < 10


@pytest.mark.parametrize("channels", [0, 3])
def test_a_batch_is_fused_pair_by_pair(texture: Texture, channels: int) -> None:
    ir = np.stack([texture(20, 30, seed=seed) for seed in range(3)])
    vi = np.stack([texture(20, 30, seed=9 + seed, channels=channels) for seed in range(3)])
    fuser = Fuser("laplacian")
    fused = fuser.fuse(ir, vi)
    assert fused.shape == vi.shape
    assert np.array_equal(fused[1], fuser.fuse(ir[1], vi[1]))
    with pytest.raises(ShapeError, match=r"found arrays of shape \(2, 20, 30\) and \(3, 20, 30"):
        fuser.fuse(ir[:2], vi)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_integers_come_out_when_asked(texture: Texture, dtype: type, top: int) -> None:
    pair = texture(20, 30), texture(20, 30, seed=1, channels=3)
    fused = Fuser("average").fuse(*pair, dtype=dtype)
    assert fused.dtype == dtype
    np.testing.assert_allclose(fused / top, Fuser("average").fuse(*pair), atol=0.51 / top)
    with pytest.raises(UsageError, match="dtype: found float64"):
        Fuser("average").fuse(*pair, dtype=np.float64)


def test_pil_images_and_big_endian_arrays_are_taken(texture: Texture) -> None:
    ir, vi = (np.rint(255 * texture(20, 30, channels=c)).astype(np.uint8) for c in (0, 3))
    plain = fuse(ir, vi, "average")
    assert np.array_equal(plain, fuse(Image.fromarray(ir), Image.fromarray(vi), "average"))
    deep = ir.astype(np.uint16) * 257
    assert np.array_equal(fuse(deep, vi, "average"), fuse(deep.astype(">u2"), vi, "average"))


@pytest.mark.parametrize("method", [None, "laplacian"])
def test_a_pickled_fuser_works(texture: Texture, method: str | None) -> None:
    pair = texture(40, 50), texture(40, 50, seed=1, channels=3)
    fuser = Fuser(method, gray=True)
    fused = fuser.fuse(*pair)  # with its graph loaded
    assert np.array_equal(pickle.loads(pickle.dumps(fuser)).fuse(*pair), fused)


def test_a_gamma_below_1_brightens_the_thermal_that_the_method_receives(texture: Texture) -> None:
    ir, vi = texture(30, 40), texture(30, 40, seed=1)
    fused = Fuser("average", ir_gamma=0.5).fuse(ir, vi)
    np.testing.assert_allclose(fused, (np.sqrt(ir) + vi) / 2, atol=1e-5)


@pytest.mark.parametrize("rig", [None, Registration(((1, 0, 5), (0, 1, 4), (0, 0, 1)), (40, 30), (50, 40))])
def test_strength_leads_in_a_straight_line_from_the_visible_to_the_full_fusion(
    texture: Texture, rig: Registration | None
) -> None:
    pair = texture(30, 40), texture(40, 50, seed=1)
    none, half, full = (Fuser("laplacian", strength=s, rig=rig).fuse(*pair) for s in (0, 0.5, 1))
    np.testing.assert_array_equal(none, pair[1])
    np.testing.assert_allclose(half, (none + full) / 2, atol=1e-6)
    assert np.abs(full - none).max() > 0.05
