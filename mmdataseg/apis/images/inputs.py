"""Find images in whatever a user gives: files, folders, patterns, addresses, images in memory, videos, cameras, and any
list or generator of these. Each image is read only when it is needed."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import ParseResult, urlparse
from urllib.request import Request, urlopen

import cv2
import numpy as np
import torch
from PIL import Image

from mmdataseg.apis.images.decoding import (
    MAX_PIXELS,
    Channels,
    UnreadableImageError,
    decode_image,
    from_array,
    from_pillow,
    from_tensor,
)
from mmdataseg.apis.images.paths import VIDEO_SUFFIXES, check_paths, files_in, matching
from mmdataseg.errors import UserError

_SECONDS = 30  # without an answer
_SECONDS_IN_ALL = 300  # for a whole download
_BYTES = 2**28  # largest download
_PIECE = 2**16


@dataclass(frozen=True, eq=False, kw_only=True)
class Video:
    """The video of a frame.

    Args:
        name: Name of the file as for images, without the suffix; or ``camera0``, ``camera1``, ...
        fps: Frames per second.
    """

    name: str
    fps: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageInput:
    """An image that was found but not read yet.

    Args:
        name: Path relative to the given folder, the number of an array, or ``<video>/<frame number>``.
        path: File or address; None for an image in memory.
        load: Reads the image as (H, W, 3) uint8 BGR. Raises `UnreadableImageError`.
        video: The video that the image is a frame of, if any.
    """

    name: str
    path: str | None
    load: Callable[[], np.ndarray]
    video: Video | None = None


class ImageInputs:
    """Turns what a user gives into a stream of images.

    Args:
        channels: Channel order of arrays and tensors; not needed for other inputs.
        max_pixels: Larger images count as unreadable.
        root: Folder that file names are relative to; None: the given folder, or the folder of a given file.
        without: Folder to skip, such as the output folder.
    """

    def __init__(
        self,
        *,
        channels: Channels | None = None,
        max_pixels: int = MAX_PIXELS,
        root: Path | None = None,
        without: Path | None = None,
    ) -> None:
        self._channels = channels
        self._max_pixels = max_pixels
        self._root = root
        self._without = without
        self._number = 0

    def __call__(self, given: Any) -> Iterator[ImageInput]:
        """Find the images.

        Args:
            given: Path of an image, of a folder (searched at all depths, links are followed) or of a video; a pattern
                such as ``photos/*.jpg``; an ``http(s)://`` address; a Pillow image; an array (H, W, 3) or
                (N, H, W, 3); a tensor (3, H, W) or (N, 3, H, W); a camera number; or an iterable of these.

        Yields:
            The images in the given order; those of a folder are sorted by name.

        Raises:
            MissingFileError: A path does not exist, or a pattern or folder has no image.
            UserError: An input of another type, or an address with another scheme.
        """
        if isinstance(given, str | os.PathLike):
            yield from self._of_text(os.fspath(given))
        elif isinstance(given, Image.Image | np.ndarray | torch.Tensor):
            yield from self._in_memory(given)
        elif isinstance(given, int) and not isinstance(given, bool):
            yield from self._frames(given, f"camera{given}")
        elif isinstance(given, Iterable) and not isinstance(given, Mapping | bytes):
            for item in given:
                yield from self(item)
        else:
            raise UserError(
                f"a {type(given).__name__} is not an image",
                remedy="give a path, an address, a Pillow image, an array, a tensor, a camera number or a list",
            )

    def _of_text(self, text: str) -> Iterator[ImageInput]:
        if "://" in text:
            yield self._at_address(text)
            return
        check_paths([text])
        path = Path(text).expanduser()
        if path.is_dir():
            files = files_in(path, without=self._without)
        else:
            files = [path] if path.exists() else matching(text)
        for file in files:
            base = self._root or (path if path.is_dir() else file.parent)
            name = os.path.relpath(os.path.abspath(file), os.path.abspath(base)).replace(os.sep, "/")
            if file.suffix.lower() in VIDEO_SUFFIXES:
                yield from self._frames(str(file), name.removesuffix(file.suffix))
            else:
                yield ImageInput(name=name, path=str(file), load=partial(self._read, file))

    def _read(self, file: Path) -> np.ndarray:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UnreadableImageError(f"cannot be read ({error.strerror})", file=file) from error
        return decode_image(content, name=str(file), max_pixels=self._max_pixels)

    def _at_address(self, address: str) -> ImageInput:
        parsed = urlparse(address)
        if parsed.scheme not in ("http", "https"):
            raise UserError(f"{address}: expected an http:// or https:// address", remedy="give the path of a file")
        return ImageInput(name=_name_of(parsed), path=address, load=lambda: self._fetch(address))

    def _fetch(self, address: str) -> np.ndarray:
        try:
            with urlopen(Request(address, headers={"User-Agent": "mmdataseg"}), timeout=_SECONDS) as answer:
                content = _within_limits(answer)
        except (HTTPException, OSError, ValueError) as error:
            raise UnreadableImageError(f"cannot be fetched ({error})", file=address) from error
        if len(content) > _BYTES:
            raise UnreadableImageError(f"more than {_BYTES >> 20} MiB", file=address, remedy="download it")
        return decode_image(content, name=address, max_pixels=self._max_pixels)

    def _in_memory(self, given: Image.Image | np.ndarray | torch.Tensor) -> Iterator[ImageInput]:
        if not isinstance(given, Image.Image) and given.ndim == 4:
            for item in given:
                yield from self._in_memory(item)
            return
        name = f"{self._number:06}"
        self._number += 1
        path = getattr(given, "filename", None) or None  # Pillow's images from files have one
        yield ImageInput(name=name, path=path, load=lambda: self._convert(given, f"image {name}"))

    def _convert(self, given: Image.Image | np.ndarray | torch.Tensor, name: str) -> np.ndarray:
        if isinstance(given, Image.Image):
            return from_pillow(given, name=name, max_pixels=self._max_pixels)
        convert: Callable[..., np.ndarray] = from_array if isinstance(given, np.ndarray) else from_tensor
        return convert(given, channels=self._channels, name=name, max_pixels=self._max_pixels)

    def _frames(self, where: str | int, name: str) -> Iterator[ImageInput]:
        capture = cv2.VideoCapture(where)
        try:
            if not capture.isOpened():
                yield _unreadable(name, where, "cannot be opened as a video; check the file or the camera number")
                return
            video = Video(name=name, fps=capture.get(cv2.CAP_PROP_FPS) or 25.0)
            path = None if isinstance(where, int) else where
            number = 0
            while True:
                there, frame = capture.read()
                if not there:
                    break
                number += 1
                if frame.shape[0] * frame.shape[1] > self._max_pixels:
                    yield _unreadable(name, where, f"its frames have more than {self._max_pixels} pixels")
                    return
                yield ImageInput(name=f"{name}/{number:06}", path=path, load=lambda frame=frame: frame, video=video)
            if not number:
                yield _unreadable(name, where, "has no frame that can be read; convert it to another format")
        finally:
            capture.release()


def _within_limits(answer: HTTPResponse) -> bytes:
    """Read at most one byte more than the largest download.

    Raises:
        TimeoutError: A server sends too slowly. The time-out of a connection only limits the time between two pieces.
    """
    content, end = bytearray(), time.monotonic() + _SECONDS_IN_ALL
    while len(content) <= _BYTES and (piece := answer.read1(_PIECE)):
        content += piece
        if time.monotonic() > end:
            raise TimeoutError(f"not complete after {_SECONDS_IN_ALL} seconds")
    return bytes(content)


def _unreadable(name: str, where: str | int, why: str) -> ImageInput:
    """Return an input for an unreadable video. It raises when it is loaded, so that other inputs are not lost."""

    def load() -> np.ndarray:
        raise UnreadableImageError(why, file=f"camera {where}" if isinstance(where, int) else where)

    return ImageInput(name=name, path=str(where), load=load)


def _name_of(address: ParseResult) -> str:
    """Turn an address into a relative file name: host and path, without ``..``, and a hash of the query if any."""
    parts = [re.sub(r"[^\w.-]", "_", part) for part in (address.netloc, *address.path.split("/"))]
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:1] + kept[1:-1]  # never above the host
        elif part not in ("", "."):
            kept.append(part)
    name = "/".join(kept)
    if address.query:
        stem, suffix = os.path.splitext(name)
        name = f"{stem}_{hashlib.sha256(address.query.encode()).hexdigest()[:8]}{suffix}"
    return name
