"""Writer of fused video as a sequence of PNG images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ivfuse.errors import OutputError, UsageError, fault_of
from ivfuse.image.listing import list_images
from ivfuse.runtime.files import write_atomic
from ivfuse.runtime.locks import Lock, take_lock
from ivfuse.video.frame import Frame, hdr_notes
from ivfuse.video.frame_conversion import to_opencv

if TYPE_CHECKING:
    from ivfuse.video.source import AudioPacket

_PNG_COMPRESSION = 1  # of 0 to 9; higher levels are slower and hardly smaller


class ImageSequenceWriter:
    """Writes PNG images, numbered from 0; each file is complete or absent."""

    def __init__(self, pattern: Path, overwrite: bool) -> None:
        """Check the folder.

        Args:
            pattern: path with a number in its name, like ``out/f_%05d.png``.
            overwrite: replace images in the folder.

        Raises:
            UsageError: if the folder contains images that must not be replaced.
        """
        self.notes: list[str] = []
        self._pattern = pattern
        self._count = 0
        self._overwrite = overwrite
        self._lock: Lock | None = None
        self._check_empty()

    def _check_empty(self) -> None:
        folder = self._pattern.parent
        if not self._overwrite and folder.is_dir() and list_images(folder):
            raise UsageError(f"{folder}: contains images already", hint="{overwrite} replaces them")

    def write(self, frame: Frame) -> None:
        """See :meth:`ivfuse.video.writer.FrameWriter.write`."""
        import cv2

        if not self._count:
            self._begin(frame)
        pixels = to_opencv(frame)
        path = self._pattern.with_name(self._pattern.name % self._count)
        done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])
        if not done:
            raise OutputError(f"{path}: the encoder failed on an image of shape {pixels.shape}")
        write_atomic(path, np.ascontiguousarray(data).data)
        self._count += 1

    def _begin(self, frame: Frame) -> None:
        """Claim the folder, so that the images of two runs are not mixed."""
        folder = self._pattern.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(folder, folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written to: {fault_of(error)}") from error
        self._check_empty()
        self.notes += hdr_notes(frame)

    def write_audio(self, packet: AudioPacket) -> None:
        """Images have no audio."""

    def close(self) -> Path | None:
        """See :meth:`ivfuse.video.writer.FrameWriter.close`."""
        if self._lock is not None:
            self._lock.release()
        return self._pattern.parent if self._count else None
