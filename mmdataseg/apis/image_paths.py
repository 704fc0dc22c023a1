"""Paths of images: what is an image or a video by its name, and the images in a folder. Imports nothing heavy."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdataseg.errors import MissingFileError, UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".jp2", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def files_in(folder: Path, *, without: Path | None = None) -> Iterator[Path]:
    """The images in a folder, at all depths, one folder's names in memory at a time.

    Links to folders are followed; a folder that is reached a second time, by a loop or by another link, is passed over.

    Args:
        folder: Where to look.
        without: A folder that is passed over, such as the one that pictures are written to.

    Yields:
        Files that end in one of `SUFFIXES`, sorted by name within each folder; files before folders.
    """
    yield from _files_in(folder, {_key(without)} if without is not None and without.exists() else set())


def _key(folder: Path) -> tuple[int, int]:
    """Tells a folder by whatever path it is reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _files_in(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    if _key(folder) in seen:
        return
    seen.add(_key(folder))
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


def matching(pattern: str) -> list[Path]:
    """The paths that fit a pattern, in which ``**`` means folders at all depths; sorted."""
    return [Path(found) for found in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]


def check_paths(given: Sequence[str]) -> None:
    """Check that paths exist, before anything slow is done.

    Args:
        given: Paths, patterns, addresses, or numbers of cameras.

    Raises:
        MissingFileError: One does not exist, a folder has no image in it, or nothing fits a pattern.
    """
    for text in given:
        path = Path(text).expanduser()
        if path.is_dir() and next(files_in(path), None) is None:
            raise MissingFileError(
                f"folder '{text}' has no image in it", remedy=f"expected files that end in {', '.join(SUFFIXES)}"
            )
        matches = matching(text) if is_pattern(text) else []
        if not ("://" in text or text.isdecimal() or path.exists() or matches):
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


def count_images(given: Sequence[str], *, without: Path | None = None) -> int | None:
    """Count the images that paths name.

    Args:
        given: As of `check_paths`.
        without: As of `files_in`.

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
        for file in files_in(path, without=without) if path.is_dir() else (path,):
            name = os.path.relpath(os.path.abspath(file), root)
            stem, _ = os.path.splitext(name)
            if names.setdefault(stem, name) != name:
                raise UserError(
                    f"'{names[stem]}' and '{name}' would be written to the same file",
                    remedy="segment them in two calls, with two --out",
                )
    return len(names)
