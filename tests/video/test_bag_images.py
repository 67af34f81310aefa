"""Images in messages of robots: encodings, byte orders, padding, and what is refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.video.bags.bag import BadMessageError
from ivfuse.video.bags.images import decode_image, describe_image, to_planes

COLOR = np.array([200, 120, 40])  # R, G, B
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@pytest.fixture
def messages(bags: Any) -> Any:
    return bags.Messages()


def ramp(dtype: Any) -> Any:
    values = np.arange(6 * 8).reshape(6, 8) * 5
    return values.astype(dtype) * np.array(150 if np.dtype(dtype).itemsize == 2 else 1, dtype)


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [("mono8", "u1"), ("8UC1", "u1"), ("mono16", "u2"), ("16UC1", "u2"), ("32FC1", "f4")],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_values_are_kept_in_both_byte_orders(
    messages: Any, encoding: str, dtype: str, order: str
) -> None:
    pixels = ramp(dtype)
    stored = pixels.astype(np.dtype(dtype).newbyteorder(order))
    found = decode_image(IMAGE, messages.image(1, stored, encoding, is_bigendian=int(order == ">")))
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    ("encoding", "channels"),
    [
        ("rgb8", (0, 1, 2)),
        ("bgr8", (2, 1, 0)),
        ("8UC3", (2, 1, 0)),
        ("rgba8", (0, 1, 2, 0)),
        ("bgra8", (2, 1, 0, 0)),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_color_comes_out_as_red_green_blue_without_the_padding_of_rows(
    messages: Any, encoding: str, channels: tuple[int, ...], padding: int
) -> None:
    color = np.broadcast_to(COLOR, (6, 8, 3)).astype(np.uint8) + ramp("u1")[..., None] // 8
    rows = color[..., list(channels)].reshape(6, -1)
    padded = np.hstack([rows, np.full((6, padding), 99, np.uint8)])
    message = messages.image(1, padded, encoding, width=8, step=padded.shape[1])
    assert np.array_equal(decode_image(IMAGE, message), color)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_their_color(messages: Any, order: str, bits: int) -> None:
    level = {"r": COLOR[0], "g": COLOR[1], "b": COLOR[2]}
    tile = np.array([[level[order[0]], level[order[1]]], [level[order[2]], level[order[3]]]])
    mosaic = np.tile(tile * (257 if bits == 16 else 1), (6, 8)).astype(f"u{bits // 8}")
    found = decode_image(IMAGE, messages.image(1, mosaic, f"bayer_{order}{bits}"))
    assert np.array_equal(found[4, 4] // (257 if bits == 16 else 1), COLOR)


@pytest.mark.parametrize(
    ("encoding", "layout"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")]
)
def test_yuv_of_cameras_gives_its_color(messages: Any, encoding: str, layout: str) -> None:
    r, g, b = COLOR / 255  # BT.601, limited range
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    y, u, v = 16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402
    pixel = {"uyvy": [u, y, v, y], "yuyv": [y, u, y, v]}[layout]
    rows = np.tile(np.rint(pixel), (6, 4)).astype(np.uint8)
    found = decode_image(IMAGE, messages.image(1, rows, encoding, width=8))
    assert np.abs(found[3, 3].astype(int) - COLOR).max() <= 2  # rounding of Y, U and V


def test_compressed_images_keep_their_depth_and_color(messages: Any) -> None:
    counts = ramp("u2")
    assert np.array_equal(decode_image(COMPRESSED, messages.compressed(1, counts, "png")), counts)
    color = np.broadcast_to(COLOR[::-1], (16, 16, 3)).astype(np.uint8)  # B, G, R
    for kind, tolerance in (("png", 0), ("jpeg", 3)):
        found = decode_image(COMPRESSED, messages.compressed(1, color, kind))
        assert np.abs(found[8, 8].astype(int) - COLOR).max() <= tolerance
    facts = describe_image(COMPRESSED, messages.compressed(1, counts, "png"))
    assert (facts.encoding, facts.width, facts.height, facts.color, facts.deep) == ("png", 8, 6, False, True)


def test_planes_of_a_thermal_are_its_values_and_those_of_a_visible_eight_bit() -> None:
    counts = ramp("u2")
    assert np.array_equal(to_planes(counts, "ir")[0], counts)
    (gray,) = to_planes(np.full((4, 4), 65535, np.uint16), "vi")
    assert gray.dtype == np.uint8
    assert gray.min() == 255
    y, u, v = to_planes(np.broadcast_to(COLOR, (4, 4, 3)).astype(np.uint8), "vi")
    back = cv2.cvtColor(cv2.merge((y, v, u)), cv2.COLOR_YCrCb2RGB)
    assert np.abs(back[0, 0].astype(int) - COLOR).max() <= 2
    degrees = np.array([[20.0, np.nan], [21, 22]], np.float32)
    assert np.isfinite(to_planes(degrees, "ir")[0]).all()
    with pytest.raises(BadMessageError, match="no finite value"):
        to_planes(degrees * np.nan, "ir")
    with pytest.raises(BadMessageError, match="floats in a visible image"):
        to_planes(degrees, "vi")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"height": 4_000_000_000, "width": 4_000_000_000}, "expected 1x1 up to"),
        ({"height": 0}, "8x0 pixels"),
        ({"height": 7}, "48 bytes in rows of 8 for 8x7 mono8"),
        ({"step": 3}, "in rows of 3"),
        ({"encoding": "64FC1"}, "encoding '64FC1', expected mono"),
        ({"encoding": "x" * 5000}, r"xxx\.\.\.'"),
        ({"encoding": "yuv422", "width": 3}, "3x6 pixels, which yuv422 cannot have"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    messages: Any, changes: dict[str, Any], complaint: str
) -> None:
    message = messages.image(1, ramp("u1"), "mono8")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(BadMessageError, match=complaint):
        decode_image(IMAGE, message)


def test_other_compressions_are_refused_by_name(messages: Any) -> None:
    depth = messages.compressed(1, ramp("u2"), "png", format="16UC1; compressedDepth png")
    with pytest.raises(BadMessageError, match="compressedDepth"):
        decode_image(COMPRESSED, depth)
    other = messages.compressed(1, ramp("u1"), "png", format="h264", data=np.arange(50, dtype=np.uint8))
    with pytest.raises(BadMessageError, match="'h264', expected jpeg or png"):
        decode_image(COMPRESSED, other)
    cut = messages.compressed(1, ramp("u2"), "png")
    cut.data = cut.data[:40]
    with pytest.raises(BadMessageError, match="PNG"):
        decode_image(COMPRESSED, cut)
