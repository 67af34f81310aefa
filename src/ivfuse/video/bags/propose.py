"""The topics of images in a bag, and which of them are the thermal and the visible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ivfuse.errors import InputError, UsageError
from ivfuse.video.bags.bag import IMAGES, BadMessageError, Bag, Topic
from ivfuse.video.bags.images import ImageFacts, describe_image

_THERMAL = re.compile(
    r"therm|lwir|mwir|flir|boson|lepton|seek|optris|(?<![a-z])(ir|tir|infrared)(?![a-z])", re.I
)
_NOT_THERMAL = re.compile(r"depth|disparity|confidence", re.I)
_LISTED = 8  # topics in an error


@dataclass(frozen=True)
class ImageTopic:
    """A topic of images.

    Attributes:
        topic: name, type and count.
        facts: of its first image; ``None`` if that is not supported.
        fault: why it is not supported, or "".
    """

    topic: Topic
    facts: ImageFacts | None
    fault: str = ""

    @property
    def is_thermal(self) -> bool:
        """Whether it looks like a thermal camera's, by its name or by deep gray values."""
        name = self.topic.name
        if self.facts is None or _NOT_THERMAL.search(name):
            return False
        return bool(_THERMAL.search(name)) or (self.facts.deep and not self.facts.color)

    @property
    def is_visible(self) -> bool:
        """Whether it looks like a color camera's."""
        return self.facts is not None and self.facts.color and not self.is_thermal

    def __str__(self) -> str:
        """Name, encoding and size."""
        if self.facts is None:
            return f"{self.topic.name} (not supported)"
        return f"{self.topic.name} ({self.facts.encoding} {self.facts.width}x{self.facts.height})"


def image_topics(bag: Bag) -> list[ImageTopic]:
    """All topics of images, with the facts of their first message."""
    return [_image_topic(bag, topic) for topic in bag.topics.values() if topic.type in IMAGES]


def propose(topics: list[ImageTopic]) -> tuple[ImageTopic, ImageTopic] | None:
    """The thermal and the visible topic, if exactly one of each exists.

    A topic and its compressed twin are one, of which the uncompressed is taken.
    """
    thermal = _without_twins([topic for topic in topics if topic.is_thermal])
    visible = _without_twins([topic for topic in topics if topic.is_visible])
    return (thermal[0], visible[0]) if len(thermal) == len(visible) == 1 else None


def explain_topics(path: Path) -> NoReturn:
    """Raise UsageError with the topics of a bag for which none is given.

    Raises:
        MissingExtraError: if rosbags is not installed.
        InputError: if the bag cannot be read.
    """
    bag = Bag(path)
    try:
        topics = image_topics(bag)
        raise UsageError(f"{bag.path}: give a topic", expected=_list(topics), hint=_hint(bag, topics))
    finally:
        bag.close()


def required_topic(bag: Bag, name: str) -> Topic:
    """The topic of images of a name.

    Raises:
        UsageError: if no name is given; the error proposes topics.
        InputError: if there is no such topic, or its messages are no images; the error lists those that are.
    """
    if not name:
        explain_topics(bag.path)
    topics_by_name = bag.topics
    topic = topics_by_name.get(name) or topics_by_name.get(name.removeprefix("/"))
    if topic is None:
        raise InputError(f"{bag.path}: no topic {name}", expected=_list(image_topics(bag)))
    if topic.type not in IMAGES:
        raise InputError(f"{bag.path}:{name}: found {topic.type}", expected=_list(image_topics(bag)))
    return topic


def _image_topic(bag: Bag, topic: Topic) -> ImageTopic:
    message = bag.first(topic)
    if message is None:
        return ImageTopic(topic, None, "no message that can be read")
    try:
        return ImageTopic(topic, describe_image(topic.type, message))
    except BadMessageError as error:
        return ImageTopic(topic, None, str(error))


def _without_twins(topics: list[ImageTopic]) -> list[ImageTopic]:
    names = {topic.topic.name for topic in topics}
    return [
        topic
        for topic in topics
        if topic.topic.name.removesuffix("/compressed") not in names - {topic.topic.name}
    ]


def _list(topics: list[ImageTopic]) -> str:
    if not topics:
        return "a topic of images, of which the bag has none"
    more = f" and {len(topics) - _LISTED} more" if len(topics) > _LISTED else ""
    return f"one of {', '.join(map(str, topics[:_LISTED]))}{more}"


def _hint(bag: Bag, topics: list[ImageTopic]) -> str | None:
    found = propose(topics)
    if found is None:
        return None
    thermal, visible = (f"{bag.path}:{each.topic.name}" for each in found)
    return f"thermal {thermal}, visible {visible}"
