"""Calibration in bags: intrinsics from ``camera_info``, rotations between cameras from ``/tf_static``.

Sources: the definition of ``sensor_msgs/CameraInfo``; REP 104 (K belongs to raw images, P to rectified ones),
REP 103 (axes of optical frames), ``tf2_msgs`` (transforms from a child's frame to its parent's).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError, RegistrationError
from ivfuse.registration.geometry import Size
from ivfuse.registration.pinhole import PinholeCamera, calibrated_registration
from ivfuse.registration.transform import Registration, to_rows
from ivfuse.video.bags.bag import CAMERA_INFO, TRANSFORMS, BadMessageError, Bag
from ivfuse.video.source import FrameSource

_TRANSPORTS = ("compressed", "compressedDepth", "ffmpeg", "theora")  # last names that image_transport appends
_STATIC = "/tf_static"
_MAX_TRANSFORMS = 10_000

Pose = NDArray[Any]  # (4, 4), from the coordinates of a child's frame to those of its parent


@dataclass(frozen=True)
class Calibration:
    """What a bag states about the camera of one topic.

    Attributes:
        camera: of the images as they are stored; ``None`` if it is not known.
        frame: the coordinate frame of the images.
        poses: parent frame and pose of each child frame of the bag.
        note: where the intrinsics come from, or why there are none.
    """

    camera: PinholeCamera | None
    frame: str
    poses: dict[str, tuple[str, Pose]]
    note: str


def read_calibration(bag: Bag, topic: str, frame: str, size: Size) -> Calibration:
    """Read the calibration of the camera of an image topic.

    Args:
        bag: the open bag.
        topic: name of the image topic.
        frame: coordinate frame of its messages.
        size: width and height of its images.
    """
    info_topic = bag.topics.get(camera_info_of(topic))
    if info_topic is None or info_topic.type != CAMERA_INFO:
        return Calibration(None, frame, {}, "no camera_info, lens distortion stays")
    message = bag.first(info_topic)
    try:
        camera = None if message is None else _camera_of(message, bag.is_ros1, topic, size)
    except InputError as error:
        return Calibration(None, frame, {}, f"{info_topic.name} is not used: {error}")
    if camera is None:
        return Calibration(None, frame, {}, f"{info_topic.name} holds no calibration, lens distortion stays")
    what = "lens distortion removed by" if camera.is_distorted else "calibrated without lens distortion by"
    return Calibration(camera, frame, _static_poses(bag), f"{what} {info_topic.name}")


def camera_info_of(topic: str) -> str:
    """The topic of the calibration: ``/rgb/camera_info`` for ``/rgb/image_raw/compressed``."""
    parts = topic.split("/")
    if parts[-1] in _TRANSPORTS:
        parts.pop()
    return "/".join([*parts[:-1], "camera_info"])


def registration_of_sources(ir: FrameSource, vi: FrameSource) -> tuple[Registration | None, str]:
    """The transform between two topics by their calibrations, and a note on it.

    Returns:
        ``None`` if a source is not calibrated, with a note if both are but do not fit.
    """
    thermal, visible = getattr(ir, "calibration", None), getattr(vi, "calibration", None)
    if not (isinstance(thermal, Calibration) and isinstance(visible, Calibration)):
        return None, ""
    if thermal.camera is None or visible.camera is None:
        return None, ""
    pose = _relative_pose(visible.poses | thermal.poses, thermal.frame, visible.frame)
    rotation = None if pose is None else pose[:3, :3]
    try:
        registration = calibrated_registration(
            thermal.camera.undistorted(), visible.camera.undistorted(), rotation
        )
    except RegistrationError as error:
        return None, str(error)
    if pose is None:
        return (
            registration,
            "thermal aligned by calibration; no transform between the cameras, taken as parallel",
        )
    baseline = float(np.linalg.norm(pose[:3, 3]))
    return registration, f"thermal aligned by calibration; cameras {baseline:.3g} m apart, near objects shift"


def _camera_of(message: Any, is_ros1: bool, topic: str, size: Size) -> PinholeCamera | None:
    """The camera of a message; ``None`` if it is not calibrated, which K[0] = 0 means."""
    k, d, p = (getattr(message, name.upper() if is_ros1 else name) for name in ("k", "d", "p"))
    if _is_rectified(topic):
        matrix, distortion = np.array(p, float).reshape(3, 4)[:, :3], []
    else:
        matrix, distortion = np.array(k, float).reshape(3, 3), [float(value) for value in d]
    if matrix[0, 0] == 0:
        return None
    if (message.width, message.height) != size:
        raise InputError(f"it is of {message.width}x{message.height} images", expected=f"{size[0]}x{size[1]}")
    used = tuple(distortion) if any(distortion) else ()
    return PinholeCamera(size, to_rows(matrix), message.distortion_model or "plumb_bob", used)


def _is_rectified(topic: str) -> bool:
    """Whether the images of a topic are undistorted already, by the names of image_proc."""
    return any(part.startswith("image_rect") for part in topic.split("/"))


def _static_poses(bag: Bag) -> dict[str, tuple[str, Pose]]:
    """Parent and pose of each frame in the static transforms; damaged messages are left out."""
    topic = bag.topics.get(_STATIC)
    found: dict[str, tuple[str, Pose]] = {}
    if topic is None or topic.type != TRANSFORMS:
        return found
    try:
        for _, data in bag.messages(topic):
            try:
                transforms = bag.parse(topic, data).transforms
            except BadMessageError:
                continue
            for each in transforms[: _MAX_TRANSFORMS - len(found)]:
                pose = _pose_of(each.transform)
                if pose is not None:
                    found[_plain(each.child_frame_id)] = _plain(each.header.frame_id), pose
    except InputError:
        pass  # the images say it when their turn comes
    return found


def _pose_of(transform: Any) -> Pose | None:
    """The matrix of a transform; ``None`` if its numbers are no rotation and translation."""
    q, t = transform.rotation, transform.translation
    quaternion = np.array([q.w, q.x, q.y, q.z], float)
    norm = float(np.linalg.norm(quaternion))
    shift = np.array([t.x, t.y, t.z], float)
    if not (np.isfinite(shift).all() and 0.9 < norm < 1.1):
        return None
    w, x, y, z = quaternion / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = shift
    return pose


def _relative_pose(poses: dict[str, tuple[str, Pose]], source: str, target: str) -> Pose | None:
    """The pose of one frame in the coordinates of another; ``None`` if no chain of transforms joins them."""
    neighbors: dict[str, list[tuple[str, NDArray[Any]]]] = {}
    for child, (parent, pose) in poses.items():
        neighbors.setdefault(child, []).append((parent, pose))
        neighbors.setdefault(parent, []).append((child, np.linalg.inv(pose)))
    start = _plain(source)
    found: dict[str, NDArray[Any]] = {start: np.eye(4)}
    queue = deque([start])
    while queue:
        frame = queue.popleft()
        for other, pose in neighbors.get(frame, []):
            if other not in found:
                found[other] = pose @ found[frame]
                queue.append(other)
    return found.get(_plain(target)) if source and target else None


def _plain(frame: str) -> str:
    """A frame's name without the leading slash of ROS 1."""
    return frame.lstrip("/")
