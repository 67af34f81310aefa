"""The one door to registration: where a pair's thermal image lies on its visible one, for a client."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ivfuse.registration.transform import Registration

_KEPT = 32  # registrations, a few hundred bytes each
_BY_CAMERA = "The two images of one file are placed by the camera's own parameters."


@dataclass(frozen=True)
class Found:
    """What registering a pair gave.

    Attributes:
        rig: for the Fuser; ``None`` if no transform is sure.
        facts: for clients; see :class:`ivfuse.server.schemas.Registration`.
    """

    rig: Registration | None
    facts: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """What the Fuser is told."""
        return {} if self.rig is None else {"rig": self.rig}


NOT_ASKED = Found(None, {})


def find(ir: Path, vi: Path | None) -> Found:
    """Register a pair.

    Args:
        ir: thermal, an image or a camera's file.
        vi: visible; ``None`` if the camera's file holds it, which then says itself how the two lie.

    Raises:
        InputError: if an image cannot be used.
    """
    if vi is None:
        return _refused(_BY_CAMERA)
    from ivfuse.fusion.register import thermal_gray, visible_gray
    from ivfuse.registration.register import register_grays

    result = register_grays([("pair", thermal_gray(ir), visible_gray(vi))])
    score = round(float(result.quality.inlier_ratio), 4)
    if result.reason or result.registration is None:
        reason = result.reason or "nothing that both images show was found"
        return _refused(f"{reason[:1].upper()}{reason[1:]}; the pair was left as it is.", score)
    matrix = [list(row) for row in result.registration.matrix]
    summary = f"Registered: {score:.0%} of the image's parts agree."
    return Found(result.registration, {"found": True, "score": score, "summary": summary, "matrix": matrix})


class Memory:
    """The last pairs that were registered, told by their bytes: another method needs no other."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._known: dict[str, Found] = {}

    def find(self, ir: Path, vi: Path | None) -> Found:
        """As :func:`find`, from memory where it can."""
        key = "".join(sha256(file.read_bytes()).hexdigest() for file in (ir, vi) if file)
        found = self._known.pop(key, None) or find(ir, vi)
        self._known[key] = found
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return found


def _refused(summary: str, score: float = 0.0) -> Found:
    return Found(None, {"found": False, "score": score, "summary": summary, "matrix": None})
