"""The fused luma replaces that of the visible, and the colors stay."""

from __future__ import annotations

import numpy as np
import pytest

from ivfuse.errors import ShapeError
from ivfuse.image.color import luma, recolor
from ivfuse.video.frame import Frame, concatenate_frames, decode_luma, encode_luma, gray_frame, replace_luma
from ivfuse.video.frame_conversion import to_av_frame, to_bgr


def frame_of(y: int, u: int, v: int, *, limited: bool = False, matrix: int = 6) -> Frame:
    planes = np.full((8, 12), y, np.uint8), np.full((4, 6), u, np.uint8), np.full((4, 6), v, np.uint8)
    return Frame(planes, 0.5, 7, limited, matrix)


@pytest.mark.parametrize("limited", [True, False])
def test_every_level_survives_the_round_trip_through_luma(limited: bool) -> None:
    low, high = (16, 235) if limited else (0, 255)
    levels = np.arange(low, high + 1, dtype=np.uint8)[np.newaxis]
    gray = decode_luma(Frame((levels,), 0, 0, limited))
    assert (gray.min(), gray.max()) == (0, 1)
    np.testing.assert_array_equal(encode_luma(gray, limited), levels)


def test_a_new_luma_is_written_in_the_range_of_the_frame() -> None:
    frame = frame_of(120, 110, 150, limited=True)
    out = replace_luma(frame, np.full((8, 12), 147, np.uint8))
    assert out.planes[0][0, 0] == 147
    gain = ((147 - 16) / 219 + 0.1) / ((120 - 16) / 219 + 0.1)
    assert [int(plane[0, 0]) for plane in out.planes[1:]] == [
        round(128 + gain * (level - 128)) for level in (110, 150)
    ]


def test_colors_of_an_unchanged_luma_are_kept_bit_for_bit() -> None:
    frame = frame_of(120, 110, 150, limited=True)
    out = replace_luma(frame, frame.planes[0])
    np.testing.assert_array_equal(out.planes[0], frame.planes[0])
    np.testing.assert_array_equal(out.planes[1], frame.planes[1])
    np.testing.assert_array_equal(out.planes[2], frame.planes[2])
    assert (out.time, out.index, out.limited, out.matrix) == (0.5, 7, True, 6)


@pytest.mark.parametrize("target", [0.0, 0.05, 0.93, 1.0])
@pytest.mark.parametrize("limited", [True, False])
def test_colors_out_of_gamut_lose_saturation_as_in_a_fused_image(target: float, limited: bool) -> None:
    import cv2

    rgb = np.zeros((8, 12, 3), np.float32)
    rgb[:] = (0.75, 0.25, 0.2)
    red, y, blue = rgb[0, 0, 0], float(luma(rgb)[0, 0]), rgb[0, 0, 2]
    span = 224 if limited else 255
    u, v = (round(128 + span * (x - y) / (2 * (1 - k))) for x, k in ((blue, 0.114), (red, 0.299)))
    frame = frame_of(round(16 + 219 * y) if limited else round(255 * y), u, v, limited=limited)
    fused = np.full((8, 12), target, np.float32)
    out = replace_luma(frame, encode_luma(fused, limited))
    shown = cv2.cvtColor(to_bgr(out), cv2.COLOR_BGR2RGB) / 255
    np.testing.assert_allclose(shown, recolor(rgb, fused), atol=0.02)  # 8-bit chroma


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(
    ("matrix", "red", "blue"), [(6, 0.299, 0.114), (1, 0.2126, 0.0722), (9, 0.2627, 0.0593)]
)
def test_chroma_shrinks_by_the_weights_of_the_frames_matrix(
    matrix: int, red: float, blue: float, limited: bool
) -> None:
    rgb, target = np.array([0.9, 0.1, 0.15]), 0.8
    y = float(rgb @ [red, 1 - red - blue, blue])
    foot, luma_span, chroma_span = (16, 219, 224) if limited else (0, 255, 255)
    u = chroma_span * (rgb[2] - y) / (2 * (1 - blue))
    v = chroma_span * (rgb[0] - y) / (2 * (1 - red))
    level = round(foot + luma_span * y)
    frame = frame_of(level, 128 + round(u), 128 + round(v), limited=limited, matrix=matrix)
    np.testing.assert_allclose(to_bgr(frame)[0, 0, ::-1] / 255, rgb, atol=0.015)  # rounding to 8 bit

    out = replace_luma(frame, encode_luma(np.full((8, 12), target, np.float32), limited))
    scale = (1 - target) / (rgb[0] - y)  # red would leave the gamut first
    assert int(out.planes[1][0, 0]) == pytest.approx(128 + scale * u, abs=1)
    assert int(out.planes[2][0, 0]) == pytest.approx(128 + scale * v, abs=1)


def test_a_gray_frame_is_neutral_in_yuv() -> None:
    pytest.importorskip("av", reason="video needs PyAV (the extra video)")
    image = to_av_frame(Frame((np.full((8, 12), 40, np.uint8),), 0, 0), "yuv420p").to_ndarray()
    assert set(image[:8].ravel()) == {40}
    assert set(image[8:].ravel()) == {128}


def test_a_gray_frame_stays_gray() -> None:
    out = replace_luma(Frame((np.zeros((4, 4), np.uint8),), 0, 0), np.full((4, 4), 255, np.uint8))
    assert len(out.planes) == 1
    assert out.planes[0].min() == 255


def test_a_luma_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="size of the frame"):
        replace_luma(frame_of(1, 2, 3), np.zeros((4, 4), np.uint8))


def test_frames_side_by_side_keep_their_order_and_colors() -> None:
    colored = frame_of(120, 90, 160)
    gray = gray_frame(colored, np.full((8, 12), 255, np.uint8))
    row = concatenate_frames([gray, colored, gray])
    assert row.width == 36
    assert row.planes[0][0, [0, 12, 24]].tolist() == [255, 120, 255]
    assert row.planes[1][0, [0, 6, 12]].tolist() == [128, 90, 128]
    assert concatenate_frames([gray, gray]).planes[0].shape == (8, 24)


@pytest.mark.parametrize("width", [1, 5])
def test_chroma_of_odd_frames_side_by_side_stays_under_their_luma(width: int) -> None:
    def frame(y: int, u: int) -> Frame:
        chroma = np.full((4, -(-width // 2)), u, np.uint8)
        return Frame((np.full((8, width), y, np.uint8), chroma, chroma), 0.0, 0)

    row = concatenate_frames([frame(200, 90), frame(100, 160), frame(50, 40)])
    bgr = to_bgr(row)
    assert bgr.shape == (8, row.width, 3)
    for index, (y, u) in enumerate([(200, 90), (100, 160), (50, 40)]):
        left = index * row.width // 3
        assert row.planes[0][0, left : left + width].tolist() == [y] * width
        assert row.planes[1][0, left // 2 : (left + width + 1) // 2].tolist() == [u] * -(-width // 2)
