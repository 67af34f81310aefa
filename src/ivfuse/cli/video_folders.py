"""Folders of video files for ``ivfuse video``: pairing by name, one output for each pair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ivfuse.cli.flags import flag_of
from ivfuse.cli.sources import say_left_over
from ivfuse.cli.terminal import echo
from ivfuse.errors import IvfuseError, UsageError, reason_of
from ivfuse.image.listing import Listing, list_folder
from ivfuse.image.pairing import Pairing, pair_listings
from ivfuse.image.pairing_tree import pair_tree
from ivfuse.video.container import VIDEO_SUFFIXES


def pair_videos(ir: str, vi: str, out: str | None, *, recursive: bool) -> Pairing | None:
    """Pair the video files of two folders like images; ``None`` if they are not folders of videos only.

    Args:
        ir: location of the thermal video.
        vi: location of the visible video.
        out: folder of the outputs, which is left out of subfolders.
        recursive: whether to enter subfolders.

    Raises:
        UsageError: if subfolders are asked for and one of the locations is no folder.
    """
    folders = Path(ir), Path(vi)
    if recursive:
        if not all(folder.is_dir() for folder in folders):
            raise UsageError(field="recursive", found=f"{ir} and {vi}", expected="two folders of videos")
        return pair_tree(*folders, leave_out=out, suffixes=VIDEO_SUFFIXES)
    thermal = _list_videos(folders[0])
    if not (thermal.images and folders[1].is_dir()):
        return None
    if folders[0].resolve() == folders[1].resolve():
        return pair_listings(thermal, None)
    visible = _list_videos(folders[1])
    return pair_listings(thermal, visible) if visible.images else None


def videos_of(folder: Path) -> list[Path]:
    """The video files of a folder of videos; none if it holds images, which are a video together."""
    return _list_videos(folder).images


def _list_videos(folder: Path) -> Listing:
    """List a folder of videos, which take the place of images; nothing if it is not such a folder."""
    found = list_folder(folder) if folder.is_dir() else None
    if found is None or found.images:
        return Listing([], [], [], [])
    videos: list[Path] = []
    others: list[Path] = []
    for path in found.others:
        (videos if path.suffix.lower() in VIDEO_SUFFIXES else others).append(path)
    return found._replace(images=videos, others=others)


def fuse_folders(
    pairing: Pairing,
    out: str | None,
    suffix: str,
    overwrite: bool,
    fuse: Callable[[str, str, str], int],
    *,
    shown: bool,
) -> int:
    """Fuse the pairs one after another; outputs that exist are skipped, and failures do not end the run.

    Args:
        pairing: the pairs.
        out: the folder to write to.
        suffix: of the outputs.
        overwrite: replace outputs that exist.
        fuse: fuses a thermal and a visible file into an output and returns the exit code.
        shown: print which files are not used.

    Returns:
        The exit code: 1 if a pair failed, that of the signal if the run was stopped.
    """
    if out is None or Path(out).suffix.lower() in (*VIDEO_SUFFIXES, ".png"):
        raise UsageError(field="out", found=out, expected="a folder for the videos of a folder")
    if not pairing.pairs:
        raise UsageError("no videos of the two folders have names that match")
    if shown:
        say_left_over(pairing)
    code = 1 if pairing.ambiguous else 0
    for pair in pairing.pairs:
        target = Path(out) / f"{pair.name}{suffix}"
        if target.exists() and not overwrite:
            echo(f"{target}: exists already, skipped", err=True)
            continue
        try:
            found = fuse(str(pair.ir), str(pair.vi), str(target))
        except IvfuseError as error:
            echo(f"ivfuse: error: {reason_of(error, flag_of)}", err=True)
            found = 1
        if found > 128:
            return found
        code = max(code, found)
    return code
