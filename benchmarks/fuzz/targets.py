"""What is run on a mutated file, through the Python API, and how its outcome is judged."""

from __future__ import annotations

import random
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.mutations import mutate
from fuzz.seeds import corpus
from ivfuse.errors import IvfuseError
from ivfuse.runtime.processes import is_out_of_memory

BAGS = (".mcap", ".bag")
LONGEST_MESSAGE = 600  # characters, without the folder
_UNEXPECTED = re.compile(r"unexpected [A-Z]\w+(?:Error|Exception)")  # as reason_of() words them
_SUFFIXES = (".png", ".jpg", ".tiff", ".webp", ".bmp")


@dataclass(frozen=True)
class Outcome:
    """``done``, ``refused`` or ``failed``, and why."""

    result: str
    reason: str = ""
    details: str = ""


class BrokenOutputError(Exception):
    """An output that is missing, half-written, or left behind after a refusal."""


def case_of(kind: str, seed: int, number: int) -> tuple[str, bytes]:
    """The file of a case: a name that identifies it, and the mutated content."""
    rng = random.Random(f"{kind}-{seed}-{number}")
    files = corpus(kind)
    name = rng.choice(list(files))
    same = [data for other, data in files.items() if Path(other).suffix == Path(name).suffix]
    data = mutate(name, files[name], rng, same if rng.random() < 0.7 else list(files.values()))
    return f"{kind}-{seed}-{number}-{name}", data


def judge(name: str, data: bytes, folder: Path) -> Outcome:
    """Run one case in an empty folder.

    Args:
        name: as :func:`case_of` returns it; it also decides how the file is used.
        data: content of the file.
        folder: an existing, empty folder.
    """
    kind, *_, own = name.split("-", 3)
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    path = folder / "in" / own
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            # A warning reaches the user's terminal. Those for programmers are not shown by default.
            warnings.simplefilter("error")
            for silent in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", silent)
            note = TARGETS[kind](path, folder / "out", random.Random(name))
        return Outcome("refused", note) if note else Outcome("done")
    except IvfuseError as error:
        return _refusal(error, folder, kind)
    except Exception as error:  # what the harness looks for
        return Outcome("failed", f"{type(error).__name__}: {error}"[:300], traceback.format_exc())


def _refusal(error: IvfuseError, folder: Path, kind: str) -> Outcome:
    """A refusal is one clear line, is not for want of memory, and leaves nothing behind."""
    text = str(error).replace(str(folder), "")
    # FFmpeg says the same of sizes that it would never allocate; there, the measured memory counts.
    if is_out_of_memory(error) and kind != "video":
        return Outcome("failed", f"memory: {text}"[:300], traceback.format_exc())
    if not text or len(text) > LONGEST_MESSAGE or _UNEXPECTED.search(text):
        return Outcome("failed", f"message of {len(text)} characters: {text}"[:300], traceback.format_exc())
    left = [each.name for each in (folder / "out").iterdir()]
    return Outcome("failed", f"left behind: {left}") if left else Outcome("refused", text)


def _check_image(path: Path) -> None:
    """An output must be complete, and the only file in its folder."""
    from ivfuse.image.read import read_visible

    others = [each.name for each in path.parent.iterdir() if each != path]
    if others:
        raise BrokenOutputError(f"left behind: {others}")
    try:
        read_visible(path)
    except IvfuseError as error:
        raise BrokenOutputError(str(error)) from error


@cache
def _sound() -> dict[str, Any]:
    """The other image of a pair, as arrays."""
    from fuzz import seeds_images

    return {"ir": seeds_images.counts(1), "vi": seeds_images.color(1)}


def _sound_file(folder: Path, which: str) -> Path:
    import cv2

    path = folder.parent / "in" / f"sound-{which}.png"
    cv2.imwrite(str(path), _sound()[which])
    return path


@cache
def _fuser(scale: str | None, window: str) -> Any:
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.thermal.read import ThermalOptions

    return Fuser("average", thermal=ThermalOptions(window, scale))


def _fuse(path: Path, out: Path, rng: random.Random, role: str) -> None:
    """Fuse the file in a role, with a sound partner."""
    fused = out / f"fused{rng.choice(_SUFFIXES)}"
    scale = rng.choice((None, None, "0.01K"))
    fuser = _fuser(scale, rng.choice(("percentile", "plateau", "10C..40C" if scale else "27000..31000")))
    if role == "alone":
        fuser.fuse_files(path, None, fused)
    elif role == "ir":
        fuser.fuse_files(path, _sound_file(out, "vi"), fused)
    elif role == "vi":
        fuser.fuse_files(_sound_file(out, "ir"), path, fused)
    else:
        fuser.fuse_files(path, path, fused)
    _check_image(fused)


def _image(path: Path, out: Path, rng: random.Random) -> None:
    """Fuse, describe or extract."""
    from ivfuse.thermal.inspect import describe_file, write_parts
    from ivfuse.thermal.read import ThermalOptions

    role = rng.choice(("vi", "vi", "vi", "ir", "ir", "both", "describe", "parts"))
    options = ThermalOptions(scale=rng.choice((None, "0.01K")))
    if role == "describe":
        describe_file(path, options)
    elif role == "parts":
        write_parts(path, options, out / "celsius.tiff", None)
    else:
        _fuse(path, out, rng, role)


def _thermal(path: Path, out: Path, rng: random.Random) -> None:
    """As a camera's file: alone, as either image, described, its parts extracted."""
    from ivfuse.thermal.inspect import describe_file, write_parts
    from ivfuse.thermal.read import ThermalOptions

    role = rng.choice(("alone", "alone", "ir", "ir", "vi", "describe", "celsius", "photo"))
    if role == "describe":
        describe_file(path, ThermalOptions())
    elif role in ("celsius", "photo"):
        files = {"celsius": (out / "celsius.tiff", None), "photo": (None, out / "photo.png")}[role]
        write_parts(path, ThermalOptions(), *files)
    else:
        _fuse(path, out, rng, role)


def topics_of(bag: Path) -> tuple[Path, Path]:
    """The thermal and the visible of a bag of the corpus."""
    return Path(f"{bag}:/thermal"), Path(f"{bag}:/visible")


def _video(path: Path, out: Path, rng: random.Random) -> str:
    """Fuse with a sound partner; a source that breaks is named in the summary."""
    import av

    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.video.frame_fuser import FrameFuser
    from ivfuse.video.fuse import fuse_video
    from ivfuse.video.open import open_pair
    from ivfuse.video.writer import EncoderOptions, open_writer

    sound = path.with_name("sound.mkv")
    sound.write_bytes(corpus("video")["ffv1.mkv"])
    pair = (path, sound) if rng.random() < 0.4 else (sound, path)
    if path.suffix in BAGS:
        pair = topics_of(path)
    ir, vi = open_pair(*map(str, pair))
    fused = out / rng.choice(("fused.mp4", "fused.mkv", "images"))
    codec = rng.choice(("h264", "ffv1")) if fused.suffix == ".mkv" else "auto"
    encoder = EncoderOptions(codec, preset="ultrafast", threads=1)
    writer = open_writer(str(fused), vi.info.rate, encoder, audio=vi.info.audio)
    summary = fuse_video(FrameFuser(Fuser("average")), ir, vi, writer, duration=60)
    if any(".part" in each.name for each in out.rglob("*")):
        raise BrokenOutputError(f"left behind: {sorted(each.name for each in out.iterdir())}")
    if fused.suffix and summary.out:
        with av.open(str(fused)) as container:
            frames = sum(1 for _ in container.decode(video=0))
        if frames != summary.frames:
            raise BrokenOutputError(f"{frames} frames in {fused.name}, the summary says {summary.frames}")
    return "; ".join(summary.failures)


def _file(path: Path, out: Path, rng: random.Random) -> None:
    """Read a file beside the images by the reader for its name."""
    readers: dict[str, Callable[[Path, Path], object]] = {
        "recipe": _recipe, "weights": _weights, "state": _state, "graph": _graph, "points": _points,
        "rig": _rig, "manifest": _manifest, "labels": _labels,
    }  # fmt: skip
    readers[path.stem.split("-")[0]](path, out)


def _recipe(path: Path, _: Path) -> None:
    from ivfuse.training.recipe import load_recipe

    load_recipe(path)


def _weights(path: Path, _: Path) -> None:
    from ivfuse.training.torch_method import load_torch_method

    load_torch_method(path).fuse(*_small_pair())


def _state(path: Path, _: Path) -> None:
    from ivfuse.training.checkpoint import load_state
    from ivfuse.training.release import read_release

    load_state(path)
    read_release(path)


def _graph(path: Path, _: Path) -> None:
    from ivfuse.fusion.registry import create_method

    create_method(path, runtime="onnxruntime", threads=1).fuse(*_small_pair())


def _small_pair() -> tuple[Any, Any]:
    import numpy as np

    return np.linspace(0, 1, 960, dtype=np.float32).reshape(24, 40), np.zeros((24, 40), np.float32)


def _points(path: Path, _: Path) -> None:
    from ivfuse.registration.control_points import read_points

    read_points(path).register((48, 36), (48, 36))


def _rig(path: Path, out: Path) -> None:
    from ivfuse.fusion.pipeline import Fuser
    from ivfuse.registration.transform import load_rig

    fused = out / "fused.png"
    fuser = Fuser("average", rig=load_rig(path))
    fuser.fuse_files(_sound_file(out, "ir"), _sound_file(out, "vi"), fused)
    _check_image(fused)


def _manifest(path: Path, _: Path) -> None:
    from ivfuse.fusion.manifest import read_manifest

    for entry in read_manifest(path).models.values():
        _ = entry.info, entry.card_text()


def _labels(path: Path, _: Path) -> None:
    from ivfuse.benchmark.tasks.labels import read_labels

    read_labels(path if path.suffix == ".json" else path.parent)


TARGETS: dict[str, Callable[[Path, Path, random.Random], str | None]] = {
    "images": _image,
    "thermal": _thermal,
    "video": _video,
    "files": _file,
}
