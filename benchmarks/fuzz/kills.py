"""SIGKILL and SIGTERM at random moments of folder, training and video runs, then the same command again.

What a stopped run leaves under a final name must be complete, and the repeated run must end as an undisturbed
one does: all outputs with the same bytes, nothing left behind, the same weights, the same frames.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from fuzz.workers import Record
from ivfuse.synthetic.street import street_scene

PAIRS, FRAMES, HEIGHT, WIDTH = 24, 50, 240, 320
_RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "crossfuse-cam" / "smoke.yaml"
_SIGNALS = (signal.SIGKILL, signal.SIGTERM)

_MAX_DIFFERENCE = 2.0  # levels, on average over a frame

Contents = dict[str, bytes]


@dataclass(frozen=True)
class Scenario:
    """A long run: its command for an output, what counts of that output, and its undisturbed result."""

    name: str
    words: Callable[[Path], list[str | Path]]
    contents: Callable[[Path], Contents]
    expected: Contents
    seconds: float


def run(seed: int, numbers: range) -> Iterator[Record]:
    """Disturb one run per number, in turn a folder, a training and a video."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        scenarios = [_folder(folder), _training(folder), _video(folder)]
        for number in numbers:
            rng = random.Random(f"kills-{seed}-{number}")
            out = folder / f"out-{number}"
            yield _disturbed(f"kills-{seed}-{number}", scenarios[number % len(scenarios)], out, rng)


def _disturbed(name: str, scenario: Scenario, out: Path, rng: random.Random) -> Record:
    """Stop a run, check what it left, repeat it, and compare."""
    number, moment = rng.choice(_SIGNALS), rng.uniform(0, scenario.seconds)
    process = subprocess.Popen(
        _ivfuse(scenario.words(out)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    time.sleep(moment)
    process.send_signal(number)
    error = process.communicate()[1].decode(errors="replace")
    what = f"{scenario.name}, {number.name} after {moment:.2f} s, exit code {process.returncode}"
    if "Traceback" in error:
        return Record(name, "failed", f"traceback: {what}", error[-3000:])
    if (problem := _left(scenario, out, number)) != "":
        return Record(name, "failed", f"{problem}: {what}")
    again = subprocess.run(_ivfuse(scenario.words(out)), capture_output=True, text=True, check=False)
    if again.returncode:
        return Record(
            name, "failed", f"repeated with exit code {again.returncode}: {what}", again.stderr[-3000:]
        )
    found = scenario.contents(out)
    if wrong := sorted(
        key for key in found.keys() | scenario.expected if found.get(key) != scenario.expected.get(key)
    ):
        return Record(name, "failed", f"differs in {wrong[:5]}: {what}")
    return Record(name, "done", what)


def _left(scenario: Scenario, out: Path, number: signal.Signals) -> str:
    """What is wrong with the state after a signal; a video that was asked to end is complete but shorter."""
    try:
        left = scenario.contents(out) if out.exists() else {}
    except (av.FFmpegError, ValueError, OSError) as error:
        return f"half-written ({error})"
    hidden = [key for key in left if ".part" in key]
    if hidden and number == signal.SIGTERM:
        return f"left behind {hidden[:3]}"
    final = {key: data for key, data in left.items() if ".part" not in key}
    same = _looks_same if scenario.name == "video" and number == signal.SIGTERM else bytes.__eq__
    if wrong := [key for key, data in final.items() if not same(data, scenario.expected.get(key, b""))]:
        return f"half-written {wrong[:5]}"
    return ""


def _looks_same(frame: bytes, expected: bytes) -> bool:
    """Whether two frames differ by little: an encoder that is told to end spends its bits otherwise."""
    if len(frame) != len(expected):
        return False
    pair = (np.frombuffer(each, np.uint8).astype(float) for each in (frame, expected))
    return float(np.abs(np.subtract(*pair)).mean()) < _MAX_DIFFERENCE


def _ivfuse(words: list[str | Path]) -> list[str]:
    return [sys.executable, "-m", "ivfuse", *map(str, words)]


def _scenario(
    name: str, folder: Path, words: Callable[[Path], list[str | Path]], contents: Callable[[Path], Contents]
) -> Scenario:
    """Run undisturbed, for the result and the time."""
    out, started = folder / f"undisturbed-{name}", time.monotonic()
    subprocess.run(_ivfuse(words(out)), check=True, capture_output=True)
    return Scenario(name, words, contents, contents(out), time.monotonic() - started)


def _folder(folder: Path) -> Scenario:
    """A folder of pairs with temperatures beside the images."""
    for index in range(PAIRS):
        scene = street_scene(HEIGHT, WIDTH, index)
        _write(folder / "ir" / f"{index:02}.png", np.rint(27_500 + 3_500 * scene.ir).astype(np.uint16))
        _write(folder / "vi" / f"{index:02}.png", np.rint(scene.vi[..., ::-1] * 255).astype(np.uint8))

    def words(out: Path) -> list[str | Path]:
        return ["fuse", folder / "ir", folder / "vi", "-o", out, "--method", "laplacian", "--scale", "0.01K",
                "--temperature", out / "degrees"]  # fmt: skip

    return _scenario("folder", folder, words, _files)


def _training(folder: Path) -> Scenario:
    """The smoke recipe, in two stages with checkpoints; its weights count."""
    for part, index in (("train", 0), ("train", 1), ("train", 2), ("val", 3)):
        scene = street_scene(72, 96, index)
        for kind, pixels in (("ir", scene.ir), ("vi", scene.vi[..., ::-1])):
            _write(folder / "data" / part / kind / f"{index}.png", np.rint(pixels * 255).astype(np.uint8))

    def words(out: Path) -> list[str | Path]:
        return ["train", _RECIPE, "--data", folder / "data", "-o", out, "--accelerator", "cpu"]

    def weights(out: Path) -> Contents:
        return {
            name: data
            for name, data in _files(out).items()
            if name.endswith(".safetensors") or ".part" in name
        }

    return _scenario("training", folder, words, weights)


def _video(folder: Path) -> Scenario:
    """Two videos of five seconds; its frames count."""
    for which in ("ir", "vi"):
        _clip(folder / f"{which}.mkv", which)

    def words(out: Path) -> list[str | Path]:
        return ["video", folder / "ir.mkv", folder / "vi.mkv", "-o", out / "fused.mp4", "--method", "average",
                "--overwrite", "--threads", "1"]  # fmt: skip

    return _scenario("video", folder, words, _frames)


def _clip(path: Path, which: str) -> None:
    scene = street_scene(HEIGHT, WIDTH, 0)
    pixels = np.repeat(scene.ir[..., None], 3, 2) if which == "ir" else scene.vi
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for index in range(FRAMES):
            image = np.roll(np.rint(pixels * 255).astype(np.uint8), 2 * index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")))
        container.mux(stream.encode(None))


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def _files(out: Path) -> Contents:
    """All files below a folder by their relative names."""
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def _frames(out: Path) -> Contents:
    """The frames of a complete file; unfinished files by name, of which the last fragment may be missing."""
    found: Contents = {}
    for path in out.iterdir():
        if path.name != "fused.mp4":
            found[path.name] = b""
            continue
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                found[f"{path.name}/{index:03}"] = frame.to_ndarray(format="gray").tobytes()
    return found
