"""What a user may give as images: files, folders, patterns, addresses, pictures in memory, videos, cameras, and any
list or generator of these. They are read one at a time, when they are needed."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import ParseResult, urlparse
from urllib.request import Request, urlopen

import cv2
import numpy as np
import torch
from PIL import Image

from mmdataseg.apis.image_decoding import (
    MAX_PIXELS,
    Channels,
    UnreadableImageError,
    decode_image,
    from_array,
    from_pillow,
    from_tensor,
)
from mmdataseg.apis.image_paths import VIDEO_SUFFIXES, check_paths, files_in, is_pattern, matching
from mmdataseg.errors import UserError

_SECONDS = 30
_BYTES = 2**28  # of a file at an address


@dataclass(frozen=True, eq=False, kw_only=True)
class Video:
    """A video that frames are from.

    Args:
        name: As of an image, without the suffix; or ``camera0``.
        fps: Frames a second.
    """

    name: str
    fps: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageInput:
    """An image that was found and not read yet.

    Args:
        name: Relative to the folder that was given; the number of an array; a video's name and the frame's number.
        path: File or address; None: it was in memory.
        load: Reads it: (H, W, 3) uint8 BGR. Raises `UnreadableImageError`.
        video: What the frame is from; None: it is not a frame.
    """

    name: str
    path: str | None
    load: Callable[[], np.ndarray]
    video: Video | None = None


class ImageInputs:
    """Turns what a user gives into images.

    Args:
        channels: The order of the colours of arrays and tensors; not needed for anything else.
        max_pixels: Images with more are unreadable.
        root: Names of files are relative to it; None: to the folder that was given, or to the file's own.
        without: A folder whose images are passed over, such as the one that pictures are written to.
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
            given: A path of an image, of a folder (searched at all depths, links are followed), of a video; a pattern
                such as ``photos/*.jpg``; an ``http(s)://`` address; a Pillow image; an array (H, W, 3) or
                (N, H, W, 3); a tensor (3, H, W) or (N, 3, H, W); the number of a camera; or an iterable of these.

        Yields:
            The images, in the order given, those of a folder sorted by name.

        Raises:
            MissingFileError: A path that does not exist, or a pattern or folder without images.
            UserError: Something else.
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
                f"cannot take a {type(given).__name__} for an image",
                remedy="give a path, an address, a Pillow image, an array, a tensor, a camera's number or a list",
            )

    def _of_text(self, text: str) -> Iterator[ImageInput]:
        if "://" in text:
            yield self._at_address(text)
            return
        check_paths([text])
        path = Path(text).expanduser()
        if path.is_dir():
            files: Iterable[Path] = files_in(path, without=self._without)
        elif path.exists():
            files = [path]
        else:
            files = matching(text) if is_pattern(text) else ()
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
                content = answer.read(_BYTES + 1)
        except (URLError, OSError, ValueError) as error:
            raise UnreadableImageError(f"cannot be fetched ({error})", file=address) from error
        if len(content) > _BYTES:
            raise UnreadableImageError(f"more than {_BYTES >> 20} MiB", file=address, remedy="download it")
        return decode_image(content, name=address, max_pixels=self._max_pixels)

    def _in_memory(self, given: Image.Image | np.ndarray | torch.Tensor) -> Iterator[ImageInput]:
        if not isinstance(given, Image.Image) and given.ndim == 4:
            for item in given:
                yield from self._in_memory(item)
            return
        name, path = f"{self._number:06}", None
        self._number += 1
        if isinstance(given, Image.Image):
            path = getattr(given, "filename", None) or None
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
                yield _unreadable(name, where, "cannot be opened as a video; check the file, or the camera's number")
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


def _unreadable(name: str, where: str | int, why: str) -> ImageInput:
    """A video without frames: an input that raises when it is read, so that the others are not lost."""

    def load() -> np.ndarray:
        raise UnreadableImageError(why, file=f"camera {where}" if isinstance(where, int) else where)

    return ImageInput(name=name, path=str(where), load=load)


def _name_of(address: ParseResult) -> str:
    """Host and path, as a name of a file that is in no other folder; a query is told apart by its hash."""
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
