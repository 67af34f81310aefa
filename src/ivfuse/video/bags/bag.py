"""A ROS 1 bag, ROS 2 bag or MCAP file, opened by the package rosbags: its topics and their messages.

The definitions of messages in a bag are not used, because rosbags would run code that it makes of them. The
few types that matter here have kept their fields in all distributions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivfuse.errors import InputError, IvfuseError, MissingExtraError
from ivfuse.runtime.files import check_regular
from ivfuse.video.bags.decompress import bound_rosbags, zstd
from ivfuse.video.bags.location import METADATA, storages

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"
IMAGES = (IMAGE, COMPRESSED_IMAGE)

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_MAX_METADATA = 1 << 24  # bytes
_SEARCHED = 32  # messages among which one can be expected to be sound


class BadMessageError(IvfuseError):
    """A message that cannot be used; those around it may be fine."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: such as ``/thermal/image_raw``.
        type: such as ``sensor_msgs/msg/Image``.
        count: number of messages; ``None`` if the bag has no index.
        connections: those of rosbags, one per publisher.
    """

    name: str
    type: str
    count: int | None
    connections: tuple[Connection, ...]


class Bag:
    """An open bag.

    Attributes:
        path: the file or folder.
        end: time of the last message in the log, in nanoseconds; ``None`` if the bag has no index.
        seconds: from the first to the last message of the log; ``None`` likewise.
        unfinished: the recorder did not close the file, which has no index.
    """

    def __init__(self, path: Path) -> None:
        """Open a bag and read its index.

        Raises:
            MissingExtraError: if rosbags is not installed.
            InputError: if the bag is missing, damaged or of an unsupported kind.
        """
        self.path = path
        self.unfinished = False
        if not path.exists():
            raise InputError(f"{path}: no such file", expected="a .bag or .mcap file, or a ROS 2 folder")
        check_regular(path)
        require_rosbags()
        self.is_ros1 = path.suffix.lower() == ".bag" and not path.is_dir()
        self._compressed_messages = False
        try:
            self._reader = self._open()
            self._connections: list[Connection] = list(self._reader.connections)
        except InputError:
            raise
        except Exception as error:  # rosbags raises many kinds of exceptions on damaged files
            raise InputError(f"{path}: cannot be read: {_reason(error)}", hint=self._repair()) from error
        if self.unfinished and not self._connections:
            raise InputError(f"{path}: the recording was not finished, and no complete chunk was written")
        self.end = None if self.unfinished else int(self._reader.end_time)
        self.seconds = None if self.unfinished else self._reader.duration * 1e-9

    @property
    def topics(self) -> dict[str, Topic]:
        """All topics by their names, in the order of the names."""
        found: dict[str, list[Connection]] = {}
        for connection in self._connections:
            found.setdefault(connection.topic, []).append(connection)
        return {name: self._topic(name, found[name]) for name in sorted(found)}

    def messages(self, topic: Topic) -> Iterator[tuple[int, bytes]]:
        """Yield the log time in nanoseconds and the bytes of each message, in the order of the log.

        Raises:
            InputError: where the bag cannot be read any further.
        """
        try:
            for _, time, data in self._reader.messages(connections=topic.connections):
                yield time, data
        except Exception as error:  # see above
            why = "the recording was not finished" if self.unfinished else _reason(error)
            raise InputError(f"{self.path}: ends early: {why}") from error

    def parse(self, topic: Topic, data: bytes) -> Any:
        """The fields of a message.

        Raises:
            BadMessageError: if the bytes are not a message of this type.
        """
        try:
            if self.is_ros1:
                return _typestore(1).deserialize_ros1(data, topic.type)
            return _typestore(2).deserialize_cdr(
                zstd(data) if self._compressed_messages else data, topic.type
            )
        except Exception as error:  # see above
            raise BadMessageError(f"a message that is no {topic.type}: {_reason(error)}") from error

    def beginning(self, topic: Topic, count: int) -> Iterator[tuple[int, bytes]]:
        """The first messages as :meth:`messages` yields them; fewer where the bag ends early.

        Raises:
            InputError: if none can be read.
        """
        found = False
        try:
            for each in islice(self.messages(topic), count):
                found = True
                yield each
        except InputError:
            if not found:
                raise

    def first(self, topic: Topic) -> Any:
        """The fields of the first message that can be parsed; ``None`` if there is none."""
        with suppress(InputError):
            for _, data in self.beginning(topic, _SEARCHED):
                with suppress(BadMessageError):
                    return self.parse(topic, data)
        return None

    def close(self) -> None:
        """Close the files."""
        with suppress(Exception):
            self._reader.close()

    def _topic(self, name: str, connections: Sequence[Connection]) -> Topic:
        # Publishers of other types than the first are left out.
        same = tuple(each for each in connections if each.msgtype == connections[0].msgtype)
        count = None if self.unfinished else sum(each.msgcount for each in same)
        return Topic(name, same[0].msgtype, count, same)

    def _open(self) -> Any:
        if self.is_ros1:
            from rosbags.rosbag1 import Reader as Reader1

            reader: Any = Reader1(self.path)
            reader.open()
            return reader
        file = self._storage()
        if file.suffix == ".mcap" and _is_unfinished(file):
            self.unfinished = True
            return _open_unfinished(file)
        from rosbags.rosbag2 import Reader as Reader2

        reader = Reader2(file)
        reader.open()
        if reader.compression_mode == "message":  # decompressed here, with a bound
            reader.storage.metadata = reader.storage.metadata._replace(compression_mode=None)
            self._compressed_messages = True
        return reader

    def _storage(self) -> Path:
        """The path to give to rosbags: of a folder without metadata, its only file."""
        metadata = self.path / METADATA
        if not self.path.is_dir():
            return self.path
        if metadata.is_file():
            if metadata.stat().st_size > _MAX_METADATA:
                raise InputError(f"{metadata}: found more than {_MAX_METADATA >> 20} MiB")
            return self.path
        files = storages(self.path)
        if len(files) == 1:
            return files[0]
        raise InputError(
            f"{self.path}: found {len(files)} files of messages without {METADATA}",
            hint="ros2 bag reindex writes it",
        )

    def _repair(self) -> str | None:
        """How to repair a bag; ``None`` if it is none."""
        try:
            with self.path.open("rb") as file:
                head = file.read(8)
        except OSError:
            return None
        return "rosbag reindex repairs it" if head == b"#ROSBAG " else None


def require_rosbags() -> None:
    """Raise MissingExtraError if rosbags is not installed."""
    try:
        import rosbags.rosbag1
        import rosbags.rosbag2  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading and writing bags", "robots") from error
    bound_rosbags()


@cache
def _typestore(generation: int) -> Any:
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS1_NOETIC if generation == 1 else Stores.ROS2_HUMBLE)


def ros2_typestore() -> Any:
    """The types of ROS 2 messages in rosbags."""
    return _typestore(2)


def _is_unfinished(path: Path) -> bool:
    """Whether an MCAP file begins as one and does not end as one."""
    with path.open("rb") as file:
        head = file.read(len(_MCAP_MAGIC))
        file.seek(-min(len(_MCAP_MAGIC), path.stat().st_size), 2)
        return head == _MCAP_MAGIC and file.read() != _MCAP_MAGIC


def _open_unfinished(path: Path) -> Any:
    """A reader of an MCAP file without footer, which reads its records one after another."""
    from rosbags.rosbag2.storage_mcap import McapReader

    reader: Any = McapReader(path)
    reader.bio = path.open("rb")
    reader.bio.seek(len(_MCAP_MAGIC) + 1)  # and the opcode of the header
    header = int.from_bytes(reader.bio.read(8), "little")
    reader.data_start = len(_MCAP_MAGIC) + 9 + header
    reader.data_end = path.stat().st_size
    with suppress(Exception):  # always ends with an error: the last record is incomplete
        reader.meta_scan()
    return reader


def _reason(error: Exception) -> str:
    """An exception of rosbags in one line."""
    text = " ".join(str(error).split())[:200].partition(": ('")[0].rstrip(".")
    return text or type(error).__name__
