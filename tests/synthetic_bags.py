"""Bags of a robot with a thermal and a visible camera, written by rosbags for the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, TRANSFORMS = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
START = 1_700_000_000_000_000_000  # nanoseconds
PERIOD = 100_000_000

Array = NDArray[Any]
Item = tuple[str, int, Any]  # topic, log time in nanoseconds, message


class Messages:
    """Makes messages of one generation of ROS, 1 or 2."""

    def __init__(self, generation: int = 2) -> None:
        from rosbags.typesys import Stores, get_typestore

        self.generation = generation
        self.store = get_typestore(Stores.ROS1_NOETIC if generation == 1 else Stores.ROS2_HUMBLE)

    def header(self, stamp: int, frame: str) -> Any:
        time = self.store.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        facts = {"seq": 0} if self.generation == 1 else {}
        return self.store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame, **facts)

    def image(self, stamp: int, pixels: Array, encoding: str, frame: str = "", **changes: Any) -> Any:
        """An Image of an array whose bytes are the pixels; ``changes`` replace fields."""
        rows = np.ascontiguousarray(pixels)
        fields = {
            "height": rows.shape[0], "width": rows.shape[1], "encoding": encoding, "is_bigendian": 0,
            "step": rows.strides[0], "data": rows.view(np.uint8).reshape(-1),
        }  # fmt: skip
        return self.store.types[IMAGE](header=self.header(stamp, frame), **(fields | changes))

    def compressed(
        self, stamp: int, pixels: Array, kind: str = "jpeg", frame: str = "", **changes: Any
    ) -> Any:
        """A CompressedImage of a gray or B, G, R array."""
        done, data = cv2.imencode(".jpg" if kind == "jpeg" else ".png", pixels)
        assert done
        fields = {"format": f"bgr8; {kind} compressed bgr8", "data": np.asarray(data).reshape(-1)}
        return self.store.types[COMPRESSED](header=self.header(stamp, frame), **(fields | changes))

    def camera_info(
        self, size: tuple[int, int], matrix: Array, distortion: Iterable[float] = (), model: str = "plumb_bob"
    ) -> Any:
        region = self.store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        names = [name.upper() if self.generation == 1 else name for name in "dkrp"]
        values = (
            np.array([*distortion], float), np.ravel(matrix), np.eye(3).ravel(),
            np.hstack([matrix, np.zeros((3, 1))]).ravel(),
        )  # fmt: skip
        return self.store.types[CAMERA_INFO](
            header=self.header(START, ""), height=size[1], width=size[0], distortion_model=model,
            binning_x=0, binning_y=0, roi=region, **dict(zip(names, values, strict=True)),
        )  # fmt: skip

    def transforms(self, *chain: tuple[str, str, tuple[float, ...], tuple[float, ...]]) -> Any:
        """Static transforms: parent, child, translation, quaternion (x, y, z, w)."""
        types, made = self.store.types, []
        for parent, child, shift, quaternion in chain:
            pose = types["geometry_msgs/msg/Transform"](
                translation=types["geometry_msgs/msg/Vector3"](*shift),
                rotation=types["geometry_msgs/msg/Quaternion"](*quaternion),
            )
            made.append(
                types["geometry_msgs/msg/TransformStamped"](
                    header=self.header(START, parent), child_frame_id=child, transform=pose
                )
            )
        return types[TRANSFORMS](transforms=made)

    def serialize(self, message: Any) -> Any:
        kind = message.__msgtype__
        if self.generation == 1:
            return self.store.serialize_ros1(message, kind)
        return self.store.serialize_cdr(message, kind)


def write_bag(
    path: Path, messages: Messages, items: Iterable[Item], storage: str = "mcap", compression: str = ""
) -> Path:
    """Write a bag.

    Args:
        path: a .bag file for ROS 1, an .mcap file or the folder of a ROS 2 bag otherwise.
        messages: which made the messages; raw bytes stand for a damaged Image.
        items: topic, log time and message.
        storage: of ROS 2: mcap or sqlite3.
        compression: of ROS 2: MESSAGE, FILE or STORAGE; of ROS 1: bz2 or lz4.
    """
    connections: dict[str, Any] = {}
    folder = path.with_suffix("") if path.suffix == ".mcap" else path
    with _writer(folder, messages.generation, storage, compression) as bag:
        for topic, time, message in items:
            damaged = isinstance(message, bytes)
            if topic not in connections:
                kind = IMAGE if damaged else message.__msgtype__
                connections[topic] = bag.add_connection(topic, kind, typestore=messages.store)
            bag.write(connections[topic], time, message if damaged else messages.serialize(message))
    if path.suffix == ".mcap":
        (folder / f"{folder.name}.mcap").rename(path)
        shutil.rmtree(folder)
    return path


def _writer(path: Path, generation: int, storage: str, compression: str) -> AbstractContextManager[Any]:
    if generation == 1:
        from rosbags.rosbag1 import Writer as Writer1

        first = Writer1(path)
        if compression:
            first.set_compression(Writer1.CompressionFormat[compression.upper()])
        return first
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    second = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression:
        second.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    return second
