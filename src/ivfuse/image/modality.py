"""The words and letters in file names that denote a modality, thermal or visible."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from pathlib import Path

IR_WORDS = ("infrared", "thermal", "lwir", "therm", "tir", "ir")
VI_WORDS = ("visible", "visual", "vis", "rgb", "colour", "color", "eo", "vi")
FUSED_WORDS = ("fused", "fusion", "fuse", "result", "output", "f")

# Letters that denote a camera: at the end of a name as in DJI_0001_T, or after a number of four digits and
# before further text as in DJI_20230101120002_0001_T_point1. The zoom camera, Z, is recognized after a digit.
_IR_LETTERS = (r"(?<=[\W_])t$", r"(?<=_\d{4}_)t(?=_)")
_VI_LETTERS = (r"(?<=[\W_])[vw]$", r"(?<=\d_)z$", r"(?<=_\d{4}_)[vwz](?=_)")
_CAMERA = r"_([vwz])(?=_|$)"
_CAMERAS = "vwz"  # preferred first: those with about the field of view of the thermal camera before the zoom


class Words:
    """The words for one modality in file names, where no letter precedes or follows them."""

    def __init__(self, words: tuple[str, ...], letters: tuple[str, ...]) -> None:
        """Store the words; ``letters`` are patterns that denote a camera by one letter."""
        letter = r"[^\W\d_]"
        self.words = words
        self._patterns = (rf"(?<!{letter})(?:{'|'.join(words)})(?!{letter})", *letters)

    @cached_property
    def word(self) -> re.Pattern[str]:
        """Pattern of the words."""
        return re.compile(self._patterns[0], re.IGNORECASE)

    @cached_property
    def any(self) -> re.Pattern[str]:
        """Pattern of the words and letters."""
        return re.compile("|".join(self._patterns), re.IGNORECASE)

    def key(self, path: Path) -> str:
        """Return the stem without the words and with unified separators."""
        return "_".join(re.split(r"[\W_]+", self.any.sub(" ", plain_key(path)).strip(" _-.")))

    def name(self, path: Path) -> str:
        """Return the stem as written but without the words, or the whole stem if nothing is left."""
        parts = [part.strip(" _-.") for part in self.any.split(path.stem)]
        separators = re.findall(r"[ _\-.]", path.stem)
        return (separators[0] if separators else "_").join(part for part in parts if part) or path.stem

    def folders(self, folders: list[Path]) -> list[Path]:
        """Select the folders of this modality: exact names first, otherwise names that contain a word."""
        exact = [x for x in folders if x.name.casefold() in self.words]
        other = VI if self is IR else IR
        return exact or [x for x in folders if self.word.search(x.name) and not other.word.search(x.name)]


IR = Words(IR_WORDS, _IR_LETTERS)
VI = Words(VI_WORDS, _VI_LETTERS)
ANY = Words((*FUSED_WORDS, *IR_WORDS, *VI_WORDS), (*_IR_LETTERS, *_VI_LETTERS))


def plain_key(path: Path) -> str:
    """Return the stem for comparison, in which case and the form of accents do not matter."""
    return unicodedata.normalize("NFC", path.stem).casefold()


def modality(path: Path) -> Words | None:
    """Determine the modality from a file name; ``None`` if it contains none or both."""
    for kind in ("word", "any"):
        found = [words for words in (IR, VI) if getattr(words, kind).search(path.stem)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def preferred(visible: list[Path]) -> list[Path]:
    """Select the images of the preferred camera from visible images of one scene: V, then W, then Z.

    All images are returned if one of the names contains no such letter.
    """
    letters = [re.search(_CAMERA, path.stem, re.IGNORECASE) for path in visible]
    ranks = [_CAMERAS.index(found[1].lower()) if found else -1 for found in letters]
    if not ranks or min(ranks) < 0:
        return visible
    return [path for path, rank in zip(visible, ranks, strict=True) if rank == min(ranks)]
