"""The black frame of a thermal image that was warped before is found, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.image.black_frame import find_black_frame, frame_mask

Texture = Callable[..., Any]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HEIGHT, WIDTH = 120, 160


@pytest.fixture
def whole(texture: Texture) -> np.ndarray:
    return np.uint8(np.rint((0.3 + 0.6 * texture(HEIGHT, WIDTH)) * 255))


def with_wedge(whole: np.ndarray, right: int) -> np.ndarray:
    """The image with a black wedge at its right, from a width to three pixels less."""
    image = whole.copy()
    wedge = np.array([[WIDTH - right, 0], [WIDTH, 0], [WIDTH, HEIGHT], [WIDTH - right + 3, HEIGHT]])
    return np.asarray(cv2.fillPoly(image, [wedge], 0))


def framed(texture: Texture, quad: Any, level: float = 0.0) -> np.ndarray:
    """A texture inside a quadrilateral of a black 200 x 200 image."""
    image = np.full((200, 200), level, np.float32)
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array(quad, np.int32)], 1)
    image[mask > 0] = 0.2 + 0.8 * texture(200, 200)[mask > 0]
    return image


def test_a_black_frame_is_masked_with_a_margin_of_two_pixels(texture: Texture) -> None:
    mask = frame_mask(framed(texture, [(30, 20), (199, 20), (199, 189), (30, 189)]))
    inside = np.zeros((200, 200), bool)
    inside[22:188, 32:] = True
    assert np.array_equal(mask > 0, inside)


@pytest.mark.parametrize(
    "quad",
    [
        [(0, 0), (199, 0), (199, 199), (0, 199)],  # no frame
        [(0, 5), (199, 100), (0, 195), (100, 100)],  # not convex: cold sky around a skyline
        [(70, 70), (150, 70), (150, 150), (70, 150)],  # a warm object before a cold background
    ],
)
def test_black_that_is_no_frame_is_not_masked(texture: Texture, quad: Any) -> None:
    assert frame_mask(framed(texture, quad)).min() == 1


@pytest.mark.parametrize(("notch", "masked"), [(10, True), (40, False)])
def test_a_frame_may_be_dented_by_one_percent_only(texture: Texture, notch: int, masked: bool) -> None:
    image = framed(texture, [(20, 20), (199, 20), (199, 179), (20, 179)])
    image[20 : 20 + notch, 90:110] = 0  # a dark object at the border of the field
    assert (frame_mask(image).min() == 0) == masked


@pytest.mark.parametrize(("width", "masked"), [(10, False), (30, True)])
def test_a_frame_covers_two_percent_of_the_border_at_least(
    texture: Texture, width: int, masked: bool
) -> None:
    image = (0.2 + 0.8 * texture(200, 200)).astype(np.float32)
    cv2.fillPoly(image, [np.array([(0, 0), (width, 0), (0, 2)], np.int32)], 0.0)  # a sliver at a corner
    assert (frame_mask(image).min() == 0) == masked


@pytest.mark.parametrize(("side", "masked"), [(105, False), (115, True)])
def test_a_field_inside_a_frame_covers_three_tenths_of_the_image_at_least(
    texture: Texture, side: int, masked: bool
) -> None:
    image = framed(texture, [(40, 0), (40 + side, 0), (40 + side, side), (40, side)])
    assert (frame_mask(image).min() == 0) == masked


def test_inside_of_the_frame_nothing_changes(whole: np.ndarray) -> None:
    thermal = np.float32(with_wedge(whole, 12) / 255)
    frame = find_black_frame(thermal)
    assert frame is not None
    filled, weight = frame.fill(thermal), frame.weight
    assert np.array_equal(filled[:, : WIDTH - 16], thermal[:, : WIDTH - 16])
    assert np.all(weight[:, : WIDTH - 16] == 1)
    assert filled.min() > 0.25
    assert weight[:, -1].max() < 0.5


@pytest.mark.parametrize("kind", ["whole", "jagged sky", "dark beside", "black", "small"])
def test_what_is_no_frame_stays(whole: np.ndarray, kind: str) -> None:
    thermal = np.float32(whole / 255)
    if kind == "jagged sky":
        for column in range(WIDTH):
            thermal[: 20 + column * 7 % 40, column] = 0
    elif kind == "dark beside":
        thermal = np.float32(with_wedge(whole, 12) / 255) * np.float32(0.1)
    elif kind == "black":
        thermal[:] = 0
    elif kind == "small":
        thermal = np.float32(with_wedge(whole, 12)[:40] / 255)
    assert find_black_frame(thermal) is None


QUAD = [(20, 12), (185, 20), (180, 190), (10, 184)]


def compressed(image: np.ndarray, quality: int = 92) -> np.ndarray:
    """The image after JPEG compression, float32."""
    levels = np.uint8(np.rint(image * 255))
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.float32(cv2.imdecode(data, cv2.IMREAD_UNCHANGED) / 255)


def filled(quad: Any) -> np.ndarray:
    """Where a quadrilateral of a 200 x 200 image is."""
    return np.asarray(cv2.fillPoly(np.zeros((200, 200), np.uint8), [np.array(quad, np.int32)], 1)) > 0


@pytest.mark.parametrize(
    "quad", [QUAD, [(4, 15), (189, 15), (189, 192), (4, 192)]], ids=["warped", "upright"]
)
@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["float", "8 bit", "16 bit", "jpeg"])
def test_a_frame_on_all_sides_may_be_black_or_white(
    texture: Texture, quad: Any, level: float, kind: str
) -> None:
    image = 0.8 * framed(texture, quad)
    image[~filled(quad)] = level
    values, white = image, 1.0
    if kind == "jpeg":
        values = compressed(image)
    elif kind != "float":
        values, white = (np.uint8(image * 255), 255.0) if kind == "8 bit" else (np.uint16(image * 9e3), 9e3)
    frame = find_black_frame(values, white)
    assert frame is not None
    assert frame.white == (level == 1)
    assert ("white" in frame.note) == frame.white
    assert not frame.inside[~filled(quad)].any()
    assert frame.inside[cv2.erode(np.uint8(filled(quad)), np.ones((9, 9))) > 0].all()


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["round", "small", "fading", "skyline", "another level at a side"])
def test_a_scene_that_ends_in_one_level_on_all_sides_is_no_frame(
    texture: Texture, level: float, kind: str
) -> None:
    inside, share = filled(QUAD), np.ones((200, 200), np.float32)
    if kind == "round":
        inside = cv2.circle(np.zeros((200, 200), np.uint8), (100, 100), 95, 1, -1) > 0
    elif kind == "small":
        inside = filled([(40, 40), (160, 40), (160, 160), (40, 160)])
    elif kind == "fading":
        share = np.clip(cv2.distanceTransform(np.uint8(inside), cv2.DIST_L2, 5) / 90, 0, 1)
    elif kind == "skyline":
        for column in range(200):
            inside[: 30 + column * 7 % 50, column] = False
    image = 0.2 + 0.6 * texture(200, 200)
    image = np.where(inside, level + share * (image - level), level).astype(np.float32)
    if kind == "another level at a side":
        image[:, :12] = 0.5
    assert find_black_frame(image) is None


def test_a_saturated_sky_may_reach_a_white_frame(texture: Texture) -> None:
    upright = [(15, 8), (195, 8), (195, 187), (15, 187)]
    image = 0.8 * framed(texture, upright)
    image[~filled(upright)] = 1
    cv2.ellipse(image, (105, 8), (75, 40), 0, 0, 180, 1.0, -1)
    frame = find_black_frame(image)
    assert frame is not None
    assert not frame.inside[~filled(upright)].any()
    assert frame.inside[20:180, 20:190].all()


def test_nothing_of_a_curved_frame_is_left_inside(texture: Texture) -> None:
    image = framed(texture, [(0, 0), (180, 0), (190, 199), (0, 199)])
    cv2.ellipse(
        image, (100, 201), (60, 3), 0, 180, 360, 0.0, -1
    )  # at the border, between corners of the hull
    frame = find_black_frame(image)
    assert frame is not None
    assert not (frame.inside & (image == 0)).any()
    assert frame.inside[:190, :170].all()


def test_a_dark_object_at_the_frame_is_kept_but_for_its_edge(texture: Texture) -> None:
    image = framed(texture, [(20, 20), (199, 20), (199, 179), (20, 179)])
    image[20:35, 90:100] = 0
    frame = find_black_frame(image)
    assert frame is not None
    assert frame.inside[26:, 26:-1][:150].all()


def test_border_pixels_that_a_warp_has_blended_with_the_frame_are_no_image(texture: Texture) -> None:
    image = framed(texture, [(0, 0), (180, 0), (190, 199), (0, 199)])
    image[0, :100] *= 0.5
    frame = find_black_frame(image)
    assert frame is not None
    assert not frame.inside[0, :100].any()
    assert frame.inside[1:, :170].all()


@pytest.mark.parametrize("quality", [75, 92])
def test_compression_hides_no_frame(texture: Texture, quality: int) -> None:
    quad = [(0, 0), (170, 0), (190, 199), (0, 180)]
    frame = find_black_frame(compressed(framed(texture, quad), quality))
    assert frame is not None
    assert not frame.inside[~filled(quad)].any()
    assert frame.inside[:175, :165].all()


def test_a_dark_scene_at_the_border_is_no_compressed_frame(texture: Texture) -> None:
    image = framed(texture, [(0, 0), (170, 0), (190, 199), (0, 180)])
    noise = np.random.default_rng(1).integers(0, 5, image.shape) / 255
    assert find_black_frame(np.where(image > 0, image, noise).astype(np.float32)) is None


def test_a_shallow_dark_patch_at_the_border_is_no_frame(texture: Texture) -> None:
    image = (0.3 + 0.6 * texture(200, 200)).astype(np.float32)
    image[:2, 60:140] = 0
    assert find_black_frame(image) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("folder", "framed"),
    [
        ("tno_val/ir", {"096": True, "101": False, "120": True, "121": False, "123": True}),
        ("roadscene/val/ir", {}),
        ("msrs640/ir", {}),
    ],
)
def test_of_real_images_those_with_a_frame_are_found(folder: str, framed: dict[str, bool]) -> None:
    found = {}
    for path in sorted((DATA / folder).iterdir()):
        frame = find_black_frame(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 255.0)
        if frame is not None:
            found[path.stem] = frame.white
    assert found == framed
