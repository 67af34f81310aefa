"""A description of a bag: its topics, the images in them, and which are the thermal and the visible."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from ivfuse.errors import InputError
from ivfuse.video.bags.bag import Bag
from ivfuse.video.bags.calibration import camera_info_of
from ivfuse.video.bags.propose import ImageTopic, image_topics, propose
from ivfuse.video.bags.source import PROBED, rate_of


def describe_bag(path: Path) -> dict[str, Any]:
    """Describe a bag.

    Args:
        path: a .bag, .mcap or .db3 file, or the folder of a ROS 2 bag.

    Returns:
        A dictionary of strings, numbers, lists and dictionaries: ``format``, ``seconds``, ``images`` (topic,
        type, messages, encoding, width, height, rate, seconds, calibrated), ``others`` (topic, type,
        messages), ``thermal`` and ``visible`` (topics, if exactly one of each exists) and ``notes``.

    Raises:
        MissingExtraError: if rosbags is not installed.
        InputError: if the bag cannot be read.
    """
    bag = Bag(path)
    try:
        return _describe(bag)
    finally:
        bag.close()


def _describe(bag: Bag) -> dict[str, Any]:
    images = image_topics(bag)
    counts = _counted(bag) if bag.unfinished else Counter()
    names = {image.topic.name for image in images}
    found = propose(images)
    return {
        "file": str(bag.path),
        "format": "ROS 1 bag" if bag.is_ros1 else "ROS 2 bag",
        "seconds": bag.seconds,
        "images": [_image_facts(bag, image, counts) for image in images],
        "others": [
            {"topic": topic.name, "type": topic.type, "messages": counts.get(topic.name, topic.count)}
            for topic in bag.topics.values()
            if topic.name not in names
        ],
        "thermal": found[0].topic.name if found else None,
        "visible": found[1].topic.name if found else None,
        "notes": ["the recording was not finished; it is read to where it ends"] if bag.unfinished else [],
    }


def _image_facts(bag: Bag, image: ImageTopic, counts: Counter[str]) -> dict[str, Any]:
    facts, topic = image.facts, image.topic
    count = counts.get(topic.name, topic.count)
    rate = _rate(bag, image) if facts is not None else None
    return {
        "topic": topic.name,
        "type": topic.type,
        "messages": count,
        "encoding": None if facts is None else facts.encoding,
        "width": None if facts is None else facts.width,
        "height": None if facts is None else facts.height,
        "rate": None if rate is None else round(rate, 3),
        "seconds": None if rate is None or count is None else round(count / rate, 3),
        "calibrated": camera_info_of(topic.name) in bag.topics,
        "fault": image.fault or None,
    }


def _rate(bag: Bag, image: ImageTopic) -> float | None:
    """Frames per second by the first messages in the log; ``None`` if there is one only."""
    times = [time for time, _ in bag.beginning(image.topic, PROBED)]
    return float(rate_of(times)) if len(times) > 1 else None


def _counted(bag: Bag) -> Counter[str]:
    """Number of messages of each topic of a bag without index, which is read once for each."""
    counts: Counter[str] = Counter()
    for topic in bag.topics.values():
        with suppress(InputError):  # where the recording ends
            for _ in bag.messages(topic):
                counts[topic.name] += 1
    return counts
