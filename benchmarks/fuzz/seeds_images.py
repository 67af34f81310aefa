"""Images: every depth, compression and container that the readers know, with EXIF, XMP and color profiles."""

from __future__ import annotations

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from fuzz.seeds import seeds
from ivfuse.synthetic.street import street_scene

HEIGHT, WIDTH = 36, 48
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="1"/></x:xmpmeta>'


def color(seed: int = 0) -> NDArray[np.uint8]:
    """A visible image, (H, W, 3) in R, G, B order."""
    return np.asarray(np.rint(street_scene(HEIGHT, WIDTH, seed).vi * 255), np.uint8)


def counts(seed: int = 0) -> NDArray[np.uint16]:
    """A thermal image in centikelvin, (H, W)."""
    return np.asarray(np.rint(27_500 + 3_500 * street_scene(HEIGHT, WIDTH, seed).ir), np.uint16)


def saved(image: Any, kind: str, **options: Any) -> bytes:
    """An image as Pillow encodes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif() -> bytes:
    """An EXIF block with an orientation, a maker and a position."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x0132] = 6, "Invented", "2024:01:01 12:00:00"
    tags[0x8825] = {1: "N", 2: (48.0, 8.0, 1.5)}
    return tags.tobytes()


def profile() -> bytes:
    """A color profile, of the sRGB primaries."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@seeds("images")
def png() -> dict[str, bytes]:
    visible, thermal = color(), counts()
    gray = Image.fromarray(visible[..., 1])
    deep = np.dstack([thermal] * 3)
    with_text = {"exif": exif(), "icc_profile": profile()}
    return {
        "gray-8.png": saved(gray, "PNG"),
        "gray-1.png": saved(gray.convert("1"), "PNG"),
        "gray-alpha.png": saved(gray.convert("LA"), "PNG"),
        "gray-16.png": cv2.imencode(".png", thermal)[1].tobytes(),
        "color-8.png": saved(Image.fromarray(visible), "PNG", **with_text),
        "color-alpha.png": saved(Image.fromarray(visible).convert("RGBA"), "PNG"),
        "color-16.png": cv2.imencode(".png", deep)[1].tobytes(),
        "palette.png": saved(Image.fromarray(visible).quantize(16), "PNG", bits=4, transparency=3),
        "animated.png": saved(gray, "PNG", save_all=True, append_images=[gray.rotate(90)]),
    }


@seeds("images")
def jpeg() -> dict[str, bytes]:
    image = Image.fromarray(color())
    everything = {"exif": exif(), "icc_profile": profile(), "xmp": XMP}
    return {
        "color.jpg": saved(image, "JPEG", quality=90),
        "gray.jpg": saved(image.convert("L"), "JPEG"),
        "progressive.jpg": saved(image, "JPEG", progressive=True, subsampling=0),
        "inks.jpg": saved(image.convert("CMYK"), "JPEG"),
        "restarts.jpg": saved(image, "JPEG", restart_marker_blocks=2),
        "metadata.jpg": saved(image, "JPEG", **everything),
    }


@seeds("images")
def others() -> dict[str, bytes]:
    image = Image.fromarray(color())
    everything = {"exif": exif(), "icc_profile": profile(), "xmp": XMP}
    return {
        "color.bmp": saved(image, "BMP"),
        "gray.bmp": saved(image.convert("L"), "BMP"),
        "palette.bmp": saved(image.quantize(16), "BMP"),
        "runs.bmp": run_length_bmp(),
        "lossy.webp": saved(image, "WEBP", **everything),
        "lossless.webp": saved(image.convert("RGBA"), "WEBP", lossless=True),
        "animated.webp": saved(image, "WEBP", save_all=True, append_images=[image.rotate(180)]),
        "gray.pgm": saved(image.convert("L"), "PPM"),
        "color.ppm": saved(image, "PPM"),
    }


def run_length_bmp() -> bytes:
    """8-bit BMP with run-length encoding (RLE8), one run per row."""
    palette = b"".join(bytes([level] * 3 + [0]) for level in range(256))
    rows = b"".join(bytes([WIDTH, 5 * row, 0, 0]) for row in range(HEIGHT)) + b"\0\1"
    size = (WIDTH, HEIGHT, 1, 8, 1, len(rows), 2835, 2835, 256, 0)
    start = 54 + len(palette)
    header = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start)
    return header + struct.pack("<IiiHHIIiiII", 40, *size) + palette + rows


@seeds("images")
def tiff() -> dict[str, bytes]:
    """Sample types, compressions, predictors, byte orders, tiles, planes, palettes, pyramids and no-data."""
    thermal, visible = counts(), color()
    made: dict[str, bytes] = {}
    for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"):
        made[f"{name}.tif"] = tiff_of((thermal.astype("f8") / 300).astype(name))
    for packing in ("lzw", "deflate", "packbits", "zstd", "lzma"):
        made[f"{packing}.tif"] = tiff_of(thermal, compression=packing)
        made[f"{packing}-predictor.tif"] = tiff_of(
            visible, compression=packing, predictor=packing != "packbits"
        )
    made["float-predictor.tif"] = tiff_of(thermal.astype("f4"), compression="deflate", predictor=3)
    made["big-endian.tif"] = tiff_of(thermal, byteorder=">")
    made["big.tif"] = tiff_of(thermal, bigtiff=True)
    made["tiles.tif"] = tiff_of(thermal, tile=(16, 16), compression="deflate")
    made["planes.tif"] = tiff_of(
        np.moveaxis(visible, 2, 0).copy(), photometric="rgb", planarconfig="separate"
    )
    made["alpha.tif"] = tiff_of(np.dstack([visible, visible[..., :1]]), photometric="rgb", extrasamples=[2])
    made["jpeg.tif"] = tiff_of(visible, compression="jpeg", photometric="rgb")
    made["webp.tif"] = tiff_of(visible, compression="webp", photometric="rgb")
    made["jpegxl.tif"] = tiff_of(visible, compression="jpegxl", photometric="rgb")
    made["jpeg2000.tif"] = tiff_of(thermal, compression="jpeg2000")
    made["lerc.tif"] = tiff_of(thermal.astype("f4"), compression="lerc")
    made["nodata.tif"] = tiff_of(thermal.astype("f4"), extratags=[(42113, 2, 0, "-10000", True)])
    made["packed-12.tif"] = tiff_of(thermal >> 4, bitspersample=12)
    made["fax.tif"] = saved(Image.fromarray(visible).convert("1"), "TIFF", compression="group4")
    made["palette.tif"] = saved(Image.fromarray(visible).quantize(16), "TIFF")
    made["pages.tif"] = saved(
        Image.fromarray(thermal), "TIFF", save_all=True, append_images=[Image.fromarray(thermal)]
    )
    made["pyramid.tif"] = pyramid()
    return made


def tiff_of(array: NDArray[Any], **options: Any) -> bytes:
    """An array as tifffile writes it."""
    import tifffile

    file = io.BytesIO()
    options = {"photometric": "rgb" if array.ndim == 3 else "minisblack"} | options
    big = {name: options.pop(name) for name in ("bigtiff", "byteorder") if name in options}
    with tifffile.TiffWriter(file, **big) as writer:
        writer.write(array, metadata=None, **options)
    return file.getvalue()


def pyramid() -> bytes:
    """A thumbnail first, the full image as the next page and a reduced one as its sub-directory."""
    import tifffile

    file, full = io.BytesIO(), counts()
    with tifffile.TiffWriter(file) as writer:
        writer.write(full[::4, ::4].copy(), subfiletype=1, metadata=None)
        writer.write(full, subifds=1, metadata=None)
        writer.write(full[::2, ::2].copy(), subfiletype=1, metadata=None)
    return file.getvalue()
