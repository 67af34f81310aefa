"""Images of ROS messages as arrays, and as planes of video frames.

Sources: the definitions of ``sensor_msgs`` (Image, CompressedImage) and its header ``image_encodings``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import IvfuseError
from ivfuse.image.color import extended
from ivfuse.image.decode import decode_bytes
from ivfuse.image.formats import sniff
from ivfuse.image.headers import BadFileError, read_header
from ivfuse.runtime.limits import pixel_limit
from ivfuse.video.bags.bag import COMPRESSED_IMAGE, BadMessageError
from ivfuse.video.frame import Plane
from ivfuse.video.source import Modality


class Encoding(NamedTuple):
    """How the pixels of an encoding are stored.

    Attributes:
        type: of a sample: ``u1``, ``u2`` or ``f4``.
        samples: per pixel.
        conversion: name of OpenCV's conversion to R, G, B; "" for gray and for R, G, B.
    """

    type: str
    samples: int = 1
    conversion: str = ""

    @property
    def is_color(self) -> bool:
        """Whether the decoded image has three channels."""
        return self.samples == 3 or bool(self.conversion)


ENCODINGS = {
    "mono8": Encoding("u1"),
    "8UC1": Encoding("u1"),
    "mono16": Encoding("u2"),
    "16UC1": Encoding("u2"),
    "32FC1": Encoding("f4"),
    "8UC3": Encoding("u1", 3, "BGR2RGB"),
    "8UC4": Encoding("u1", 4, "BGRA2RGB"),
    **{f"rgb{bits}": Encoding(f"u{bits // 8}", 3) for bits in (8, 16)},
    **{f"bgr{bits}": Encoding(f"u{bits // 8}", 3, "BGR2RGB") for bits in (8, 16)},
    **{f"rgba{bits}": Encoding(f"u{bits // 8}", 4, "RGBA2RGB") for bits in (8, 16)},
    **{f"bgra{bits}": Encoding(f"u{bits // 8}", 4, "BGRA2RGB") for bits in (8, 16)},
    **{
        f"bayer_{order}{bits}": Encoding(f"u{bits // 8}", 1, f"Bayer{order.upper()}2RGB")
        for order in ("rggb", "bggr", "gbrg", "grbg")
        for bits in (8, 16)
    },
    **dict.fromkeys(("yuv422", "uyvy"), Encoding("u1", 2, "YUV2RGB_UYVY")),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), Encoding("u1", 2, "YUV2RGB_YUYV")),
}


class ImageFacts(NamedTuple):
    """What an image message states.

    Attributes:
        encoding: such as ``16UC1`` or ``jpeg``.
        width: in pixels.
        height: in pixels.
        color: whether it has color.
        deep: whether a sample has more than 8 bits.
    """

    encoding: str
    width: int
    height: int
    color: bool
    deep: bool


def describe_image(kind: str, message: Any) -> ImageFacts:
    """Read the facts of an image message without decoding it.

    Args:
        kind: type of the message.
        message: its fields.

    Raises:
        BadMessageError: if it contains no image of a supported encoding.
    """
    if kind != COMPRESSED_IMAGE:
        encoding = _encoding_of(message)
        deep = encoding.type != "u1"
        return ImageFacts(message.encoding, message.width, message.height, encoding.is_color, deep)
    name, data = _compressed(message)
    try:
        header = read_header(name, data)
    except BadFileError as error:
        raise BadMessageError(f"found {error}") from error
    return ImageFacts(name.lower(), header.width, header.height, header.samples >= 3, header.bits > 8)


def decode_image(kind: str, message: Any) -> NDArray[Any]:
    """Decode an image message.

    Args:
        kind: type of the message.
        message: its fields.

    Returns:
        (H, W) or (H, W, 3) in R, G, B order; uint8, uint16, or float32 (gray only). May be a view of the
        message.

    Raises:
        BadMessageError: if it contains no complete image of a supported encoding.
    """
    try:
        return _decode_compressed(message) if kind == COMPRESSED_IMAGE else _decode_raw(message)
    except BadMessageError:
        raise
    except (BadFileError, IvfuseError) as error:
        raise BadMessageError(f"found {error}") from error


def to_planes(pixels: NDArray[Any], modality: Modality) -> tuple[Plane, ...]:
    """The planes of a video frame.

    Args:
        pixels: as :func:`decode_image` returns them.
        modality: ``ir`` for one plane of the same type, ``vi`` for 8-bit Y, or Y, U and V (BT.601, full range
            and resolution).

    Raises:
        BadMessageError: if a visible image holds floats, or a thermal one no finite value.
    """
    import cv2

    if modality == "ir":
        return (_finite(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels),)
    if pixels.dtype.kind == "f":
        raise BadMessageError("found floats in a visible image, expected 8 or 16 bit")
    if pixels.dtype != np.uint8:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    if pixels.ndim == 2:
        return (np.ascontiguousarray(pixels),)
    y, v, u = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))
    return np.asarray(y), np.asarray(u), np.asarray(v)


def _decode_raw(message: Any) -> NDArray[Any]:
    """The pixels of an Image, whose rows may be padded."""
    import cv2

    encoding = _encoding_of(message)
    height, width, step = message.height, message.width, message.step
    if height < 1 or width < 1 or height * width > pixel_limit():
        limit = f"{pixel_limit() / 10**6:g} megapixels"
        raise BadMessageError(f"found {width}x{height} pixels, expected 1x1 up to {limit}")
    row = width * encoding.samples * int(encoding.type[1])
    step = step or row
    if step < row or len(message.data) < step * height:
        found = f"{len(message.data)} bytes in rows of {step}"
        raise BadMessageError(
            f"found {found} for {width}x{height} {message.encoding}, expected {row} or more"
        )
    rows = np.asarray(message.data)[: step * height].reshape(height, step)[:, :row]
    stored = np.dtype(encoding.type).newbyteorder(">" if message.is_bigendian else "<")
    samples = np.ascontiguousarray(rows).view(stored).astype(stored.newbyteorder("="), copy=False)
    pixels = samples if encoding.samples == 1 else samples.reshape(height, width, encoding.samples)
    if not encoding.conversion:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{encoding.conversion}")))
    except cv2.error as error:  # such as an odd width of YUV 4:2:2
        raise BadMessageError(
            f"found {width}x{height} pixels, which {message.encoding} cannot have"
        ) from error


def _decode_compressed(message: Any) -> NDArray[Any]:
    name, data = _compressed(message)
    decoded = decode_bytes(name, data, upright=False)
    pixels = decoded.pixels
    if pixels.ndim == 3 and decoded.bgr:
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels)


def _compressed(message: Any) -> tuple[str, bytes]:
    """The name of the file format in a CompressedImage, and the bytes of the file."""
    if "compresseddepth" in message.format.lower():
        raise BadMessageError("found a compressedDepth image, which holds distances, expected an image")
    data = message.data.tobytes()
    name = sniff(data[:16])
    if name not in ("JPEG", "PNG"):
        raise BadMessageError(f"found a compressed image {_quoted(message.format)}, expected jpeg or png")
    return name, data


def _encoding_of(message: Any) -> Encoding:
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        known = "mono, rgb, bgr, bayer or yuv422 of 8 or 16 bit, or 32FC1"
        raise BadMessageError(f"found the encoding {_quoted(message.encoding)}, expected {known}")
    return encoding


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _finite(values: NDArray[Any]) -> Plane:
    """The values, with those that are not finite replaced by their nearest neighbors."""
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values)
    valid = np.isfinite(values)
    if valid.all():
        return np.ascontiguousarray(values)
    if not valid.any():
        raise BadMessageError("found no finite value in a thermal image")
    return np.ascontiguousarray(extended(np.where(valid, values, 0).astype(np.float32), valid))
