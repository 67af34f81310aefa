"""Registration of a request's pair, with a cache: other options of the same pair need no new registration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivfuse.runtime.files import sha256_of

if TYPE_CHECKING:
    from ivfuse.registration.transform import Registration

_CACHE_SIZE = 32  # registrations, a few hundred bytes each
_BY_CAMERA = "The two images of one file are aligned by the camera's own calibration."


@dataclass(frozen=True)
class PairRegistration:
    """The registration of a pair.

    Attributes:
        registration: the transform; ``None`` if it was rejected.
        facts: fields of :class:`ivfuse.server.schemas.RegistrationReply`; empty if none was requested.
    """

    registration: Registration | None
    facts: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether there is a transform."""
        return self.registration is not None

    @property
    def fuser_options(self) -> dict[str, Any]:
        """Arguments of the Fuser that apply it."""
        return {} if self.registration is None else {"rig": self.registration}


NOT_REQUESTED = PairRegistration(None, {})


def register_pair(ir: Path, vi: Path | None) -> PairRegistration:
    """Register a pair of files.

    Args:
        ir: thermal, an image or a camera's file.
        vi: visible; ``None`` if the camera's file contains it, which then is aligned by its calibration.

    Raises:
        InputError: if an image cannot be used.
    """
    if vi is None:
        return _rejected(_BY_CAMERA)
    from ivfuse.fusion.register import read_images
    from ivfuse.registration.register import register_grays

    thermal, visible, ratio = read_images(ir, vi)
    result = register_grays([("pair", thermal, visible)], field_ratio=ratio)
    score = round(float(result.quality.inlier_ratio), 4)
    if result.reason or result.registration is None:
        reason = result.reason or "no common structure was found in the two images"
        return _rejected(f"{reason[:1].upper()}{reason[1:]}; the pair was left as it is.", score)
    matrix = [list(row) for row in result.registration.matrix]
    summary = f"Registered: {score:.0%} of the image blocks agree with the transform."
    facts = {"found": True, "score": score, "summary": summary, "matrix": matrix}
    return PairRegistration(result.registration, facts)


class RegistrationCache:
    """The registrations of the last pairs, by a hash of the files."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: dict[str, PairRegistration] = {}

    def get(self, ir: Path, vi: Path | None) -> PairRegistration:
        """As :func:`register_pair`, from the cache if possible."""
        key = "".join(sha256_of(file) for file in (ir, vi) if file)
        entry = self._entries.pop(key, None) or register_pair(ir, vi)
        self._entries[key] = entry
        if len(self._entries) > _CACHE_SIZE:
            del self._entries[next(iter(self._entries))]
        return entry


def _rejected(summary: str, score: float = 0.0) -> PairRegistration:
    return PairRegistration(None, {"found": False, "score": score, "summary": summary, "matrix": None})
