"""Checkpoints at an address: torch hub's cache, a progress bar, and a checksum where the name has one."""

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch

from mmdataseg.errors import UserError

_SECONDS = 60  # without an answer
_HASH = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")  # as torch hub's: model-0123abcd.pth


def is_address(name: str) -> bool:
    """Whether a checkpoint is given by an address."""
    return "://" in name


def download(address: str, *, progress: bool = True) -> Path:
    """Download a file into torch hub's cache, unless it is there.

    Args:
        address: ``https://...``, ``http://...`` or ``file://...``.
        progress: Show a bar.

    Returns:
        Path of the file.

    Raises:
        UserError: The address is of another kind, answers with an error or not for a minute, or gives a file without
            the checksum in its name.
    """
    parsed = urlparse(address)
    name = Path(parsed.path).name
    if parsed.scheme not in ("http", "https", "file") or not name:
        raise UserError(f"{address}: expected the address of a file, https://...; download it and give its path")
    found = _HASH.search(name)
    if found is None:  # many files may have this name, such as model.safetensors
        name = f"{hashlib.sha256(address.encode()).hexdigest()[:8]}_{name}"
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _time_out(_SECONDS):
            torch.hub.download_url_to_file(address, str(path), found[1] if found else None, progress=progress)
    except HTTPError as error:
        raise UserError(
            f"{address}: answers {error.code} ({error.reason}); expected a file", remedy="check the address"
        ) from error
    except (HTTPException, OSError) as error:
        raise UserError(
            f"{address}: cannot be reached ({error})", remedy="download it elsewhere and give its path"
        ) from error
    except RuntimeError as error:  # torch raises it if the hash differs
        raise UserError(
            f"{address}: not the file that its name promises ({error})", remedy="the download is damaged; try again"
        ) from error
    return path


@contextmanager
def _time_out(seconds: float) -> Iterator[None]:
    """Limit how long new connections wait for data. torch.hub has no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
