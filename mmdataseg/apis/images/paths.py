"""Find image files in folders and patterns, and check paths. Imports nothing heavy."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdataseg.errors import MissingFileError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".jp2", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def files_in(folder: Path, *, without: Path | None = None) -> Iterator[Path]:
    """Yield the images in a folder, at all depths, one directory listing in memory at a time.

    Links to folders are followed. A folder that is reached again, by a loop or another link, is skipped.

    Args:
        folder: The folder to search.
        without: Folder to skip, such as the output folder.

    Yields:
        Files whose suffix is in `SUFFIXES`, sorted by name within each folder, files before subfolders.

    Raises:
        OSError: A folder cannot be read.
    """
    seen = {_identity(without)} if without is not None and without.exists() else set()
    for where, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        if _identity(where) in seen:
            folders.clear()
            continue
        seen.add(_identity(where))
        folders.sort()
        paths = (Path(where, name) for name in sorted(files) if name.lower().endswith(SUFFIXES))
        yield from (path for path in paths if path.is_file())


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _raise(error: OSError) -> None:
    raise error


def matching(pattern: str) -> list[Path]:
    """Return the sorted paths that match a pattern, in which ``**`` matches folders at all depths.

    There are none for a path without wildcards.
    """
    if not any(sign in pattern for sign in "*?["):
        return []
    return [Path(found) for found in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]


def check_paths(given: Sequence[str]) -> None:
    """Check that each path exists, before anything slow starts. Addresses and camera numbers are accepted as they are.

    Raises:
        MissingFileError: A path does not exist, a folder has no image in it, or nothing matches a pattern.
    """
    for text in given:
        path = Path(text).expanduser()
        if path.is_dir() and next(files_in(path), None) is None:
            raise MissingFileError(
                f"folder '{text}' has no image in it", remedy=f"expected files that end in {', '.join(SUFFIXES)}"
            )
        if not ("://" in text or text.isdecimal() or path.exists() or matching(text)):
            raise MissingFileError(f"image or folder '{text}' does not exist", remedy="check the path")


def common_root(given: Sequence[str]) -> Path | None:
    """Return the folder that image names are relative to, the deepest that contains all given files and folders.

    It is None if none of them is an existing path.
    """
    paths = [Path(text).expanduser() for text in given if "://" not in text]
    roots = [os.path.abspath(path if path.is_dir() else path.parent) for path in paths if path.exists()]
    return Path(os.path.commonpath(roots)) if roots else None


def count_images(given: Sequence[str], *, without: Path | None = None) -> int | None:
    """Count the images in files and folders, as `files_in` finds them.

    Returns:
        The number of images; None if a video, camera, pattern or address is among the inputs.
    """
    paths = [Path(text).expanduser() for text in given]
    if not all(path.exists() and path.suffix.lower() not in VIDEO_SUFFIXES for path in paths):
        return None
    files = (file for path in paths for file in (files_in(path, without=without) if path.is_dir() else (path,)))
    return len({os.path.abspath(file) for file in files})
