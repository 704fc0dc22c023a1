"""Paths of images: what is an image or a video by its name, and the images in a folder. Imports nothing heavy."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdataseg.errors import MissingFileError, UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".jp2", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def files_in(folder: Path) -> Iterator[Path]:
    """The images in a folder, at all depths, one folder's names in memory at a time.

    Links to folders are followed; a folder that is reached a second time, by a loop or by another link, is passed over.

    Args:
        folder: Where to look.

    Yields:
        Files that end in one of `SUFFIXES`, sorted by name within each folder; files before folders.
    """
    yield from _files_in(folder, set())


def _files_in(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    folders = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            folders.append(Path(entry.path))
        elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
            yield Path(entry.path)
    for inner in folders:
        yield from _files_in(inner, seen)


def is_pattern(text: str) -> bool:
    """Whether a path has wildcards."""
    return any(sign in text for sign in "*?[")


def check_paths(given: Sequence[str]) -> None:
    """Check that paths exist, before anything slow is done.

    Args:
        given: Paths, patterns, addresses, or numbers of cameras.

    Raises:
        MissingFileError: One does not exist.
    """
    for text in given:
        if not ("://" in text or text.isdecimal() or is_pattern(text) or Path(text).expanduser().exists()):
            raise MissingFileError(f"image or folder '{text}' does not exist", remedy="check the path")


def common_root(given: Sequence[str]) -> Path | None:
    """The folder that names of images are relative to.

    Args:
        given: As of `check_paths`.

    Returns:
        The deepest folder that has all folders and files that are given; None: none of them is a path.
    """
    paths = [Path(text).expanduser() for text in given if "://" not in text]
    roots = [os.path.abspath(path if path.is_dir() else path.parent) for path in paths if path.exists()]
    return Path(os.path.commonpath(roots)) if roots else None


def count_images(given: Sequence[str]) -> int | None:
    """Count the images that paths name.

    Args:
        given: As of `check_paths`.

    Returns:
        Their number; None: there is a video, a camera, a pattern or an address among them.

    Raises:
        UserError: Two images whose names differ in nothing but the suffix: their files would have one name.
    """
    root = common_root(given)
    paths = [Path(text).expanduser() for text in given]
    if root is None or not all(path.exists() and path.suffix.lower() not in VIDEO_SUFFIXES for path in paths):
        return None
    names: dict[str, str] = {}
    for path in paths:
        for file in files_in(path) if path.is_dir() else (path,):
            name = os.path.relpath(os.path.abspath(file), root)
            stem, _ = os.path.splitext(name)
            if names.setdefault(stem, name) != name:
                raise UserError(
                    f"'{names[stem]}' and '{name}' would be written to the same file",
                    remedy="segment them in two calls, with two --out",
                )
    return len(names)
