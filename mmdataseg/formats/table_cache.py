"""A parsed annotation file on disk: one safetensors file, memory-mapped."""

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

FORMAT = 5


def cached_table(
    path: Path, cache_dir: Path, options: Mapping[str, Any], read: Callable[[], InstanceTable]
) -> InstanceTable:
    """The table of an annotation file, memory-mapped from the cache; parsed and written there the first time.

    Its key is the file's name, size and time of change and the options, so another label space or an edited file is
    parsed anew. One process per machine parses; the others wait for it.

    Args:
        path: The annotation file.
        cache_dir: Where caches lie; made if missing.
        options: All that the table depends on besides the file; must be JSON.
        read: Parses the file.

    Raises:
        UserError: The folder cannot be written.
    """
    status = path.stat()
    text = json.dumps([FORMAT, path.name, status.st_size, status.st_mtime_ns, options], sort_keys=True)
    entry = cache_dir / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"
    if not entry.is_file():
        _require_writable(path, cache_dir)
        with _lock(entry.with_suffix(".lock")):
            if not entry.is_file():
                _write(read(), entry)
    # torch's reader maps the file; the one for numpy copies it. Workers share the pages of the map.
    with safe_open(entry, framework="pt") as file:
        columns = {name: file.get_tensor(name).numpy() for name in InstanceTable.columns()}
    for column in columns.values():
        column.flags.writeable = False
    return InstanceTable(**columns)


def _require_writable(path: Path, cache_dir: Path) -> None:
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_dir):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write its cache under '{cache_dir}' ({error})",
            file=path,
            remedy="set cache_dir to a folder that can be written, or to None",
        ) from None


def _write(table: InstanceTable, entry: Path) -> None:
    """Write aside, then rename: a cache is complete, or it does not exist."""
    aside = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.part")
    try:
        save_file({name: getattr(table, name) for name in InstanceTable.columns()}, aside)
        aside.replace(entry)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine; on a platform without locks, the rename alone decides."""
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
