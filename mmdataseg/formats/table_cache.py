"""A parsed annotation file on disk, as one ``.npy`` file a column."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdataseg.formats.instance_table import InstanceTable

FORMAT = 3


def cached_table(
    path: Path, cache_dir: Path, options: Mapping[str, Any], read: Callable[[], InstanceTable]
) -> InstanceTable:
    """The table of an annotation file, memory-mapped from the cache; parsed and written there the first time.

    Its key is the file's name, size and time of change and the options, so another label space or an edited file is
    parsed anew. One process of a machine parses, the others wait for it.

    Args:
        path: The annotation file.
        cache_dir: Where caches live; made if missing.
        options: All that the table depends on beside the file; must be JSON.
        read: Parses the file.

    Raises:
        ValueError: The folder cannot be written.
    """
    status = path.stat()
    text = json.dumps([FORMAT, path.name, status.st_size, status.st_mtime_ns, options], sort_keys=True)
    entry = cache_dir / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not entry.is_dir():
        _require_writable(path, cache_dir)
        with _lock(entry.with_suffix(".lock")):
            if not entry.is_dir():
                _write(read(), cache_dir, entry)
    return InstanceTable(**{name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in InstanceTable.columns()})


def _require_writable(path: Path, cache_dir: Path) -> None:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_dir):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write the cache of '{path}' under '{cache_dir}' ({error}); set cache_dir to a folder that can be "
            "written, or to None"
        ) from None


def _write(table: InstanceTable, cache_dir: Path, entry: Path) -> None:
    """Write aside, then rename: a cache is whole or not there."""
    aside = Path(tempfile.mkdtemp(dir=cache_dir, prefix=entry.name + "."))
    try:
        for name in InstanceTable.columns():
            np.save(aside / f"{name}.npy", getattr(table, name), allow_pickle=False)
        try:
            aside.rename(entry)
        except OSError:
            if not entry.is_dir():  # else another machine that shares the folder was first
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine; where the platform has none, go on: the rename decides."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
