"""What several programs measure on: pairs as luma, and methods as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from ivfuse import Fuser
from ivfuse.fusion.emphasis import EMPHASES
from ivfuse.fusion.reduced import reduced_shape
from ivfuse.fusion.registry import list_methods
from ivfuse.image.arrays import Gray
from ivfuse.image.color import luma, resize_to
from ivfuse.image.pairing import pair_folder
from ivfuse.image.read import read_visible
from ivfuse.thermal.read import read_thermal

Fuse = Callable[[Gray, Gray], Gray]


def luma_pairs(folder: Path, limit: int = 0) -> Iterator[tuple[str, Gray, Gray]]:
    """Name, thermal on the grid of the visible, and luma of the visible of the first pairs; 0 for all."""
    for pair in islice(pair_folder(folder).pairs, limit or None):
        vi = luma(read_visible(pair.vi).pixels)
        yield pair.name, resize_to(read_thermal(pair.ir).pixels, *vi.shape), vi


def gray_methods(text: str, *, keep_frame: bool = False) -> dict[str, Fuse]:
    """Methods as functions on gray arrays in [0, 1], by name.

    Args:
        text: names and files of weights with commas, ``all`` or ``none``; ``NAME=FILE.safetensors`` names
            the file, which else has the name of its folder. ``NAME@full`` runs at the size of the images
            and ``NAME@half`` at half of it, whatever the method does by itself; ``NAME@natural`` and the
            like have that emphasis.
        keep_frame: fuse the frames of thermals like the rest, as papers do.
    """
    found: dict[str, Fuse] = {}
    fuser_of = partial(Fuser, gray=True, keep_frame=keep_frame)
    for each in {"all": list_methods(), "none": []}.get(text, text.split(",")):
        name, _, file = each.rpartition("=")
        if file.endswith(".safetensors"):
            from ivfuse.training.torch_method import load_torch_method

            method = load_torch_method(Path(file))
            found[name or Path(file).parent.name] = fuser_of(method).fuse
        elif file.rpartition("@")[2] in ("full", "half", *EMPHASES):
            found[file] = _changed(fuser_of, *file.rsplit("@", 1))
        else:
            found[file] = fuser_of(file).fuse
    return found


def _changed(fuser_of: Callable[..., Fuser], method: str, how: str) -> Fuse:
    """A method in full size, at half of it, or with another emphasis."""
    if how == "full":
        return fuser_of(method, full_size=True).fuse
    if how != "half":
        return fuser_of(method, emphasis=how).fuse
    fuser = fuser_of(method)

    def fuse(ir: Gray, vi: Gray) -> Gray:
        return fuser.fuse_covered(ir, vi, None, reduced_shape(vi.shape, vi.shape))

    return fuse
