"""Pairing of thermal, visible and fused files by name, ignoring the words that denote a modality.

Nothing is guessed: names that match several files and files without a match are reported.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ivfuse.errors import InputError
from ivfuse.image.listing import Listing, list_folder, list_images, natural_key, note_on_drawn
from ivfuse.image.modality import ANY, IR, VI, modality, plain_key, preferred

_EXPECTED = "expected folders like ir/ and vi/, or names like x_ir.png and x_vi.png"


@dataclass(frozen=True)
class FilePair:
    """A thermal and a visible file that belong together.

    Attributes:
        name: the common part of both names, used to name outputs.
        ir: the thermal file.
        vi: the visible file; equal to ``ir`` for a camera file that contains both.
    """

    name: str
    ir: Path
    vi: Path


@dataclass(frozen=True)
class Pairing:
    """The result of pairing folders.

    Attributes:
        pairs: the pairs in natural order of their names.
        orphans: images without a counterpart.
        ambiguous: one line for each name that matches several files, which lists them.
        notes: remarks for the user on pairs that were found or almost found by other means than equal names,
            and on images that were left out.
        others: files of the folders that are no images by their suffix, such as videos.
    """

    pairs: tuple[FilePair, ...]
    orphans: tuple[Path, ...]
    ambiguous: tuple[str, ...]
    notes: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FileTriple:
    """A pair of files and its fused image.

    Attributes:
        name: name of the pair.
        ir: the thermal file.
        vi: the visible file.
        fused: the fused file.
    """

    name: str
    ir: Path
    vi: Path
    fused: Path


@dataclass(frozen=True)
class TriplePairing:
    """The result of matching fused images to pairs.

    Attributes:
        triples: the triples in natural order of their names.
        missing: names of the pairs without a fused image.
        orphans: images that belong to no pair.
        ambiguous: one line for each name that matches several files, which lists them.
        notes: those of the pairing.
    """

    triples: tuple[FileTriple, ...]
    missing: tuple[str, ...]
    orphans: tuple[Path, ...]
    ambiguous: tuple[str, ...]
    notes: tuple[str, ...] = ()


def pair_folders(ir_dir: Path | str, vi_dir: Path | str) -> Pairing:
    """Pair the images of two folders; see :func:`pair_files`.

    Args:
        ir_dir: folder of thermal images.
        vi_dir: folder of visible images.

    Raises:
        InputError: if a folder is missing or cannot be listed.
    """
    ir_dir, vi_dir = Path(ir_dir), Path(vi_dir)
    ir = list_folder(ir_dir)
    return pair_listings(ir, None if ir_dir.resolve() == vi_dir.resolve() else list_folder(vi_dir))


def pair_listings(ir: Listing, vi: Listing | None) -> Pairing:
    """Pair the images of listings, with what these left out; see :func:`pair_files`.

    Args:
        ir: of the thermal images.
        vi: of the visible images; ``None`` if ``ir`` has both, whose names then tell them apart.
    """
    if vi is None:
        return with_left_out(pair_mixed_files(ir.images), ir)
    return with_left_out(pair_files(ir.images, vi.images), ir, vi)


def pair_files(ir: list[Path], vi: list[Path]) -> Pairing:
    """Pair thermal and visible files.

    Equal stems are paired first (suffixes and case may differ), then stems that are equal after removing the
    words for their modality: ``IR_1`` and ``VIS_1``, ``x_ir`` and ``x_vi``, ``x_ir`` and ``x``,
    ``DJI_0001_T`` and ``DJI_0001_W``, and last those that are equal but for a time of capture within a few
    seconds. Of several cameras of one drone, ``V`` is preferred to ``W`` and ``W`` to ``Z``.

    Args:
        ir: the thermal files.
        vi: the visible files.
    """
    matches = _Matches()
    ir, vi = matches.take(ir, vi, plain_key, plain_key)
    matches.first_by_words = len(matches.pairs)
    ir, vi = matches.take_by_words(ir, vi)
    return matches.result([*ir, *vi])


def pair_mixed_files(images: list[Path]) -> Pairing:
    """Pair files by the modality in their names; otherwise as :func:`pair_files`."""
    ir = [x for x in images if modality(x) is IR]
    vi = [x for x in images if modality(x) is VI]
    rest = [x for x in images if modality(x) is None]
    matches = _Matches()
    ir, vi = matches.take_by_words(ir, vi)
    return matches.result([*ir, *vi, *rest])


def pair_folder(root: Path | str, holds_both: Callable[[Path], bool] | None = None) -> Pairing:
    """Pair the images of one folder, in subfolders for each modality or side by side.

    Args:
        root: a folder with subfolders ``ir/`` and ``vi/`` (or infrared, thermal, lwir; visible, vis, rgb,
            ...; in any case), or with files whose names contain the modality, such as ``x_ir.png`` and
            ``x_vi.png``. If neither gives a pair, each camera file that contains both images is a pair.
        holds_both: function that tells whether a file contains both images; ``None`` if no file does.

    Raises:
        InputError: if the folder is missing, a modality is missing or found twice, or no file name contains
            a modality.
    """
    root = Path(root)
    listing = list_folder(root)
    images, folders = listing.images, listing.folders
    ir, vi = IR.folders(folders), VI.folders(folders)
    if len(ir) == len(vi) == 1:
        found = pair_folders(ir[0], vi[0])
        return replace(found, others=(*listing.others, *found.others))
    if ir or vi:
        both = ", ".join(f"{x.name}/" for x in [*ir, *vi])
        raise InputError(f"{root}: found {both}, expected one thermal and one visible folder")
    named = with_left_out(pair_mixed_files(images), listing)
    if not named.pairs and holds_both and (cameras := [x for x in images if holds_both(x)]):
        pairs = tuple(FilePair(x.stem, x, x) for x in cameras)
        return replace(named, pairs=pairs, orphans=tuple(x for x in images if x not in cameras), ambiguous=())
    if not any(modality(x) for x in images):
        names = [f"{x.name}/" for x in folders[:4]] + [x.name for x in images[:3]]
        raise InputError(f"{root}: found {', '.join(names) or 'no images'}, {_EXPECTED}")
    return named


def match_fused(pairing: Pairing, fused_dir: Path | str) -> TriplePairing:
    """Find the fused image of each pair in a folder.

    A fused image matches if its stem equals the name of the pair or the stem of one of its files (case and
    suffix may differ). Otherwise the comparison ignores the words fused, fusion, result and output and those
    for the modalities: ``x_fused`` or ``fusion-x`` matches the pair ``x_ir``, ``x_vi``.

    Args:
        pairing: the pairs.
        fused_dir: folder with the fused images of one method.

    Raises:
        InputError: if the folder is missing or cannot be listed.
    """
    images = list_images(Path(fused_dir))
    triples: list[FileTriple] = []
    ambiguous: list[str] = []
    left = list(pairing.pairs)
    for plain in (True, False):
        left, images = _take_fused(left, images, plain, triples, ambiguous)
    return TriplePairing(
        tuple(sorted(triples, key=lambda triple: (natural_key(triple.name), triple.name))),
        tuple(pair.name for pair in left),
        (*pairing.orphans, *images),
        (*pairing.ambiguous, *sorted(ambiguous, key=natural_key)),
        pairing.notes,
    )


def with_left_out(pairing: Pairing, *listings: Listing) -> Pairing:
    """Add what the listings of folders left out: the other files, and the note of :func:`note_on_drawn`."""
    drawn = [path for listing in listings for path in listing.drawn]
    others = [path for listing in listings for path in listing.others]
    return replace(pairing, notes=(*pairing.notes, *note_on_drawn(drawn)), others=(*pairing.others, *others))


def _take_fused(
    pairs: list[FilePair], images: list[Path], plain: bool, triples: list[FileTriple], ambiguous: list[str]
) -> tuple[list[FilePair], list[Path]]:
    """Match pairs and fused images that share a key one to one; returns the unmatched of both."""
    key = plain_key if plain else ANY.key
    by_key: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_key[key(path)].append(path)
    wanted: dict[str, list[FilePair]] = defaultdict(list)
    for pair in pairs:
        for name in dict.fromkeys((key(Path(f"{pair.name}.png")), key(pair.vi), key(pair.ir))):
            if name in by_key:
                wanted[name].append(pair)
    taken: set[Path] = set()
    found: dict[str, list[Path]] = defaultdict(list)
    for name, some in wanted.items():
        taken |= set(by_key[name])
        if len(some) == 1:
            found[some[0].name] += by_key[name]
        else:
            ambiguous.append(
                f"{name or 'no name'}: {', '.join(x.name for x in by_key[name])} matches the pairs"
                f" {', '.join(pair.name for pair in some)}"
            )
    for pair in pairs:
        if len(found[pair.name]) == 1:
            triples.append(FileTriple(pair.name, pair.ir, pair.vi, found[pair.name][0]))
        elif found[pair.name]:
            ambiguous.append(f"{pair.name}: {', '.join(sorted(x.name for x in found[pair.name]))}")
    settled = {pair.name for some in wanted.values() for pair in some}
    return [x for x in pairs if x.name not in settled], [x for x in images if x not in taken]


class _Matches:
    """The pairs found so far; those from index ``first_by_words`` on were matched without modality words."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Path, Path]] = []
        self.ambiguous: list[str] = []
        self.unused: list[Path] = []
        self.notes: list[str] = []
        self.first_by_words = 0

    def take_by_words(self, ir: list[Path], vi: list[Path]) -> tuple[list[Path], list[Path]]:
        """Pair by names without modality words, then by number; returns the unpaired of both."""
        ir, vi = self.take(ir, vi, IR.key, VI.key)
        from ivfuse.image.captures import pair_by_number

        found = pair_by_number(ir, vi, IR.key, VI.key)
        self.pairs += found.pairs
        self.unused += found.unused
        self.notes += found.notes
        settled = {path for pair in found.pairs for path in pair} | set(self.unused)
        return [x for x in ir if x not in settled], [x for x in vi if x not in settled]

    def take(
        self, ir: list[Path], vi: list[Path], ir_key: Callable[[Path], str], vi_key: Callable[[Path], str]
    ) -> tuple[list[Path], list[Path]]:
        """Pair the files with equal keys; returns the unpaired of both."""
        by_key: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
        for x in ir:
            by_key[ir_key(x)][0].append(x)
        for x in vi:
            by_key[vi_key(x)][1].append(x)
        left_ir: list[Path] = []
        left_vi: list[Path] = []
        for key, (some_ir, some_vi) in by_key.items():
            best = preferred(some_vi)
            if len(some_ir) == len(best) == 1:
                self.pairs.append((some_ir[0], best[0]))
                self.unused += [x for x in some_vi if x not in best]
            elif some_ir and some_vi:
                files = ", ".join(f"{x.parent.name}/{x.name}" for x in [*some_ir, *some_vi])
                self.ambiguous.append(f"{key or 'no name'}: {files}")
            else:
                left_ir += some_ir
                left_vi += some_vi
        return left_ir, left_vi

    def result(self, orphans: Iterable[Path]) -> Pairing:
        """Name the pairs, uniquely where possible, and sort all results."""
        names = [
            vi.stem if index < self.first_by_words else VI.name(vi)
            for index, (_, vi) in enumerate(self.pairs)
        ]
        used = Counter(name.casefold() for name in names)
        pairs = [
            FilePair(name if used[name.casefold()] == 1 else vi.stem, ir, vi)
            for name, (ir, vi) in zip(names, self.pairs, strict=True)
        ]
        return Pairing(
            tuple(sorted(pairs, key=lambda pair: (natural_key(pair.name), pair.name))),
            tuple(sorted(orphans, key=lambda x: (natural_key(x.name), str(x)))),
            tuple(sorted(self.ambiguous, key=natural_key)),
            (*self._note_on_unused(), *self.notes),
        )

    def _note_on_unused(self) -> list[str]:
        """Say once which cameras were not used."""
        if not self.unused:
            return []
        return [
            f"{len(self.unused)} visible images of further cameras not used, such as {self.unused[0].name}:"
            " V is preferred to W, and W to Z"
        ]
