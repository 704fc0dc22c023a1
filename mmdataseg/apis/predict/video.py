"""Write pictures to a video file. OpenCV does not say when the disk is full, so it is checked here."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from mmdataseg.apis.images.inputs import Video
from mmdataseg.errors import UserError

RESERVE = 2**25
"""Bytes that a video leaves free on the disk: without room for its index, at the end, none of it can be read."""
_AGAIN = "make room, then run the same command again: the video starts again from its first frame"


class VideoFile:
    """A video that is being written. Until `close`, the file has another name, ``<name>.part.mp4``.

    Args:
        video: The video that the pictures are made from.
        path: Path of the file, which ends in .mp4. Missing folders are created.
        size: (height, width) of the pictures.

    Attributes:
        video: As given.

    Raises:
        UserError: OpenCV cannot write videos here.
    """

    def __init__(self, video: Video, path: Path, size: tuple[int, int]) -> None:
        self.video = video
        self._path = path
        self._aside = path.with_name(path.stem + ".part.mp4")
        self._frames = 0
        self._full = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = cv2.VideoWriter(str(self._aside), cv2.VideoWriter.fourcc(*"mp4v"), video.fps, size[::-1])
        if not self._writer.isOpened():
            raise UserError("OpenCV cannot write an .mp4 video here", file=path, remedy="save pictures instead")

    def write(self, picture: np.ndarray) -> None:
        """Add a frame, (height, width, 3) uint8 RGB.

        Raises:
            UserError: The disk is nearly full, now or at an earlier frame. The frames so far are kept.
        """
        self._full = self._full or shutil.disk_usage(self._path.parent).free < RESERVE
        if self._full:
            raise UserError(
                f"the disk has less than {RESERVE >> 20} MiB left; the video ends after {self._frames} frames",
                file=self._path,
                remedy=_AGAIN,
            )
        self._writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self._frames += 1

    def close(self) -> None:
        """End the video and give the file its name. A video without a frame leaves no file.

        Raises:
            UserError: Frames are missing in the file. What is there is kept.
        """
        self._writer.release()
        if not self._frames:
            self._aside.unlink(missing_ok=True)
            return
        there = _frames_in(self._aside)
        if there:
            self._aside.replace(self._path)
        if there < self._frames:
            raise UserError(
                f"only {there} of {self._frames} frames were written; the disk may be full",
                file=self._path if there else self._aside,
                remedy=_AGAIN,
            )


def _frames_in(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
