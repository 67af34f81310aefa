"""EXIF and XMP of the visible image in the fused one."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ivfuse.fusion.outputs import FusedImage, TemperatureRaster
from ivfuse.fusion.pipeline import Fuser
from ivfuse.image.decode import decode
from ivfuse.image.directories import MAX_BLOCK
from ivfuse.image.directories import XMP as XMP_TAG
from ivfuse.image.embed import adapted
from ivfuse.image.exif import completed, read_exif
from ivfuse.image.exif_tiff import with_fields
from ivfuse.image.metadata import Metadata, read_metadata
from ivfuse.image.write import write_image
from ivfuse.thermal.read import ThermalOptions

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" drone:Altitude="+12.5"/></x:xmpmeta>'
TAKEN, POSITION = "2024:05:06 07:08:09", (47.0, 30.0, 15.5)


def block() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[274], exif[306] = "Drone", 6, TAKEN
    exif.get_ifd(34665).update({36867: TAKEN, 40961: 65535, 40962: 40, 40963: 30})
    exif.get_ifd(34853).update({1: "N", 2: POSITION, 3: "E", 4: (8.0, 30.0, 0.25)})
    return exif


def write_pair(folder: Path, suffix: str) -> tuple[Path, Path]:
    y, x = np.mgrid[0:30, 0:40]
    ir, vi = folder / "ir.png", folder / f"vi{suffix}"
    Image.fromarray((3 * x + y).T.astype(np.uint8)).save(ir)
    image = Image.fromarray(np.stack((5 * x, 6 * y, x + y), -1).astype(np.uint8))
    if suffix == ".tif":  # Pillow writes no directory of EXIF to TIFF
        image.save(vi)
        fields = with_fields(memoryview(vi.read_bytes()), tiff_block(), {XMP_TAG: XMP})
        vi.write_bytes(fields)
    else:
        image.save(vi, exif=block(), xmp=XMP)
    return ir, vi


def tiff_block(endian: str = "<") -> bytes:
    exif = block()
    exif.endian = endian
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("source", [".jpg", ".webp", ".png", ".tif"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
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


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize(("depth", "alpha"), [(8, False), (8, True), (16, False), (16, True)])
def test_tiff_results_have_the_block_of_either_byte_order_and_the_same_pixels(
    tmp_path: Path, endian: str, depth: int, alpha: bool
) -> None:
    rng = np.random.default_rng(0)
    pixels, opacity = rng.random((200, 300, 3), np.float32), rng.random((200, 300), np.float32)
    given: dict[str, Any] = {"depth": depth, "alpha": opacity if alpha else None}
    kept = Metadata(exif=tiff_block(endian), xmp=XMP)
    write_image(tmp_path / "plain.tif", pixels, **given)
    write_image(tmp_path / "kept.tif", pixels, **given, metadata=kept)
    plain, found = (decode(tmp_path / f"{name}.tif") for name in ("plain", "kept"))
    assert np.array_equal(plain.pixels, found.pixels)
    assert (plain.alpha is None) is not alpha
    assert alpha is False or np.array_equal(plain.alpha, found.alpha)
    with Image.open(tmp_path / "kept.tif") as image:
        exif = image.getexif()
        assert (exif[271], exif[274], exif[306], exif[700]) == ("Drone", 1, TAKEN, adapted(kept, 1, 1).xmp)
        assert exif.get_ifd(34665)[40962] == 300
        assert tuple(map(float, exif.get_ifd(34853)[2])) == POSITION
    again = found.metadata
    assert (again.xmp, again.exif is None) == (adapted(kept, 1, 1).xmp, False)


def test_damaged_blocks_of_tiff_files_are_bounded_and_never_raise(tmp_path: Path) -> None:
    _, vi = write_pair(tmp_path, ".tif")
    data = vi.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(300):
        mutated = bytearray(data)
        for at in (*rng.integers(0, 400, 3), *rng.integers(len(data) - 400, len(data), 6)):
            mutated[at] = rng.integers(256)
        found = read_metadata("TIFF", b"II*\0" + bytes(mutated[4:])).exif
        assert found is None or len(found) <= MAX_BLOCK
        if found is not None:
            block = adapted(Metadata(exif=found), 3, 4).exif
            assert block is None or with_fields(memoryview(data), block, {})


def test_entries_that_each_span_the_file_do_not_add_up(tmp_path: Path) -> None:
    count, size = 500, 60_000
    entries = b"".join(struct.pack("<HHII", 34665 + 188 * (n % 2), 4, 1, 8) for n in range(count))
    entries += b"".join(struct.pack("<HHII", tag, 2, size, 8) for tag in (270, 271, 272, 305, 306))
    data = struct.pack("<4sIH", b"II*\0", 8, count + 5) + entries + bytes(4 + size)
    assert read_metadata("TIFF", data).exif is None


def test_strip_drops_the_metadata(tmp_path: Path) -> None:
    pair = Fuser("average").read(*write_pair(tmp_path, ".jpg"))
    FusedImage(tmp_path / "out.jpg", strip=True).write(tmp_path / "out.jpg", pair, pair.visible.pixels)
    assert b"Exif" not in (tmp_path / "out.jpg").read_bytes()
    FusedImage(tmp_path / "out.png").write(tmp_path / "kept.jpg", pair, pair.visible.pixels)
    assert b"Exif" in (tmp_path / "kept.jpg").read_bytes()


def test_formats_without_metadata_say_that_it_is_dropped(tmp_path: Path) -> None:
    result = Fuser("average").fuse_files(*write_pair(tmp_path, ".jpg"), tmp_path / "out.bmp")
    assert "visible: its EXIF and XMP are dropped, .bmp files are written without" in result.notes


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


def write_thermal(folder: Path, **parts: Any) -> tuple[Path, Path]:
    """A thermal JPEG file with metadata, and a visible image without."""
    ir, vi = folder / "ir.jpg", folder / "vi.png"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(ir, exif=block(), xmp=XMP)
    Image.fromarray(pixels).convert("RGB").save(vi, **parts)
    return ir, vi


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_position_and_time_of_the_thermal_file_arrive_where_the_visible_has_none(
    tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    result = Fuser("average").fuse_files(*write_thermal(tmp_path), out)
    assert not any("dropped" in note for note in result.notes)
    with Image.open(out) as image:
        image.load()
        exif = image.getexif()
        assert (exif[271], exif[306], exif.get(274, 1)) == ("Drone", TAKEN, 1)
        assert exif.get_ifd(34665)[36867] == TAKEN
        assert tuple(map(float, exif.get_ifd(34853)[2])) == POSITION
        assert b"Altitude" in image.info.get("xmp", b"")
    pair = Fuser("average").read(*write_thermal(tmp_path))
    FusedImage(out, strip=True).write(out, pair, pair.visible.pixels)
    with Image.open(out) as image:
        assert not image.getexif().get_ifd(34853)


def test_what_the_visible_states_stays_and_only_what_it_lacks_is_added(tmp_path: Path) -> None:
    own = Image.Exif()
    own[271], own[272] = "Camera", "Model"
    own.get_ifd(34665)[36867] = "1999:01:01 00:00:00"
    own.get_ifd(34853).update({1: "N"})  # a position without latitude
    pair = Fuser("average").read(*write_thermal(tmp_path, exif=own))
    found = Image.Exif()
    found.load(b"Exif\0\0" + (pair.visible.metadata.exif or b""))
    assert (found[271], found[272]) == ("Camera", "Model")
    assert found.get_ifd(34665)[36867] == "1999:01:01 00:00:00"
    assert tuple(map(float, found.get_ifd(34853)[2])) == POSITION
    assert pair.visible.metadata.xmp is None


@pytest.mark.parametrize("order", ["II", "MM"])
def test_blocks_of_both_byte_orders_are_completed_from_each_other(order: str) -> None:
    source = Image.Exif()
    source.endian = "<" if order == "MM" else ">"
    source[272] = "Thermal camera"
    source.get_ifd(34665).update({36867: TAKEN, 37386: 9.1, 41989: 40})
    source.get_ifd(34853).update({1: "S", 2: POSITION, 3: "E", 4: (8.0, 30.0, 0.25), 5: b"\1", 6: 29.5})
    target = Image.Exif()
    target.endian = "<" if order == "II" else ">"
    target[315] = "An artist"
    blocks = [exif.tobytes().removeprefix(b"Exif\0\0") for exif in (target, source)]
    assert blocks[0][:2] == order.encode() != blocks[1][:2]
    done = completed(*blocks, lens=True)
    found = Image.Exif()
    found.load(b"Exif\0\0" + (done or b""))
    assert (found[315], found[272]) == ("An artist", "Thermal camera")
    assert float(found.get_ifd(34665)[37386]) == pytest.approx(9.1)
    assert found.get_ifd(34665)[41989] == 40
    assert tuple(map(float, found.get_ifd(34853)[2])) == POSITION
    assert 37386 not in read_exif(completed(*blocks, lens=False)).photo
    assert completed(done, blocks[1], lens=True) is done  # nothing is left to add


def test_damaged_blocks_are_completed_or_left_alone() -> None:
    exif = block().tobytes().removeprefix(b"Exif\0\0")
    rng = np.random.default_rng(1)
    for _ in range(300):
        pair = [bytearray(exif), bytearray(exif)]
        for data in pair:
            for at in rng.integers(4, len(data), 5):
                data[at] = rng.integers(256)
        done = completed(bytes(pair[0]), bytes(pair[1]), lens=True)
        assert done is not None
        assert len(done) <= MAX_BLOCK
    rational = struct.pack("<IHHHIII", 8, 1, 34665, 5, 1, 26, 0)
    odd = b"II*\0" + rational + struct.pack("<II", 7, 0)  # the directory of EXIF at 7 / 0
    assert read_exif(odd).photo == {}


def test_temperature_rasters_state_position_and_time(tmp_path: Path) -> None:
    out = tmp_path / "t.tiff"
    options = ThermalOptions(scale="0.1C")
    raster = TemperatureRaster(out)
    Fuser("average", thermal=options).fuse_files(*write_thermal(tmp_path), tmp_path / "o.png", extra=[raster])
    with Image.open(out) as image:
        assert image.mode == "F"
        exif = image.getexif()
        assert tuple(map(float, exif.get_ifd(34853)[2])) == POSITION
        assert exif.get_ifd(34665)[36867] == TAKEN
