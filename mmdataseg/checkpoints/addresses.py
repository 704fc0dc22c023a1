"""Checkpoints at an address: torch hub's cache, a progress bar, and a checksum where the name has one."""

import hashlib
import re
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse

import torch

from mmdataseg.errors import UserError

_HASH = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")  # as torch hub's: model-0123abcd.pth


def is_address(name: str) -> bool:
    """Whether a checkpoint is named by an address."""
    return "://" in name


def download(address: str, *, progress: bool = True) -> Path:
    """Bring a file into torch hub's cache, unless it is there.

    Args:
        address: ``https://...``, ``http://...`` or ``file://...``.
        progress: Show a bar.

    Returns:
        Path of the file.

    Raises:
        UserError: The address is of another kind, answers with an error, or gives another file than its name says.
    """
    parsed = urlparse(address)
    name = Path(parsed.path).name
    if parsed.scheme not in ("http", "https", "file") or not name:
        raise UserError(f"{address}: expected the address of a file, https://...; download it and give its path")
    found = _HASH.search(name)
    if found is None:  # not a name of its own: model.safetensors
        name = f"{hashlib.sha256(address.encode()).hexdigest()[:8]}_{name}"
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(address, str(path), found[1] if found else None, progress=progress)
    except HTTPError as error:
        raise UserError(
            f"{address}: answers {error.code} ({error.reason}); expected a file", remedy="check the address"
        ) from error
    except (URLError, OSError) as error:
        raise UserError(
            f"{address}: cannot be reached ({error})", remedy="download it elsewhere and give its path"
        ) from error
    except RuntimeError as error:  # torch's word for a hash that differs
        raise UserError(
            f"{address}: another file than its name says ({error})", remedy="the download is damaged; try again"
        ) from error
    return path
