"""The pairs of files that a verb is given: two files, folders with or without subfolders, or patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ivfuse.cli.cleanup import hold
from ivfuse.cli.terminal import echo
from ivfuse.errors import InputError, UsageError

if TYPE_CHECKING:
    from ivfuse.image.listing import Listing
    from ivfuse.image.pairing import Pairing, TriplePairing
    from ivfuse.registration.transform import Registration

Recursive = Annotated[
    bool,
    typer.Option("--recursive", help="Pair the subfolders of folders too; the output keeps their tree."),
]

_SUBFOLDERS_NAMED = 3


class Inputs(NamedTuple):
    """The sources of a verb that works on files.

    Attributes:
        ir: thermal file, folder or pattern.
        vi: visible file, folder or pattern; ``None`` as the user gave it.
        calibrated: the transform that the calibrations in bags imply; ``None`` without one.
        broken: where a bag broke; "" if it did not.
    """

    ir: Path
    vi: Path | None
    calibrated: Registration | None = None
    broken: str = ""


def without_bags(ir: Path, vi: Path | None, *, most: int | None = None, quiet: bool = False) -> Inputs:
    """Replace two topics of bags by folders of their paired frames, which last as long as the command.

    Args:
        ir: a topic of a bag, or any other source, which is returned as it is.
        vi: likewise.
        most: number of pairs to take; ``None`` for all.
        quiet: print errors only.

    Raises:
        InputError: if a bag cannot be read or no frames are paired.
        UsageError: if one source is a bag and the other is not, or a topic is missing.
    """
    from ivfuse.video.bags.location import METADATA, find_bag

    # A folder without the description of a bag is one of images, to which recordings may have been added.
    bags = [
        None if path.is_dir() and not (path / METADATA).is_file() else find_bag(str(path))
        for path in (ir, vi)
        if path is not None
    ]
    if not any(bags):
        return Inputs(ir, vi)
    from ivfuse.video.bags.propose import explain_topics

    for bag in bags:
        if bag is not None and not bag.topic:
            explain_topics(bag.path)
    if vi is None or not all(bags):
        expected = "two topics, as in drive.mcap:/thermal/image_raw drive.mcap:/rgb/image_raw"
        raise UsageError(f"{ir if bags[0] else vi} is a bag", expected=expected)
    from tempfile import TemporaryDirectory

    from ivfuse.video.bags.calibration import registration_of_sources
    from ivfuse.video.open import open_pair
    from ivfuse.video.pair_files import write_pairs

    folder = Path(hold(TemporaryDirectory(prefix="ivfuse-")))
    sources = open_pair(str(ir), str(vi))
    try:
        thermal, visible, broken = write_pairs(*sources, folder, most)
        registration, note = registration_of_sources(*sources)
    finally:
        for source in sources:
            source.close()
    notes = (*sources[0].info.notes, *sources[1].info.notes, note)
    for line in notes if not quiet else ():
        if line:
            echo(f"note: {line}", err=True)
    if broken:
        echo(f"ivfuse: error: {broken}", err=True)
    return Inputs(thermal, visible, registration, broken)


def is_one_pair(ir: Path, vi: Path | None) -> bool:
    """Whether two files, or one camera file, were given (True), or folders or patterns (False).

    A recording counts as a folder of its frames if the visible images are many.

    Raises:
        InputError: if a file or folder is missing; the error names all that are.
        UsageError: if a file and a folder were given, a file without its visible image, one image as both, or
            a video.
    """
    from ivfuse.thermal.formats.frame_numbers import split_number

    given = [path for path in (ir, vi) if path and not _is_pattern(path)]
    missing = [path for path in given if not split_number(path)[0].exists()]
    if missing:
        what = "no such file or folder" if len(missing) == 1 else "no such files or folders"
        raise InputError(f"{' and '.join(map(str, missing))}: {what}")
    many = [_is_pattern(path) or path.is_dir() for path in (ir, vi) if path]
    if videos := [path for path in given if is_video(path)]:
        raise UsageError(f"{videos[0]} is a video", hint="`ivfuse video` fuses videos")
    if vi is not None and many == [False, True] and _frames(ir):
        return False
    if vi is not None and many[0] != many[1]:
        names = (ir, vi) if many[0] else (vi, ir)
        raise UsageError(f"{names[0]} is a folder and {names[1]} is not: give two files or two folders")
    if not many[0] and (vi is None or vi == ir):
        from ivfuse.thermal.formats.registry import is_plain

        if is_plain(ir):
            raise UsageError(
                f"{ir} is a file: give the visible file too, or a radiometric JPEG, or one folder of both"
                if vi is None
                else f"{ir} is given as the thermal and as the visible image: give two files"
            )
    return not many[0]


def is_video(path: Path) -> bool:
    """Whether a path is a file with the suffix of a video; the room of videos is not loaded for images."""
    from ivfuse.image.formats import SUFFIXES as IMAGES

    if path.suffix.lower() in IMAGES or not path.is_file():
        return False
    from ivfuse.video.container import SUFFIXES as VIDEOS

    return path.suffix.lower() in VIDEOS


def names_folder(out: str) -> bool:
    """Whether an output is a folder: it exists as one or ends with a slash."""
    return out.endswith(("/", os.sep)) or Path(out).is_dir()


def pairs_of(
    ir: Path, vi: Path | None, out: str, *, recursive: bool = False, camera_files: bool = False
) -> Pairing:
    """Find the pairs.

    Args:
        ir: thermal file, folder, pattern or recording; or one of both modalities.
        vi: visible file, folder or pattern; ``None`` if ``ir`` contains both.
        out: file or folder of the outputs, which names a single pair and is left out of subfolders.
        recursive: whether to enter subfolders.
        camera_files: whether a camera file that contains both images is a pair, as for the fusion, which
            places one on the other.

    Raises:
        InputError: if there is no pair; the error names subfolders that contain images.
    """
    from ivfuse.image.listing import list_folder
    from ivfuse.image.pairing import FilePair, Pairing, pair_folder, pair_folders
    from ivfuse.image.pairing_tree import pair_tree
    from ivfuse.thermal.formats.registry import holds_photo

    if vi is not None and (vi.is_dir() or _is_pattern(vi)) and (frames := _frames(ir)):
        return _of_recording(ir, frames, vi)
    if _is_pattern(ir) or (vi is not None and _is_pattern(vi)):
        return _required(_of_patterns(ir, vi), ir, vi)
    if not ir.is_dir():
        vi = vi or ir  # a camera file that contains both
        name = vi.stem if names_folder(out) else Path(out).stem
        return Pairing((FilePair(name, ir, vi),), (), ())
    holds_both = holds_photo if camera_files else None
    try:
        if recursive:
            pairing = pair_tree(ir, vi, holds_both, leave_out=out)
        else:
            pairing = pair_folder(ir, holds_both) if vi is None else pair_folders(ir, vi)
    except InputError as error:
        if error.hint is None and not recursive:
            error.hint = _deeper(ir) or "; ".join(_notes_on(list_folder(ir).others)) or None
        raise
    pairing = replace(pairing, notes=(*pairing.notes, *_notes_on(pairing.others)))
    found = pairing.pairs or pairing.orphans
    return _required(pairing, ir, vi, None if found or recursive else _deeper(ir))


def without_outputs(pairing: Pairing, outputs: Iterable[Path]) -> Pairing:
    """Leave the files that the run writes, or wrote before, out of the images without a counterpart."""
    own = {path.resolve() for path in outputs}
    return replace(pairing, orphans=tuple(path for path in pairing.orphans if path.resolve() not in own))


def say_left_over(pairing: Pairing | TriplePairing) -> None:
    """Print which files are not used, and the notes."""
    for path in pairing.orphans:
        echo(f"no partner: {path}", err=True)
    for group in pairing.ambiguous:
        echo(f"ambiguous: {group}", err=True)
    for note in pairing.notes:
        echo(f"note: {note}", err=True)


def _required(pairing: Pairing, ir: Path, vi: Path | None, hint: str | None = None) -> Pairing:
    if pairing.pairs:
        return pairing
    if vi is not None and ir.resolve() == vi.resolve():
        raise InputError(
            f"{ir} is given as the thermal and as the visible folder",
            expected="two folders, or names like x_ir.png and x_vi.png",
        )
    near = "; ".join(pairing.notes) or _alone(pairing)
    raise InputError(
        f"{ir if vi is None else f'{ir} and {vi}'}: no pairs found",
        expected="files of equal names (or like ir_1.png and vi_1.png)",
        hint=hint or near,
    )


def _alone(pairing: Pairing) -> str | None:
    """Say how many images have no partner, with the names of two."""
    if not pairing.orphans:
        return None
    # The thermal images come first, so that the ends of the list show names of both.
    names = dict.fromkeys(
        f"{path.parent.name}/{path.name}" for path in (*pairing.orphans[:1], *pairing.orphans[-1:])
    )
    return f"{len(pairing.orphans)} images have no partner, such as {' and '.join(names)}"


def _notes_on(others: Iterable[Path]) -> tuple[str, ...]:
    """Say which files of the folders have a verb of their own, and so are not among the images."""
    from ivfuse.image.listing import left_out
    from ivfuse.video.bags.location import SUFFIXES as BAGS
    from ivfuse.video.container import VIDEO_SUFFIXES

    files = list(others)
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    bags = [path for path in files if path.suffix.lower() in BAGS]
    return (
        *left_out(videos, "videos", ": ivfuse video fuses videos"),
        *left_out(bags, "bags", ": ivfuse info lists the topics of bags"),
    )


def _deeper(folder: Path) -> str | None:
    """Say which subfolders contain images, for a folder that gives no pairs."""
    from ivfuse.image.pairing_tree import subfolders_with_images

    names = [f"{name}/" for name in subfolders_with_images(folder)]
    if not names:
        return None
    more = f" and {len(names) - _SUBFOLDERS_NAMED} more" if len(names) > _SUBFOLDERS_NAMED else ""
    shown = ", ".join(names[:_SUBFOLDERS_NAMED])
    return f"images lie in the subfolders {shown}{more}, which {{recursive}} pairs too"


def _is_pattern(path: Path) -> bool:
    """Whether a path is a pattern like ``t/*.JPG`` and not the name of a file that exists."""
    from ivfuse.thermal.formats.frame_numbers import split_number

    return any(sign in str(path) for sign in "*?[") and not split_number(path)[0].exists()


def _of_patterns(ir: Path, vi: Path | None) -> Pairing:
    from ivfuse.image.pairing import pair_listings

    return pair_listings(_matching(ir), None if vi is None else _matching(vi))


def _frames(ir: Path) -> int:
    """The number of frames of a recording; 0 for anything else, and for a file of one frame."""
    from ivfuse.thermal.formats.registry import open_frames

    frames = open_frames(ir) if ir.is_file() else None
    return len(frames) if frames is not None and len(frames) > 1 else 0


def _of_recording(ir: Path, frames: int, vi: Path) -> Pairing:
    """Pair the frames of a recording with as many visible images, in their order."""
    from ivfuse.image.pairing import FilePair, Pairing
    from ivfuse.thermal.formats.frame_numbers import numbered

    images = _matching(vi).images
    if len(images) != frames:
        raise InputError(
            f"{ir} has {frames} frames and {vi} has {len(images)} images",
            expected="equal numbers",
            hint=f"{numbered(ir, 0)} is a single frame, and ivfuse video pairs frames by time",
        )
    pairs = (FilePair(image.stem, numbered(ir, index), image) for index, image in enumerate(images))
    return Pairing(tuple(pairs), (), ())


def _matching(pattern: Path) -> Listing:
    """The images that match a pattern, or those of a folder."""
    from glob import glob

    from ivfuse.image.formats import INPUT_SUFFIXES
    from ivfuse.image.listing import list_folder, natural_key, without_drawn

    if pattern.is_dir():
        return list_folder(pattern)
    found = [Path(name) for name in glob(str(pattern), recursive=True)]
    images = [path for path in found if path.suffix.lower() in INPUT_SUFFIXES and path.is_file()]
    if not images:
        raise InputError(f"{pattern}: no image matches this pattern")
    return without_drawn(sorted(images, key=lambda path: (natural_key(str(path)), str(path))))
