"""Pairing of folders with all their subfolders; the names of pairs keep the path of the subfolder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from pathlib import Path

from ivfuse.image.formats import INPUT_SUFFIXES
from ivfuse.image.modality import IR, VI
from ivfuse.image.pairing import (
    FilePair,
    Pairing,
    TriplePairing,
    list_entries,
    list_folder,
    list_images,
    match_fused,
    pair_files,
    pair_mixed_files,
    with_note_on_drawn,
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
        suffixes: in lower case, of the files of two folders to pair.

    Returns:
        The pairs, whose names are like ``flight1/DJI_0001``, in the order of the subfolders.

    Raises:
        InputError: if a folder is missing or cannot be listed.
    """
    skipped = None if leave_out is None else Path(leave_out).resolve()
    drawn: list[Path] = []
    ir = Path(ir)
    if vi is None or ir.resolve() == Path(vi).resolve():
        parts = list(_mixed(ir, "", holds_both, skipped, drawn))
    else:
        parts = list(_beside(ir, Path(vi), "", skipped, drawn, suffixes))
    found = Pairing(
        tuple(pair for part in parts for pair in part.pairs),
        tuple(path for part in parts for path in part.orphans),
        tuple(line for part in parts for line in part.ambiguous),
        tuple(note for part in parts for note in part.notes),
    )
    return with_note_on_drawn(found, drawn)


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
    list_entries(fused)
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
    return [each.name for each in _subfolders(folder, None) if next(files_below(each), None)]


def files_below(
    folder: Path, suffixes: Container[str] = INPUT_SUFFIXES, leave_out: Path | str | None = None
) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, as :func:`list_images` lists them.

    Args:
        folder: where to begin.
        suffixes: in lower case, of the files to yield.
        leave_out: folder that is not entered; ``None`` for none.

    Raises:
        InputError: if a folder is missing or cannot be listed.
    """
    skipped = None if leave_out is None else Path(leave_out).resolve()
    yield from list_images(folder, suffixes)
    for each in _subfolders(folder, skipped):
        yield from files_below(each, suffixes, skipped)


def _mixed(
    folder: Path, prefix: str, holds_both: HoldsBoth | None, skipped: Path | None, drawn: list[Path]
) -> Iterator[Pairing]:
    """Pair a folder of both modalities, then its subfolders; what is left out goes to ``drawn``."""
    listing = list_folder(folder)
    drawn += listing.drawn
    yield _named(prefix, _pair_images(listing.images, holds_both))
    folders = _subfolders(folder, skipped)
    ir, vi = IR.folders(folders), VI.folders(folders)
    if len(ir) == len(vi) == 1:
        yield from _beside(ir[0], vi[0], prefix, skipped, drawn)
        folders = [each for each in folders if each not in (*ir, *vi)]
    for each in folders:
        yield from _mixed(each, f"{prefix}{each.name}/", holds_both, skipped, drawn)


def _beside(
    ir: Path,
    vi: Path,
    prefix: str,
    skipped: Path | None,
    drawn: list[Path],
    suffixes: Container[str] = INPUT_SUFFIXES,
) -> Iterator[Pairing]:
    """Pair two folders, then their subfolders of equal names; what is left out goes to ``drawn``."""
    listings = list_folder(ir, suffixes), list_folder(vi, suffixes)
    drawn += [path for listing in listings for path in listing.drawn]
    yield _named(prefix, pair_files(*(listing.images for listing in listings)))
    others = {each.name.casefold(): each for each in _subfolders(vi, skipped)}
    for each in _subfolders(ir, skipped):
        if other := others.pop(each.name.casefold(), None):
            yield from _beside(each, other, f"{prefix}{each.name}/", skipped, drawn, suffixes)
        else:
            yield Pairing((), tuple(files_below(each, suffixes, skipped)), ())
    for each in others.values():
        yield Pairing((), tuple(files_below(each, suffixes, skipped)), ())


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


def _subfolders(folder: Path, skipped: Path | None) -> list[Path]:
    return [
        each
        for each in list_entries(folder)
        if each.is_dir() and not each.is_symlink() and each.resolve() != skipped
    ]
