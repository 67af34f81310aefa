"""EXIF and XMP of the visible image in the fused one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.fusion.outputs import FusedImage
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.embed import adapted
from ivfuse.image.metadata import Metadata

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" drone:Altitude="+12.5"/></x:xmpmeta>'
TAKEN, POSITION = "2024:05:06 07:08:09", (47.0, 30.0, 15.5)


def block() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[274], exif[306] = "Drone", 6, TAKEN
    exif.get_ifd(34665).update({36867: TAKEN, 40961: 65535, 40962: 40, 40963: 30})
    exif.get_ifd(34853).update({1: "N", 2: POSITION})
    return exif


def write_pair(folder: Path, suffix: str) -> tuple[Path, Path]:
    y, x = np.mgrid[0:30, 0:40]
    ir, vi = folder / "ir.png", folder / f"vi{suffix}"
    Image.fromarray((3 * x + y).T.astype(np.uint8)).save(ir)
    Image.fromarray(np.stack((5 * x, 6 * y, x + y), -1).astype(np.uint8)).save(vi, exif=block(), xmp=XMP)
    return ir, vi


@pytest.mark.parametrize("source", [".jpg", ".webp", ".png"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_result_keeps_the_metadata_of_the_visible_image(tmp_path: Path, source: str, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    Fuser("average").fuse_files(*write_pair(tmp_path, source), out)
    with Image.open(out) as image:
        image.load()
        assert image.size == (30, 40)  # turned upright
        exif, xmp = image.getexif(), image.info.get("xmp", b"")
        assert (exif[271], exif[274], exif[306]) == ("Drone", 1, TAKEN)
        taken = exif.get_ifd(34665)
        assert (taken[36867], taken[40961], taken[40962], taken[40963]) == (TAKEN, 1, 30, 40)
        assert tuple(map(float, exif.get_ifd(34853)[2])) == POSITION
    if source != ".png":  # to which Pillow writes no XMP
        assert xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')


def test_strip_drops_the_metadata(tmp_path: Path) -> None:
    pair = Fuser("average").read(*write_pair(tmp_path, ".jpg"))
    FusedImage(tmp_path / "out.jpg", strip=True).write(tmp_path / "out.jpg", pair, pair.visible.pixels)
    assert b"Exif" not in (tmp_path / "out.jpg").read_bytes()
    FusedImage(tmp_path / "out.png").write(tmp_path / "kept.jpg", pair, pair.visible.pixels)
    assert b"Exif" in (tmp_path / "kept.jpg").read_bytes()


def test_formats_without_metadata_say_that_it_is_dropped(tmp_path: Path) -> None:
    result = Fuser("average").fuse_files(*write_pair(tmp_path, ".jpg"), tmp_path / "out.tif")
    assert "visible: its EXIF and XMP are dropped, .tif files are written without" in result.notes


def test_a_damaged_block_is_dropped_and_damage_never_raises() -> None:
    exif = block().tobytes().removeprefix(b"Exif\0\0")
    assert adapted(Metadata(exif=exif[:10]), 3, 4).exif is None
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(exif)
        for at in rng.integers(4, len(data), 4):
            data[at] = rng.integers(256)
        found = adapted(Metadata(exif=bytes(data)), 3, 4).exif
        assert found is None or len(found) == len(exif)


def test_a_result_names_its_inputs(tmp_path: Path) -> None:
    ir, vi = write_pair(tmp_path, ".jpg")
    assert Fuser("average").fuse_files(ir, vi, tmp_path / "out.png").inputs == (ir, vi)
