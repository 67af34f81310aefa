"""Pairing of folders with all their subfolders; the names of pairs keep the path of the subfolder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from pathlib import Path

from ivfuse.image.formats import INPUT_SUFFIXES
from ivfuse.image.listing import Listing, list_folder, list_images
from ivfuse.image.modality import IR, VI
from ivfuse.image.pairing import (
    FilePair,
    Pairing,
    TriplePairing,
    match_fused,
    pair_files,
    pair_mixed_files,
    with_left_out,
)

HoldsBoth = Callable[[Path], bool]


def pair_tree(
    ir: Path | str,
    vi: Path | str | None = None,
    holds_both: HoldsBoth | None = None,
    leave_out: Path | str | None = None,
    suffixes: Container[str] = INPUT_SUFFIXES,
) -> Pairing:
    """Pair the images of folders and of their subfolders; symbolic links to subfolders are not followed.

    Of two folders, the images in subfolders of equal names are paired. Of one folder, each subfolder is
    paired as by ``pair_folder``: by its folders for each modality, or by the names of its files.

    Args:
        ir: folder of thermal images, or folder that contains both.
        vi: folder of visible images; ``None`` if ``ir`` contains both.
        holds_both: function that tells whether a file contains both images; ``None`` if no file does.
        leave_out: folder that is not entered, such as that of the outputs; ``None`` for none.
        suffixes: in lower case, of the files to pair.

    Returns:
        The pairs, whose names are like ``flight1/DJI_0001``, in the order of the subfolders.

    Raises:
        InputError: if a folder is missing or cannot be listed.
    """
    walk = _Walk(holds_both, leave_out, suffixes)
    ir = Path(ir)
    if vi is None or ir.resolve() == Path(vi).resolve():
        parts = list(walk.mixed(ir, ""))
    else:
        parts = list(walk.beside(ir, Path(vi), ""))
    found = Pairing(
        tuple(pair for part in parts for pair in part.pairs),
        tuple(path for part in parts for path in part.orphans),
        tuple(line for part in parts for line in part.ambiguous),
        tuple(note for part in parts for note in part.notes),
    )
    return with_left_out(found, *walk.listings)


def match_fused_tree(pairing: Pairing, fused: Path | str) -> TriplePairing:
    """Find the fused images of pairs of :func:`pair_tree`, in subfolders of the same names.

    Args:
        pairing: the pairs.
        fused: folder with the tree of fused images.

    Raises:
        InputError: if the folder is missing or cannot be listed.
    """
    fused = Path(fused)
    by_folder: dict[str, list[FilePair]] = defaultdict(list)
    for pair in pairing.pairs:
        folder, _, name = pair.name.rpartition("/")
        by_folder[folder].append(replace(pair, name=name))
    list_images(fused)  # raises if there is no such folder
    parts = []
    for folder, pairs in by_folder.items():
        prefix = folder and f"{folder}/"
        inside = fused / folder
        found = (
            match_fused(Pairing(tuple(pairs), (), ()), inside)
            if inside.is_dir()
            else TriplePairing((), tuple(pair.name for pair in pairs), (), ())
        )
        parts.append((prefix, found))
    return TriplePairing(
        tuple(replace(x, name=prefix + x.name) for prefix, found in parts for x in found.triples),
        tuple(prefix + name for prefix, found in parts for name in found.missing),
        (*pairing.orphans, *(path for _, found in parts for path in found.orphans)),
        (*pairing.ambiguous, *(prefix + line for prefix, found in parts for line in found.ambiguous)),
        pairing.notes,
    )


def subfolders_with_images(folder: Path) -> list[str]:
    """List the names of the direct subfolders that contain images at any depth."""
    walk = _Walk()
    return [each.name for each in walk.enter(folder).folders if next(walk.below(each), None)]


class _Walk:
    """A walk through folders, of which each is listed once.

    Attributes:
        listings: of the folders that were entered.
    """

    def __init__(
        self,
        holds_both: HoldsBoth | None = None,
        leave_out: Path | str | None = None,
        suffixes: Container[str] = INPUT_SUFFIXES,
    ) -> None:
        self.listings: list[Listing] = []
        self._holds_both, self._suffixes = holds_both, suffixes
        self._skipped = None if leave_out is None else Path(leave_out).resolve()

    def enter(self, folder: Path) -> Listing:
        """List a folder; its subfolders are those to enter."""
        found = list_folder(folder, self._suffixes)
        folders = [x for x in found.folders if not x.is_symlink() and x.resolve() != self._skipped]
        self.listings.append(found._replace(folders=folders))
        return self.listings[-1]

    def mixed(self, folder: Path, prefix: str) -> Iterator[Pairing]:
        """Pair a folder of both modalities, then its subfolders."""
        images, _, _, folders = self.enter(folder)
        yield _named(prefix, _pair_images(images, self._holds_both))
        ir, vi = IR.folders(folders), VI.folders(folders)
        if len(ir) == len(vi) == 1:
            yield from self.beside(ir[0], vi[0], prefix)
            folders = [each for each in folders if each not in (*ir, *vi)]
        for each in folders:
            yield from self.mixed(each, f"{prefix}{each.name}/")

    def beside(self, ir: Path, vi: Path, prefix: str) -> Iterator[Pairing]:
        """Pair two folders, then their subfolders of equal names."""
        thermal, visible = self.enter(ir), self.enter(vi)
        yield _named(prefix, pair_files(thermal.images, visible.images))
        partners = {each.name.casefold(): each for each in visible.folders}
        for each in thermal.folders:
            if partner := partners.pop(each.name.casefold(), None):
                yield from self.beside(each, partner, f"{prefix}{each.name}/")
            else:
                yield Pairing((), tuple(self.below(each)), ())
        for each in partners.values():
            yield Pairing((), tuple(self.below(each)), ())

    def below(self, folder: Path) -> Iterator[Path]:
        """Yield the images of a folder and its subfolders."""
        found = self.enter(folder)
        yield from found.images
        for each in found.folders:
            yield from self.below(each)


def _pair_images(images: list[Path], holds_both: HoldsBoth | None) -> Pairing:
    """Pair the files of one folder by their names, or else take camera files as pairs."""
    found = pair_mixed_files(images)
    if found.pairs or holds_both is None:
        return found
    cameras = [each for each in images if holds_both(each)]
    pairs = tuple(FilePair(each.stem, each, each) for each in cameras)
    return Pairing(pairs, tuple(each for each in images if each not in cameras), ()) if pairs else found


def _named(prefix: str, pairing: Pairing) -> Pairing:
    """Put the path of the subfolder before the names of pairs and ambiguous names."""
    return replace(
        pairing,
        pairs=tuple(replace(pair, name=prefix + pair.name) for pair in pairing.pairs),
        ambiguous=tuple(prefix + line for line in pairing.ambiguous),
    )
