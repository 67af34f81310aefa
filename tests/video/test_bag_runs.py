"""Bags through the command line: fused video and bags, pairs of images, and calibrated cameras."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ivfuse.fusion.align import Aligner
from ivfuse.registration.transform import load_rig
from ivfuse.synthetic.street import street_scene
from ivfuse.video.bags.calibration import registration_of_sources
from ivfuse.video.frame import Frame
from ivfuse.video.open import open_pair

Cli = Callable[..., Any]
IR, VI = "/thermal/image_raw", "/rgb/image_raw"
HEIGHT, WIDTH, COUNT = 64, 96, 6


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    street = street_scene(HEIGHT, WIDTH, 3, "dusk")
    return (7000 + 2000 * street.ir).astype(np.uint16), np.rint(street.vi * 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["a.bag", "a.mcap"])
def drive(
    request: pytest.FixtureRequest, bags: Any, scene: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A recording of six pairs, 16-bit thermal and JPEG, of ROS 1 or ROS 2."""
    made = bags.Messages(1 if request.param == "a.bag" else 2)
    items = []
    for index in range(COUNT):
        stamp = bags.START + index * bags.PERIOD
        items.append((IR, stamp, made.image(stamp, scene[0], "16UC1", "thermal_optical")))
        color = np.roll(scene[1][..., ::-1], index, axis=1)
        items.append((f"{VI}/compressed", stamp, made.compressed(stamp + 123, color, "png", "rgb_optical")))
    return Path(bags.write_bag(tmp_path_factory.mktemp("drive") / request.param, made, items))


def sources(drive: Path) -> tuple[str, str]:
    return f"{drive}:{IR}", f"{drive}:{VI}/compressed"


def messages_of(path: Path, bags: Any) -> list[tuple[str, int, Any]]:
    """Topic, log time and message of everything in a bag."""
    from rosbags.rosbag2 import Reader

    store = bags.Messages().store
    with Reader(path) as reader:
        return [
            (connection.topic, time, store.deserialize_cdr(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]


def test_two_topics_become_a_video(drive: Path, tmp_path: Path, ivfuse_cli: Cli, read_clip: Any) -> None:
    out = tmp_path / "f.mp4"
    said = ivfuse_cli("video", *sources(drive), "-o", out, "--json")
    assert said.code == 0, said.err
    summary = json.loads(said.out)
    assert (summary["frames"], summary["pairs"]["paired"], summary["thermal"]["missing"]) == (COUNT, COUNT, 0)
    assert "thermal: no camera_info, lens distortion stays" in summary["notes"]
    assert [each.shape for each in read_clip(out)] == [(HEIGHT, WIDTH, 3)] * COUNT


@pytest.mark.parametrize(("suffix", "topic"), [("", "/fused/image_raw"), (":/seen/fused", "/seen/fused")])
def test_two_topics_become_a_topic_with_the_stamps_of_the_visible(
    suffix: str, topic: str, drive: Path, bags: Any, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    out = tmp_path / "out" / "f.mcap"
    said = ivfuse_cli("video", *sources(drive), "-o", f"{out}{suffix}", "--method", "average")
    assert said.code == 0, said.err
    assert os.listdir(out.parent) == ["f.mcap"]
    found = messages_of(out, bags)
    assert len(found) == COUNT
    for index, (name, time, message) in enumerate(found):
        assert (name, message.encoding, message.header.frame_id) == (topic, "bgr8", "rgb_optical")
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert time == stamp == bags.START + index * bags.PERIOD + 123
        assert message.data.size == message.height * message.step == HEIGHT * WIDTH * 3
    image = found[2][2].data.reshape(HEIGHT, WIDTH, 3)
    visible = next(item for item in open_pair(*sources(drive))[1].items() if isinstance(item, Frame))
    assert abs(float(image.mean()) - float(visible.planes[0].mean())) < 60  # neither black nor white
    said = ivfuse_cli("info", out, "--json")
    assert json.loads(said.out)["images"][0]["topic"] == topic


def test_a_fused_bag_is_a_source_again(drive: Path, tmp_path: Path, ivfuse_cli: Cli) -> None:
    first, second = tmp_path / "f.mcap", tmp_path / "g.mcap"
    assert ivfuse_cli("video", *sources(drive), "-o", first, "--method", "average", "--gray").code == 0
    again = (f"{first}:/fused/image_raw", sources(drive)[1])
    said = ivfuse_cli("video", *again, "-o", second, "--method", "average", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["pairs"]["paired"] == COUNT


def test_times_that_headers_cannot_state_are_bounded(
    bags: Any, scene: Any, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    made = bags.Messages()
    late = 4 * 10**18  # log time; the messages have no stamps
    items = [(IR, late, made.image(0, scene[0], "16UC1")), (VI, late, made.image(0, scene[1], "rgb8"))]
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    out = tmp_path / "f.mcap"
    said = ivfuse_cli("video", f"{path}:{IR}", f"{path}:{VI}", "-o", out, "--method", "average")
    assert said.code == 0, said.err
    assert messages_of(out, bags)[0][2].header.stamp.sec == 2**31 - 1


def test_a_bag_needs_no_pyav_unless_a_video_is_written(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ivfuse_cli: Cli
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    said = ivfuse_cli("video", *sources(drive), "-o", tmp_path / "f.mcap", "--method", "average")
    assert said.code == 0, said.err
    said = ivfuse_cli("video", *sources(drive), "-o", tmp_path / "f.mp4", "--method", "average")
    assert said.code == 2
    assert "video]" in said.err


def test_outputs_are_not_replaced_by_accident_and_never_inputs(
    drive: Path, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    out = tmp_path / "f.mcap"
    out.write_text("precious")
    said = ivfuse_cli("video", *sources(drive), "-o", out, "--method", "average")
    assert (said.code, out.read_text()) == (2, "precious")
    assert "--overwrite replaces it" in said.err
    assert ivfuse_cli("video", *sources(drive), "-o", out, "--method", "average", "--overwrite").code == 0
    assert out.stat().st_size > 1000
    said = ivfuse_cli("video", *sources(drive), "-o", f"{drive}:/fused", "--method", "average", "--overwrite")
    assert said.code != 0
    assert drive.stat().st_size > 1000
    said = ivfuse_cli("video", *sources(drive), "-o", tmp_path / "g.mcap", "--codec", "h264")
    assert "--codec" in said.err


def test_fuse_writes_an_image_for_each_pair_named_by_its_stamp(
    drive: Path, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    out = tmp_path / "fused"
    said = ivfuse_cli("fuse", *sources(drive), "-o", out, "--method", "average")
    assert said.code == 0, said.err
    names = sorted(os.listdir(out))
    assert names == [f"1700000000_{index}00000123.png" for index in range(COUNT)]
    assert cv2.imread(str(out / names[0])).shape == (HEIGHT, WIDTH, 3)
    assert "6 done" in said.out
    assert ivfuse_cli("fuse", drive, "-o", out).code == 2
    cut = tmp_path / f"cut{drive.suffix}"
    cut.write_bytes(drive.read_bytes()[: drive.stat().st_size // 2])
    assert ivfuse_cli("fuse", *sources(cut), "-o", tmp_path / "cut").code == 1
    said = ivfuse_cli("fuse", sources(drive)[0], out, "-o", tmp_path / "x")
    assert "is a bag, expected two topics" in said.err


# Two cameras with lens distortion, 2 degrees apart: the truth of the tests below.
THERMAL = np.array([[150.0, 0, 82], [0, 150, 58], [0, 0, 1]]), (-0.32, 0.1, 0.002, -0.001, 0.0), (160, 120)
VISIBLE = np.array([[280.0, 0, 166], [0, 282, 117], [0, 0, 1]]), (-0.25, 0.08, 0.0, 0.001, 0.0), (320, 240)
ANGLE = np.radians(2)
TURN = np.array([[np.cos(ANGLE), 0, np.sin(ANGLE)], [0, 1, 0], [-np.sin(ANGLE), 0, np.cos(ANGLE)]])
RAYS = [(x, y, 1.0) for x in (-0.35, -0.12, 0.12, 0.35) for y in (-0.26, 0.0, 0.26)]


def seen_by(camera: Any, ray: Any, *, ideal: bool = False) -> Any:
    """The pixel at which a camera sees a direction, by Brown's model written out."""
    matrix, (k1, k2, p1, p2, k3), _ = camera
    x, y = ray[0] / ray[2], ray[1] / ray[2]
    if not ideal:
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        x = bent_x
    return (matrix @ [x, y, 1])[:2]


def lamps(camera: Any, turn: Any, sigma: float) -> Any:
    """An image of small lamps in all directions of :data:`RAYS`, 0 to 1."""
    width, height = camera[2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.zeros((height, width))
    for ray in RAYS:
        column, row = seen_by(camera, turn @ ray)
        image += np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
    return image


def center_near(image: Any, point: Any, radius: int = 16) -> Any:
    column, row = (round(float(value)) for value in point)
    part = image[row - radius : row + radius + 1, column - radius : column + radius + 1].astype(float)
    part = np.clip(part - 0.1 * part.max(), 0, None)
    y, x = np.indices(part.shape)
    return np.array([(part * x).sum(), (part * y).sum()]) / part.sum() + [column - radius, row - radius]


def calibrated_bag(path: Path, bags: Any, *, with_info: bool = True, with_transform: bool = True) -> Path:
    made = bags.Messages()
    items: list[Any] = []
    for at, (name, camera) in enumerate((("/thermal", THERMAL), ("/rgb", VISIBLE))):
        if with_info:
            items.append(
                (f"{name}/camera_info", bags.START, made.camera_info(camera[2], camera[0], camera[1]))
            )
        image = lamps(camera, TURN if at else np.eye(3), 4.0 if at else 2.1)
        pixels = (7000 + 2000 * image).astype(np.uint16) if not at else (20 + 200 * image).astype(np.uint8)
        frame = ("thermal_optical", "rgb_optical")[at]
        for index in range(3):
            stamp = bags.START + index * bags.PERIOD
            message = made.image(stamp, pixels, "mono8" if at else "16UC1", frame)
            items.append((f"{name}/image_raw", stamp, message))
    if with_transform:  # both cameras on one body: parent, child, translation, quaternion (x, y, z, w)
        half = ANGLE / 2
        turned = (0.0, -np.sin(half), 0.0, np.cos(half))  # the visible's axes in those of the body
        chain = [
            ("body", "thermal_optical", (0.05, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
            ("body", "rgb_optical", (0.0, 0.0, 0.0), turned),
        ]
        items.append(("/tf_static", bags.START, made.transforms(*chain)))
    return Path(bags.write_bag(path, made, items))


def alignment_errors(path: Path) -> Any:
    """Distances of the lamps in the warped thermal from those in the visible, in visible pixels."""
    ir, vi = open_pair(f"{path}:{IR}", f"{path}:{VI}")
    registration, _ = registration_of_sources(ir, vi)
    thermal, visible = (
        next(item for item in source.items() if isinstance(item, Frame)) for source in (ir, vi)
    )
    gray = (thermal.planes[0].astype(np.float32) - 7000) / 2000
    warped, _ = Aligner(registration).align_frame(gray, visible.height, visible.width)
    ir.close()
    vi.close()
    places = [seen_by(VISIBLE, TURN @ ray, ideal=True) for ray in RAYS]
    luma = np.clip(visible.planes[0].astype(float) - 20, 0, None)
    return np.array([
        np.linalg.norm(center_near(warped, place) - center_near(luma, place)) for place in places
    ])  # fmt: skip


def test_calibrated_cameras_are_aligned_without_their_lens_distortion(bags: Any, tmp_path: Path) -> None:
    errors = alignment_errors(calibrated_bag(tmp_path / "a.mcap", bags))
    assert errors.max() < 0.1  # pixels of the visible; both lenses stretch the lamps a little
    assert errors.mean() < 0.05


def test_without_the_transform_cameras_count_as_parallel(bags: Any, tmp_path: Path) -> None:
    ir, vi = open_pair(
        *(f"{calibrated_bag(tmp_path / 'a.mcap', bags, with_transform=False)}:{t}" for t in (IR, VI))
    )
    registration, note = registration_of_sources(ir, vi)
    assert registration is not None
    scale = VISIBLE[0][0, 0] / THERMAL[0][0, 0]
    assert registration.array[0, 0] == pytest.approx(scale)
    assert "taken as parallel" in note


def test_the_fused_topic_states_the_ideal_camera(bags: Any, tmp_path: Path, ivfuse_cli: Cli) -> None:
    path, out = calibrated_bag(tmp_path / "a.mcap", bags), tmp_path / "f.mcap"
    said = ivfuse_cli("video", f"{path}:{IR}", f"{path}:{VI}", "-o", out, "--method", "average")
    assert said.code == 0, said.err
    assert "lens distortion removed by /rgb/camera_info" in said.err
    assert "cameras 0.05 m apart" in said.err
    infos = [message for topic, _, message in messages_of(out, bags) if topic == "/fused/camera_info"]
    assert len(infos) == 3
    assert infos[0].k == pytest.approx(VISIBLE[0].ravel())
    assert not infos[0].d.any()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"size": (999, 240)}, "/rgb/camera_info is not used: it is of 999x240 images, expected 320x240"),
        ({"matrix": np.zeros((3, 3))}, "/rgb/camera_info holds no calibration, lens distortion stays"),
        ({"distortion": (0.1, 0.2)}, "2 coefficients of the lens model 'plumb_bob'"),
    ],
)
def test_calibrations_that_cannot_be_used_are_named(
    change: dict[str, Any], note: str, bags: Any, tmp_path: Path, ivfuse_cli: Cli
) -> None:
    made = bags.Messages()
    facts: dict[str, Any] = {"size": VISIBLE[2], "matrix": VISIBLE[0], "distortion": VISIBLE[1]}
    stamp = bags.START
    items = [
        ("/rgb/camera_info", stamp, made.camera_info(**(facts | change))),
        (VI, stamp, made.image(stamp, np.zeros((240, 320), np.uint8), "mono8")),
        (IR, stamp, made.image(stamp, np.ones((12, 16), np.uint16), "mono16")),
    ]
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    said = ivfuse_cli(
        "video", f"{path}:{IR}", f"{path}:{VI}", "-o", tmp_path / "f.mcap", "--method", "average"
    )
    assert said.code == 0, said.err
    assert note in said.err


def test_rectified_topics_are_left_as_they_are(bags: Any, tmp_path: Path) -> None:
    made = bags.Messages()
    image = np.arange(240 * 320).reshape(240, 320).astype(np.uint16)
    items = [
        ("/rgb/camera_info", bags.START, made.camera_info(VISIBLE[2], VISIBLE[0], VISIBLE[1])),
        ("/rgb/image_rect", bags.START, made.image(bags.START, image, "mono16")),
        (VI, bags.START, made.image(bags.START, image, "mono16")),
    ]
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    found = []
    for topic in ("/rgb/image_rect", VI):
        ir, vi = open_pair(f"{path}:{topic}", f"{path}:{VI if topic != VI else '/rgb/image_rect'}")
        found.append(next(item for item in ir.items() if isinstance(item, Frame)).planes[0])
        ir.close()
        vi.close()
    assert np.array_equal(found[0], image)
    assert not np.array_equal(found[1], image)


@pytest.mark.slow
def test_register_starts_from_the_calibration(bags: Any, tmp_path: Path, ivfuse_cli: Cli) -> None:
    street = street_scene(240, 320, 5, "day")
    made = bags.Messages()
    half = np.array([[160.0, 0, 80], [0, 160, 60], [0, 0, 1]])
    whole = np.array([[320.0, 0, 160], [0, 320, 120], [0, 0, 1]])
    thermal = cv2.resize(np.roll(street.ir, 6, axis=1), (160, 120), interpolation=cv2.INTER_AREA)
    items = [
        ("/thermal/camera_info", bags.START, made.camera_info((160, 120), half)),
        ("/rgb/camera_info", bags.START, made.camera_info((320, 240), whole)),
        (IR, bags.START, made.image(bags.START, (7000 + 2000 * thermal).astype(np.uint16), "16UC1")),
        (VI, bags.START, made.image(bags.START, np.rint(street.vi * 255).astype(np.uint8), "rgb8")),
    ]
    path = bags.write_bag(tmp_path / "a.mcap", made, items)
    said = ivfuse_cli(
        "register", f"{path}:{IR}", f"{path}:{VI}", "-o", tmp_path / "rig.json", "--model", "affine"
    )
    assert said.code == 0, said.err
    matrix = load_rig(tmp_path / "rig.json").array
    corners = np.array([[10, 10, 1], [150, 10, 1], [150, 110, 1], [10, 110, 1.0]])
    truth = corners[:, :2] * 2 + [0.5 - 6, 0.5]
    assert np.abs((corners @ matrix.T)[:, :2] - truth).max() < 3  # visible pixels, from one pair
