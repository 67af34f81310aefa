"""What ``ivfuse info`` prints about a bag."""

from __future__ import annotations

from typing import Any


def lines(facts: dict[str, Any]) -> list[str]:
    """The description of a bag as lines: topics of images, what to type, other topics."""
    path = facts["file"]
    out = [f"file:     {path}", f"format:   {facts['format']}"]
    if facts["seconds"] is not None:
        out.append(f"duration: {facts['seconds']:.1f} s")
    out += [f"note:     {note}" for note in facts["notes"]]
    images = [_image_cells(image) for image in facts["images"]]
    out += ["", "topics of images:" if images else "no topics of images", *_table(images)]
    if facts["others"]:
        others = [[each["topic"], each["type"], f"{each['messages']} messages"] for each in facts["others"]]
        out += ["", "other topics:", *_table(others)]
    if facts["thermal"]:
        out += ["", f"thermal:  {path}:{facts['thermal']}", f"visible:  {path}:{facts['visible']}"]
    return out


def _image_cells(image: dict[str, Any]) -> list[str]:
    cells = [image["topic"], image["type"], f"{image['messages']} messages"]
    if image["fault"]:
        return [*cells, image["fault"]]
    cells += [image["encoding"], f"{image['width']}x{image['height']}"]
    if image["rate"]:
        cells += [f"{image['rate']:g} Hz", f"{image['seconds']:.1f} s"]
    return [*cells, "camera_info"] if image["calibrated"] else cells


def _table(rows: list[list[str]]) -> list[str]:
    """Rows with aligned columns."""
    columns = max(map(len, rows), default=0)
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(columns)]
    return ["  " + "  ".join(f"{cell:<{widths[at]}}" for at, cell in enumerate(row)).rstrip() for row in rows]
