"""A topic of images in a bag, read as a video that is timed by the stamps of its messages."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ivfuse.errors import InputError
from ivfuse.registration.pinhole import Undistorter
from ivfuse.video.bags.bag import BadMessageError, Bag
from ivfuse.video.bags.calibration import Calibration, read_calibration
from ivfuse.video.bags.images import decode_image, describe_image, to_planes
from ivfuse.video.bags.location import BagTopic
from ivfuse.video.bags.propose import required_topic
from ivfuse.video.frame import BT601, UNSPECIFIED, Frame, MessageHeader
from ivfuse.video.source import DEFAULT_RATE, Modality, SourceInfo, SourceStats, TimestampNormalizer

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

PROBED = 32  # messages that are read for the rate and the first image
_RATES = (0.01, 1000.0)  # plausible ones, frames per second
_REORDERED = 8  # messages among which those that arrived out of order are sorted
_CLOCK_RESET = 500_000_000  # nanoseconds; a larger step back is a clock that was reset


@dataclass(frozen=True, order=True)
class _Stamped:
    """A message and its time in nanoseconds."""

    time: int
    index: int
    message: Any = field(compare=False)


class BagSource:
    """Images of one topic as a :class:`~ivfuse.video.source.FrameSource`, without lens distortion.

    Attributes:
        calibration: of the camera.
    """

    def __init__(self, location: BagTopic, modality: Modality) -> None:
        """Open the bag and read the first messages of the topic.

        Args:
            location: the bag and the topic.
            modality: see :func:`ivfuse.video.open.open_source`.

        Raises:
            MissingExtraError: if rosbags is not installed.
            InputError: if the bag cannot be read or has no images in this topic.
            UsageError: if no topic is given.
        """
        self._modality = modality
        self._bag = Bag(location.path)
        try:
            self._topic = required_topic(self._bag, location.topic)
            self._name = f"{location.path}:{self._topic.name}"
            self.stats = SourceStats()
            self._probe()
        except BaseException:
            self._bag.close()
            raise
        self._undistorter = None if self.calibration.camera is None else Undistorter(self.calibration.camera)

    def items(self) -> Iterator[Frame | AudioPacket]:
        """Yield the images in the order of their times; those that cannot be used are recorded."""
        timestamps = TimestampNormalizer(self.info.rate, self.stats)
        for each in self._in_order():
            seconds = each.time * 1e-9
            try:
                if isinstance(each.message, BadMessageError):
                    raise each.message
                frame = self._frame(each, seconds)
            except BadMessageError as error:
                self.stats.damaged += 1
                self.stats.record_failure(self._name, each.index, seconds, str(error))
                continue
            time = timestamps.normalize(seconds)
            if time is not None:
                yield replace(frame, time=time)

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def _probe(self) -> None:
        """Read the first messages: the size, the rate, the clock, and the calibration."""
        times, stamps, facts, frame, fault = [], [], None, "", "it has no messages"
        for time, data in self._bag.beginning(self._topic, PROBED):
            try:
                message = self._bag.parse(self._topic, data)
                found = describe_image(self._topic.type, message)
            except BadMessageError as error:
                fault = str(error)
                continue
            times.append(time)
            stamps.append(_stamp_of(message))
            if facts is None:
                facts, frame = found, str(message.header.frame_id)
        if facts is None:
            raise InputError(f"{self._name}: found no image: {fault}")
        self._stamped = all(stamp > 0 for stamp in stamps)
        clock = stamps if self._stamped else times
        size = facts.width, facts.height
        self.calibration: Calibration = read_calibration(self._bag, self._topic.name, frame, size)
        self.info = self._facts(size, clock, times[0])

    def _facts(self, size: tuple[int, int], clock: list[int], logged: int) -> SourceInfo:
        """What is known before the frames are read; the number of frames is at least that of the index."""
        rate = rate_of(clock)
        frames = self._topic.count
        if frames is not None and self._bag.end is not None:  # gaps lengthen the video
            frames = max(frames, round((self._bag.end - logged) * 1e-9 * float(rate)))
        notes = [self.calibration.note]
        if not self._stamped:
            notes.append("messages without stamps, timed by their arrival in the log")
        return SourceInfo(
            self._name, *size, rate=rate, frames=frames, start=min(clock) * 1e-9, notes=tuple(notes)
        )

    def _in_order(self) -> Iterator[_Stamped]:
        """Messages sorted by time within a few neighbors; the end of a damaged bag is recorded."""
        waiting: list[_Stamped] = []
        latest = 0
        for each in self._read():
            if each.time < latest - _CLOCK_RESET:
                yield from sorted(waiting)
                waiting.clear()
            latest = each.time
            heapq.heappush(waiting, each)
            if len(waiting) > _REORDERED:
                yield heapq.heappop(waiting)
        yield from sorted(waiting)

    def _read(self) -> Iterator[_Stamped]:
        """Messages in the order of the log; a damaged one takes the time of its arrival."""
        index, last = 0, 0
        try:
            for time, data in self._bag.messages(self._topic):
                message: Any
                try:
                    message = self._bag.parse(self._topic, data)
                    last = _stamp_of(message) if self._stamped else time
                    if last <= 0:
                        raise BadMessageError("found a message without a stamp among others with stamps")
                except BadMessageError as error:
                    message = error
                yield _Stamped(last, index, message)
                index += 1
        except InputError as error:
            self.stats.record_failure(self._name, index, last * 1e-9, str(error))

    def _frame(self, each: _Stamped, seconds: float) -> Frame:
        pixels = decode_image(self._topic.type, each.message)
        height, width = pixels.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            expected = f"{self.info.width}x{self.info.height} as in the first image"
            raise BadMessageError(f"found {width}x{height} pixels, expected {expected}")
        planes = to_planes(pixels, self._modality)
        camera = self.calibration.camera
        if self._undistorter is not None and camera is not None:
            planes = tuple(self._undistorter.apply(plane) for plane in planes)
            camera = camera.undistorted()
        header = MessageHeader(each.time, str(each.message.header.frame_id), camera)
        matrix = BT601 if len(planes) == 3 else UNSPECIFIED
        return Frame(planes, seconds, each.index, matrix=matrix, header=header)


def _stamp_of(message: Any) -> int:
    """The stamp of a message in nanoseconds; 0 or less if it has none."""
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def rate_of(times: list[int]) -> Fraction:
    """Frames per second by the median step between times in nanoseconds; 25 if there is one time only."""
    steps = np.diff(np.sort(times))
    steps = steps[steps > 0]
    if not steps.size:
        return DEFAULT_RATE
    rate = 1e9 / float(np.median(steps))
    return Fraction(min(max(rate, _RATES[0]), _RATES[1])).limit_denominator(1001)
