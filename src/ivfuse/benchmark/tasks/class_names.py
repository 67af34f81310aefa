"""Names of object classes: those of COCO, and which names of data sets mean the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ivfuse.errors import UnknownNameError, UsageError

COCO = tuple(
    """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|
parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|
suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|
tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|
hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|
cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear|hair drier|
toothbrush""".replace("\n", "").split("|")
)

# A name of COCO, and what sets of infrared and visible pairs call the same. M3FD's Lamp has no counterpart.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "person": ("people", "persons", "pedestrian", "pedestrians", "human", "man"),
    "bicycle": ("bike", "cycle", "bicycles"),
    "car": ("cars", "automobile", "sedan"),
    "motorcycle": ("motorbike", "motor", "motorcycles"),
    "bus": ("buses", "coach"),
    "truck": ("trucks", "lorry", "freight car"),
    "traffic light": ("trafficlight", "traffic lights", "light"),
    "dog": ("dogs",),
    "train": ("trains", "tram"),
    "boat": ("boats", "ship"),
    "airplane": ("aeroplane", "plane"),
    "stop sign": ("sign stop",),
}
_CANONICAL = {name: name for name in COCO} | {
    other: name for name, others in SYNONYMS.items() for other in others
}


def canonical(name: str) -> str:
    """The name of COCO for what a data set calls a class, or the name itself, in plain small letters."""
    plain = re.sub(r"[\s_-]+", " ", name.strip().casefold())
    return _CANONICAL.get(plain, plain)


def parse_class_map(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``People=person,Car=car|truck``: a label's name and the detector's names that count as it.

    Raises:
        UsageError: it cannot be read.
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        label, equals, names = part.partition("=")
        others = tuple(name.strip() for name in names.split("|") if name.strip())
        if not equals or not label.strip() or not others:
            raise UsageError(
                f"class map {part!r}: expected LABEL=DETECTED, as in People=person,Car=car|truck"
            )
        found[label.strip()] = others
    return found


def match_classes(
    labels: Sequence[str], detected: Sequence[str], given: Mapping[str, Sequence[str]] | None = None
) -> list[int]:
    """For each class of a detector the label's class that it counts as.

    Args:
        labels: names of the labeled classes.
        detected: names of the detector's classes.
        given: label's name -> detector's names, which take the place of equal names for that label.

    Returns:
        An index into ``labels`` for each name of ``detected``; -1 where there is none.

    Raises:
        UnknownNameError: ``given`` names a class that there is not.
    """
    given = given or {}
    plain = [canonical(name) for name in labels]
    out = [-1] * len(detected)
    taken = {_find(name, labels, "labeled class") for name in given}
    for index, name in enumerate(detected):
        found = canonical(name)
        if found in plain and plain.index(found) not in taken:
            out[index] = plain.index(found)
    for label, names in given.items():
        for name in names:
            out[_find(name, detected, "class of the detector")] = _find(label, labels, "labeled class")
    return out


def _find(name: str, names: Sequence[str], kind: str) -> int:
    plain = [each.casefold() for each in names]
    if name.casefold() not in plain:
        raise UnknownNameError(kind, name, names)
    return plain.index(name.casefold())
