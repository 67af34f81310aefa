"""Temporal consistency of fused videos against their two sources, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ivfuse.errors import InputError
from ivfuse.image.color import resize_to
from ivfuse.metrics.metric import Undefined
from ivfuse.metrics.temporal import LEAST_SIDE, TemporalScorer, TemporalScores
from ivfuse.video.auto_gain import AutoGain
from ivfuse.video.frame import Frame, encode_luma, full_range_luma
from ivfuse.video.queues import NoItem
from ivfuse.video.source import FrameSource
from ivfuse.video.sync import FramePairer

_SIZE_TOLERANCE = 1  # pixels; H.264 cuts odd sides


def score_videos(
    fused: Sequence[FrameSource],
    ir: FrameSource,
    vi: FrameSource,
    *,
    offset: float = 0.0,
    on_frame: Callable[[], object] | None = None,
) -> list[TemporalScores]:
    """Score fused videos of the same sources.

    Frames are paired by time as the fusion pairs them: the first frame of a fused video is that of the first
    visible frame with a thermal frame near in time. Only frames that all videos have count.

    Args:
        fused: the fused videos, of the size of the visible.
        ir: the thermal source; it shows the same view, and is resampled to the size of the visible.
        vi: the visible source. All sources are closed at the end.
        offset: seconds to add to the thermal times, as in the fusion.
        on_frame: called after each visible frame.

    Returns:
        The scores, in the order of ``fused``.

    Raises:
        InputError: if a source is live, a video has another size, or fewer than three frames in a row fit
            together.
    """
    try:
        return _score(fused, ir, vi, offset, on_frame or (lambda: None))
    finally:
        for source in (*fused, ir, vi):
            source.close()


def _score(
    fused: Sequence[FrameSource],
    ir: FrameSource,
    vi: FrameSource,
    offset: float,
    on_frame: Callable[[], object],
) -> list[TemporalScores]:
    for source in (*fused, ir, vi):
        if source.info.live:
            raise InputError(f"{source.info.name}: found a live source", expected="a recorded video")
    scorer, gain = TemporalScorer(len(fused)), AutoGain()
    thermals = _pairer(ir, vi.info.rate, offset)
    results: list[FramePairer] = []
    for frame in _frames(vi):
        if any(each.is_exhausted(frame.time) for each in (thermals, *results)):
            break
        thermal = thermals.match(frame.time)
        if thermal is not None and not results:
            results = [_pairer(each, vi.info.rate, frame.time - each.info.start) for each in fused]
        found = [each for each in (pairer.match(frame.time) for pairer in results) if each is not None]
        if thermal is None or len(found) < len(fused):
            scorer.interrupt()
        else:
            for source, each in zip(fused, found, strict=True):
                _check_size(source.info.name, each, vi.info.name, frame)
            luma = full_range_luma(frame)
            gray = encode_luma(resize_to(gain.apply(thermal), *luma.shape), limited=False)
            scorer.add(gray, luma, [_luma(each, luma.shape) for each in found])
        on_frame()
    try:
        return scorer.scores()
    except Undefined as error:
        names = ", ".join(each.info.name for each in fused)
        raise InputError(f"{names}: {error}", expected="videos that overlap in time") from error


def _check_size(fused_name: str, fused: Frame, vi_name: str, vi: Frame) -> None:
    found, expected = ((each.width, each.height) for each in (fused, vi))
    if max(abs(a - b) for a, b in zip(found, expected, strict=True)) > _SIZE_TOLERANCE:
        raise InputError(
            f"{fused_name}: found {found[0]}x{found[1]}",
            expected=f"{expected[0]}x{expected[1]}, the size of the visible",
        )
    if min(expected) < LEAST_SIDE:
        raise InputError(
            f"{vi_name}: found {expected[0]}x{expected[1]}",
            expected=f"{LEAST_SIDE} pixels or more a side",
        )


def _pairer(source: FrameSource, rate: Fraction, offset: float) -> FramePairer:
    """Pairs the frames of a source with the visible frames, which have the given rate."""
    frames = _frames(source)
    return FramePairer(lambda _: next(frames, NoItem.ENDED), source.info.rate, rate, offset)


def _frames(source: FrameSource) -> Iterator[Frame]:
    """The frames of a source without its audio."""
    return (item for item in source.items() if isinstance(item, Frame))


def _luma(frame: Frame, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The luma of a fused frame in 0..255, of the shape of the visible."""
    luma = full_range_luma(frame)
    if luma.shape == shape:
        return luma
    return encode_luma(resize_to(luma.astype(np.float32) / np.float32(255), *shape), limited=False)
