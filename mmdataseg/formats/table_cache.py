"""The cache of a parsed annotation file: one memory-mapped safetensors file."""

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.numpy import save_file

from mmdataseg.errors import UserError
from mmdataseg.formats.instance_table import InstanceTable

FORMAT = 7


def cached_table(
    path: Path, cache_dir: Path, options: Mapping[str, Any], read: Callable[[], InstanceTable]
) -> InstanceTable:
    """Return the table of an annotation file, memory-mapped from the cache. The first call parses the file.

    The key is the file's path relative to the cache folder, its size and time of change, with the options. So a change
    of the file or of the label space causes a new parse, but a move of the file with its cache does not. Two files with
    the same name and time in different folders, as from an archive, are told apart. One process per machine parses, and
    the others wait for it.

    Args:
        path: The annotation file.
        cache_dir: Folder of the caches, created if missing.
        options: Everything except the file that the table depends on. Must be JSON.
        read: Parses the file.

    Raises:
        UserError: The folder cannot be written to.
    """
    status = path.stat()
    text = json.dumps(
        [FORMAT, _path_from(cache_dir, path), status.st_size, status.st_mtime_ns, options], sort_keys=True
    )
    entry = cache_dir / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"
    if not entry.is_file():
        _require_writable(path, cache_dir)
        with _lock(entry.with_suffix(".lock")):
            if not entry.is_file():
                _write(read(), entry)
    # The reader for torch maps the file, the reader for numpy copies it. Workers share the mapped pages.
    with safe_open(entry, framework="pt") as file:
        columns = {name: file.get_tensor(name).numpy() for name in InstanceTable.columns()}
    for column in columns.values():
        column.flags.writeable = False
    return InstanceTable(**columns)


def _path_from(cache_dir: Path, path: Path) -> str:
    try:
        return os.path.relpath(path.resolve(), cache_dir.resolve())
    except ValueError:  # on another drive of Windows
        return str(path.resolve())


def _require_writable(path: Path, cache_dir: Path) -> None:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_dir):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write the cache of this file under '{cache_dir}' ({error})",
            file=path,
            remedy="set cache_dir to a writable folder, or to None",
        ) from None


def _write(table: InstanceTable, entry: Path) -> None:
    """Write to a temporary file and rename it, so that a cache is complete or does not exist."""
    aside = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.part")
    try:
        save_file({name: getattr(table, name) for name in InstanceTable.columns()}, aside)
        aside.replace(entry)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine. Platforms and file systems without locks rely on the rename."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        with contextlib.suppress(OSError):  # e.g. of Lustre without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
