"""Compressed blocks of TIFF files that state more pixels than the file: one line, and no memory for them."""

from __future__ import annotations

import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ivfuse.errors import InputError
from ivfuse.image.decode import decode

imagecodecs = pytest.importorskip("imagecodecs", reason="of the extra formats")
tifffile = pytest.importorskip("tifffile", reason="of the extra formats")

GRAY = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
DEEP = GRAY.astype(np.uint16) * 200
KINDS = {"group3": "Group 3", "group4": "Group 4", "tiff_ccitt": "RLE"}
HUGE = (60_000, 40_000)  # 2.4 billion pixels


def tiff(path: Path, compression: int, block: bytes, bits: int = 8, samples: int = 1, **tags: int) -> Path:
    """A file of 64x48 pixels in one strip, or in one tile of another size."""
    fields = {256: 64, 257: 48, 258: bits, 259: compression, 262: 2 if samples > 1 else 1, 277: samples}
    tile = {322: tags["tile"], 323: tags["tile"], 324: 8, 325: len(block)} if "tile" in tags else {}
    fields |= tile or {273: 8, 278: 48, 279: len(block)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    block += bytes(len(block) % 2)
    link = struct.pack("<I", 8 + len(block))
    path.write_bytes(b"II*\0" + link + block + struct.pack("<H", len(fields)) + entries + bytes(4))
    return path


def jpeg_2000(kind: str, size: tuple[int, int], samples: int = 1) -> bytes:
    block = bytearray(imagecodecs.jpeg2k_encode(DEEP, codecformat=kind))
    at = block.index(b"\xff\x51")
    struct.pack_into(">2I", block, at + 6, *size)
    struct.pack_into(">H", block, at + 38, samples)
    return bytes(block)


def lerc(size: tuple[int, int], depth: int = 1, bands: int = 1) -> bytes:
    block = bytearray(imagecodecs.lerc_encode(GRAY))
    struct.pack_into("<3i", block, 14, *size[::-1], depth)
    return bytes(block) * bands


def jpeg_xl(*fields: tuple[int, int], boxed: bool = False) -> bytes:
    """The beginning of a JPEG XL image: fields of bits, the lowest first."""
    value = at = 0
    for field, bits in fields:
        value |= field << at
        at += bits
    code = b"\xff\x0a" + value.to_bytes(16, "little")
    return (
        struct.pack(">I4s4x", 12, b"JXL ") + struct.pack(">I4s", 8 + len(code), b"jxlc") + code
        if boxed
        else code
    )


@pytest.mark.parametrize(
    ("compression", "block", "words"),
    [
        (34712, jpeg_2000("j2k", HUGE), "states 60000x40000 pixels"),
        (34712, jpeg_2000("jp2", HUGE), "states 60000x40000 pixels"),
        (33005, jpeg_2000("j2k", (64, 48), 16_000), "64x48 pixels of 16000 samples"),
        (34712, b"\xff\x4f\xff\x52" + bytes(80), "no JPEG 2000 data"),
        (34712, struct.pack(">I4sQ", 1, b"ftyp", 0) * 3, "no JPEG 2000 data"),
        (34887, lerc(HUGE), "states 60000x40000 pixels"),
        (34887, lerc((64, 48), depth=1_000_000), "64x48 pixels of 1000000 samples"),
        (34887, lerc((64, 48), bands=9000), "64x48 pixels of 9000 samples"),
        (34887, lerc((-1, -1)), "a block with a side of -1"),
        (34887, b"CntZImage " + struct.pack("<4i", 11, 8, *HUGE[::-1]), "states 60000x40000 pixels"),
        (34887, imagecodecs.zstd_encode(lerc(HUGE)), "states 60000x40000 pixels"),
        (34887, imagecodecs.zlib_encode(lerc(HUGE)), "states 60000x40000 pixels"),
        (34887, imagecodecs.zstd_encode(bytes(10**7)), "LERC data of 10000000 bytes"),
        (34887, imagecodecs.zlib_encode(bytes(10**7)), "LERC data of more than"),
        (34887, b"none of these", "no LERC data"),
        (50002, jpeg_xl((0, 1), (2, 2), (39_999, 18), (0, 3), (2, 2), (59_999, 18)), "60000x40000 pixels"),
        (50002, jpeg_xl((0, 1), (3, 2), (2**30 - 1, 30), (7, 3)), "2147483648x1073741824 pixels"),
        (52546, jpeg_xl((1, 1), (31, 5), (5, 3), boxed=True), "455x256 pixels"),
        (50002, b"\xff\x0a", "damaged TIFF file"),
        (50001, b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xff\xff\x0f\xff\xff\x0f", "1048576x1048576 pixels"),
    ],
)  # fmt: skip
def test_a_block_of_more_pixels_than_the_file_is_refused(
    tmp_path: Path, compression: int, block: bytes, words: str
) -> None:
    path = tiff(tmp_path / "a.tif", compression, block)
    with pytest.raises(InputError, match=words) as found:
        decode(path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("compression", [2, 3, 4, 5, 34712, 50000])
def test_tiles_that_are_far_larger_than_their_image_are_refused(tmp_path: Path, compression: int) -> None:
    with pytest.raises(InputError, match="tiles of 65536x65536"):
        decode(tiff(tmp_path / "a.tif", compression, bytes(80), bits=1, tile=65_536))


@pytest.mark.parametrize("compression", [22610, 34933])
def test_compressions_of_images_that_are_not_checked_are_refused(tmp_path: Path, compression: int) -> None:
    with pytest.raises(InputError, match=f"compression {compression}.* is not supported"):
        decode(tiff(tmp_path / "a.tif", compression, imagecodecs.png_encode(GRAY)))


@pytest.mark.parametrize("codec", ["jpeg2000", "jpegxl", "lerc", "webp"])
@pytest.mark.parametrize("layout", [{}, {"tile": (32, 32)}, {"rowsperstrip": 13}])
def test_strips_and_tiles_of_their_size_are_decoded(
    tmp_path: Path, codec: str, layout: dict[str, object]
) -> None:
    if codec == "jpegxl" and not imagecodecs.JPEGXL.available:
        pytest.skip("this imagecodecs was built without JPEG XL")
    values = np.dstack([GRAY] * 3)
    lossless = {} if codec == "lerc" else {"compressionargs": {"lossless": True}}
    lossless = {"compressionargs": {"reversible": True}} if codec == "jpeg2000" else lossless
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", compression=codec, **lossless, **layout)
    assert np.array_equal(decode(tmp_path / "a.tif").pixels, values)


@pytest.mark.parametrize("kind", ["group3", "group4", "tiff_ccitt"])
def test_damaged_fax_data_is_one_line_at_most(tmp_path: Path, kind: str, capfd: object) -> None:
    noise = np.random.default_rng(0)
    file = BytesIO()
    Image.fromarray(noise.random((97, 120)) > 0.5).save(file, "TIFF", compression=kind)
    outcomes = set()
    for _ in range(60):
        data = bytearray(file.getvalue())
        data[noise.integers(8, len(data) - 200)] ^= 1 << noise.integers(8)
        (tmp_path / "a.tif").write_bytes(data)
        try:
            assert decode(tmp_path / "a.tif").pixels.shape == (97, 120)
            outcomes.add("decoded")
        except InputError as error:
            outcomes.add(str(error).split(",")[0].removeprefix(f"{tmp_path / 'a.tif'}: found "))
    assert outcomes <= {"decoded", f"a damaged TIFF file with compression CCITT {KINDS[kind]}"}
    assert len(outcomes) == 2
    assert capfd.readouterr() == ("", "")  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")
def test_no_memory_is_taken_for_what_a_block_states(tmp_path: Path) -> None:
    paths = [
        tiff(tmp_path / "a.tif", 34712, jpeg_2000("j2k", HUGE), bits=16),
        tiff(tmp_path / "b.tif", 34887, imagecodecs.lerc_encode(np.zeros((20_000, 5000), np.uint8))),
    ]
    code = (
        "import resource, sys; import imagecodecs, tifffile; from pathlib import Path\n"
        "from ivfuse.errors import InputError; from ivfuse.image.decode import decode\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: decode(Path(path)); raise SystemExit('decoded')\n"
        "    except InputError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50_000  # KB
