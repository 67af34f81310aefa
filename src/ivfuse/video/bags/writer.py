"""Writes fused frames as a topic of images into an MCAP file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.errors import OutputError, UsageError
from ivfuse.registration.pinhole import PinholeCamera
from ivfuse.runtime.files import part_of
from ivfuse.video.bags.bag import CAMERA_INFO, IMAGE, require_rosbags, ros2_typestore
from ivfuse.video.bags.calibration import camera_info_of
from ivfuse.video.bags.location import OUTPUT_SUFFIX, BagTopic
from ivfuse.video.frame import Frame, MessageHeader
from ivfuse.video.frame_conversion import to_opencv

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

DEFAULT_TOPIC = "/fused/image_raw"
_LATEST = 2**31 * 10**9 - 1  # nanoseconds


def find_output(out: str) -> BagTopic | None:
    """The file and the topic of an output like ``out.mcap:/fused/image_raw``; ``None`` for other outputs."""
    path, colon, topic = out.rpartition(":/")
    if colon and Path(path).suffix.lower() == OUTPUT_SUFFIX:
        return BagTopic(Path(path), f"/{topic}")
    return BagTopic(Path(out), DEFAULT_TOPIC) if Path(out).suffix.lower() == OUTPUT_SUFFIX else None


class BagWriter:
    """Writes ``sensor_msgs/Image`` messages with the stamps and coordinate frames of the visible.

    Where the visible is calibrated, each image has a ``CameraInfo`` beside it, without distortion. The file
    appears when it is complete.
    """

    def __init__(self, target: BagTopic, overwrite: bool) -> None:
        """Check the output; the file is created with the first frame.

        Raises:
            MissingExtraError: if rosbags is not installed.
            UsageError: if the file exists and must not be replaced.
        """
        require_rosbags()
        if target.path.exists() and not overwrite:
            raise UsageError(f"{target.path}: exists already", hint="{overwrite} replaces it")
        if target.path.is_dir():
            raise UsageError(field="out", found=f"{target.path}, a folder", expected="the name of a file")
        self.notes: list[str] = []
        self._path, self._topic = target
        self._folder: Path | None = None  # rosbags writes a folder, of which only the file is kept
        self._bag: Any = None
        self._images: Any = None
        self._cameras: Any = None

    def write(self, frame: Frame) -> None:
        """See :meth:`ivfuse.video.writer.FrameWriter.write`."""
        header = frame.header or MessageHeader(round(frame.time * 1e9), "")
        try:
            if self._bag is None:
                self._open()
            self._put(self._images, IMAGE, header, _image_of(frame, self._header(header)))
            if header.camera is not None and header.camera.size == (frame.width, frame.height):
                self._put_camera(header, header.camera)
        except BaseException as error:
            self._discard()
            if not isinstance(error, OSError):
                raise
            raise OutputError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def write_audio(self, packet: AudioPacket) -> None:
        """Bags have no audio."""

    def close(self) -> Path | None:
        """See :meth:`ivfuse.video.writer.FrameWriter.close`."""
        if self._bag is None or self._folder is None:
            return None
        try:
            self._bag.close()
            os.replace(self._folder / f"{self._folder.name}.mcap", self._path)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be completed: {error.strerror or error}") from error
        finally:
            self._discard()
        return self._path

    def _open(self) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer

        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = part_of(self._path)
        self._bag = Writer(self._folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._bag.open()
        self._images = self._bag.add_connection(self._topic, IMAGE, typestore=ros2_typestore())

    def _discard(self) -> None:
        """Remove the unfinished folder."""
        self._bag = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _put(self, connection: Any, kind: str, header: MessageHeader, message: Any) -> None:
        self._bag.write(connection, _bounded(header.stamp), ros2_typestore().serialize_cdr(message, kind))

    def _put_camera(self, header: MessageHeader, camera: PinholeCamera) -> None:
        if self._cameras is None:
            name = camera_info_of(self._topic)
            self._cameras = self._bag.add_connection(name, CAMERA_INFO, typestore=ros2_typestore())
        self._put(self._cameras, CAMERA_INFO, header, _camera_info_of(camera, self._header(header)))

    def _header(self, header: MessageHeader) -> Any:
        types = ros2_typestore().types
        seconds, nanoseconds = divmod(_bounded(header.stamp), 10**9)
        stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
        return types["std_msgs/msg/Header"](stamp=stamp, frame_id=header.frame)


def _bounded(stamp: int) -> int:
    """The nearest time that a header of ROS 2 can state, in nanoseconds; those of logs have 64 bit."""
    return min(max(0, stamp), _LATEST)


def _image_of(frame: Frame, header: Any) -> Any:
    """The message of a frame: ``mono8``, or ``bgr8`` if it has color."""
    pixels = np.ascontiguousarray(to_opencv(frame))
    encoding = "mono8" if pixels.ndim == 2 else "bgr8"
    return ros2_typestore().types[IMAGE](
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.reshape(-1),
    )


def _camera_info_of(camera: PinholeCamera, header: Any) -> Any:
    types = ros2_typestore().types
    projection = np.hstack([camera.array, np.zeros((3, 1))])
    region = types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types[CAMERA_INFO](
        header=header,
        height=camera.size[1],
        width=camera.size[0],
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=camera.array.ravel(),
        r=np.eye(3).ravel(),
        p=projection.ravel(),
        binning_x=0,
        binning_y=0,
        roi=region,
    )
