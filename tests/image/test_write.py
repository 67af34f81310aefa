"""Images to files: formats, rounding, and that a file appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.errors import InputError, OutputError, ShapeError, UsageError
from ivfuse.image import formats
from ivfuse.image.formats import SUFFIXES
from ivfuse.image.read import read_visible
from ivfuse.image.write import write_image
from ivfuse.runtime import files

LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".webp")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3), (1, 1), (1, 1, 3), (1, 40, 3), (40, 1)])
def test_what_is_written_is_read_again_to_the_nearest_level(
    tmp_path: Path, suffix: str, shape: tuple[int, ...]
) -> None:
    pixels = noise(*shape)
    write_image(tmp_path / f"out{suffix}", pixels)
    again = read_visible(tmp_path / f"out{suffix}").pixels
    again = again[..., 0] if again.ndim > pixels.ndim else again  # WebP has no gray
    # Half a level is the error of rounding to the nearest; truncation would give up to a whole one.
    np.testing.assert_allclose(again, pixels, atol=0.501 / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3)])
def test_16_bit_files_hold_16_bits(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    write_image(tmp_path / f"out{suffix}", pixels, depth=16)
    again = read_visible(tmp_path / f"out{suffix}")
    assert again.depth == 16
    # Half a level, and the rounding of float32.
    np.testing.assert_allclose(again.pixels, pixels, atol=0.51 / 65535)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_keeps_fine_color(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((16, 16, 3), np.float32)
    pixels[:, ::2] = (0.9, 0.2, 0.2)
    pixels[:, 1::2] = (0.2, 0.2, 0.9)
    write_image(tmp_path / f"out{suffix}", pixels)
    # With halved chroma the stripes would turn to one purple, wrong by 0.3 and more.
    np.testing.assert_allclose(read_visible(tmp_path / f"out{suffix}").pixels, pixels, atol=0.05)


@pytest.mark.parametrize(
    ("suffix", "depth"),
    [
        *((suffix, 8) for suffix in SUFFIXES),
        *((suffix, 16) for suffix in formats.PNG.suffixes + formats.TIFF.suffixes),
    ],
)
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_alpha_is_kept_where_the_format_can(
    tmp_path: Path, suffix: str, shape: tuple[int, ...], depth: int
) -> None:
    pixels, alpha = noise(*shape), noise(9, 7)[::-1]
    alpha[0] = 0
    write_image(tmp_path / f"out{suffix}", pixels, depth=depth, alpha=alpha)
    image = read_visible(tmp_path / f"out{suffix}")
    if suffix in (".png", ".tif", ".tiff", ".webp"):
        assert image.alpha is not None
        np.testing.assert_allclose(image.alpha, alpha, atol=0.51 / (2**depth - 1))
        again = image.pixels[..., 0] if image.pixels.ndim > pixels.ndim else image.pixels
        np.testing.assert_allclose(again, pixels, atol=0.51 / (2**depth - 1))
    else:
        assert image.alpha is None


def test_values_outside_are_clipped_not_wrapped(tmp_path: Path) -> None:
    for depth in (8, 16):
        write_image(tmp_path / "out.png", np.array([[-0.2, 1.3, np.inf, -np.inf]], np.float32), depth=depth)
        assert np.array_equal(read_visible(tmp_path / "out.png").pixels, [[0, 1, 1, 0]])


def test_the_array_that_is_written_is_left_as_it_is(tmp_path: Path) -> None:
    pixels = noise(9, 7, 3)
    before = pixels.copy()
    for suffix in SUFFIXES:
        write_image(tmp_path / f"out{suffix}", pixels)
    assert np.array_equal(pixels, before)


def test_other_programs_read_the_files(tmp_path: Path) -> None:
    pixels = noise(9, 7, 3)
    for suffix in LOSSLESS:
        write_image(tmp_path / f"out{suffix}", pixels)
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert np.array_equal(np.asarray(image), np.rint(pixels * 255).astype(np.uint8))


def test_missing_folders_are_made_and_old_files_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder ü" / "out.PNG"
    write_image(path, np.zeros((2, 2), np.float32))
    write_image(path, np.ones((2, 2), np.float32))
    assert np.array_equal(read_visible(path).pixels, np.ones((2, 2)))
    assert [x.name for x in path.parent.iterdir()] == ["out.PNG"]


def test_new_files_have_the_permissions_of_ordinary_ones(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    write_image(tmp_path / "out.png", np.zeros((2, 2), np.float32))
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "out.png"
    write_image(path, np.zeros((2, 2), np.float32))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "replace":
        monkeypatch.setattr(files.os, "replace", full)
    else:
        real = Path.open

        class FullFile:
            def __init__(self, file: object) -> None:
                self.file = file

            def __enter__(self) -> FullFile:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            def write(self, data: bytes) -> None:
                self.file.write(data[:10])
                full()

        monkeypatch.setattr(Path, "open", lambda self, mode: FullFile(real(self, mode)))
    with pytest.raises(OutputError, match=r"out\.png: cannot be written: No space left on device"):
        write_image(path, np.ones((2, 2), np.float32))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["out.png"]


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder"):
        write_image(tmp_path / "file" / "out.png", np.zeros((2, 2), np.float32))
    (tmp_path / "out.png").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_image(tmp_path / "out.png", np.zeros((2, 2), np.float32))


def test_a_folder_that_is_not_writable_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # by hand: an administrator may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=r"out\.png: cannot be written: Permission denied"):
        write_image(tmp_path / "out.png", np.zeros((2, 2), np.float32))


@pytest.mark.parametrize("name", ["out", "out.gif", "out.png.bak", ".png"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown suffix .*\.png .*\.webp"):
        write_image(tmp_path / name, np.zeros((2, 2), np.float32))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".webp"])
def test_16_bit_is_refused_where_the_format_has_8(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match=r"8 bit only, expected \.png, \.tif, \.tiff"):
        write_image(tmp_path / f"out{suffix}", np.zeros((2, 2), np.float32), depth=16)
    with pytest.raises(UsageError, match="expected 8 or 16"):
        write_image(tmp_path / "out.png", np.zeros((2, 2), np.float32), depth=12)


def test_a_side_too_long_for_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 16383"):
        write_image(tmp_path / "out.webp", np.zeros((1, 16384), np.float32))


@pytest.mark.parametrize("shape", [(0, 4), (4,), (4, 4, 2), (4, 4, 4), (1, 4, 4, 3)])
def test_an_array_that_is_no_image_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected"):
        write_image(tmp_path / "out.png", np.zeros(shape, np.float32))


def test_nan_and_a_wrong_alpha_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NaN"):
        write_image(tmp_path / "out.png", np.full((2, 2), np.nan, np.float32))
    with pytest.raises(ShapeError, match="alpha"):
        write_image(tmp_path / "out.png", np.zeros((2, 2), np.float32), alpha=np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, 8), (np.uint8, 16), (np.uint16, 8), (np.uint16, 16)])
def test_levels_are_written_in_any_depth(tmp_path: Path, dtype: type, depth: int) -> None:
    top = np.iinfo(dtype).max
    levels = np.linspace(0, top, 7 * 9 * 3).astype(dtype).reshape(7, 9, 3)
    before = levels.copy()
    write_image(tmp_path / "x.png", levels, depth)
    assert np.array_equal(levels, before)
    found = read_visible(tmp_path / "x.png")
    assert found.depth == depth
    np.testing.assert_allclose(found.pixels, levels / top, atol=0.51 / 255)
