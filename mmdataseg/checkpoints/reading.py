"""Opening a checkpoint: a file or an address, read without running code."""

import pickle
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mmdataseg.checkpoints.addresses import download, is_address
from mmdataseg.checkpoints.unpickling import CodeInPickleError, pickle_module, plain, restore_histories
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.weights import file_sha256, is_torchscript

STATE_KEYS = ("state_dict", "model")
_HARMLESS = ("mmengine.config.", "mmengine.logging.", "mmengine.dist.", "argparse.Namespace", "torch.Tensor")


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """The content of a checkpoint.

    Args:
        origin: Path or address, as it was given.
        path: The file on disk.
        content: What was saved: tensors, numbers, strings and containers of them; an object of another type becomes a
            dict of its items, or None.
        skipped: Names of the types that were not built, sorted.
    """

    origin: str
    path: Path
    content: Any
    skipped: tuple[str, ...] = ()

    @property
    def state_dict(self) -> dict[str, Tensor]:
        """Name -> tensor, of a state dict at the top or under ``state_dict`` or ``model``.

        Raises:
            UserError: There is no such state dict.
        """
        content = self.content
        for key in STATE_KEYS:
            if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
                content = content[key]
                break
        if isinstance(content, Mapping):
            state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
            if state:
                return {name.removeprefix("module."): value for name, value in state.items()}
        raise _without_tensors(self.content, self.origin)

    @property
    def meta(self) -> Mapping[str, Any]:
        """What was saved under ``meta``; empty where nothing was."""
        meta = self.content.get("meta") if isinstance(self.content, Mapping) else None
        return meta if isinstance(meta, Mapping) else {}

    def sha256(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return file_sha256(self.path)


def read_checkpoint(origin: str | PathLike[str], *, trust: bool = False, progress: bool = True) -> Checkpoint:
    """Read a checkpoint to the CPU, without running code that it holds.

    Args:
        origin: Path of a ``.safetensors`` or ``torch.save`` file, or an address: then torch hub's cache holds the file.
        trust: Build every object that the file names, which runs whatever code it holds: only for your own files.
        progress: Show a bar while downloading.

    Raises:
        MissingFileError: There is no such file.
        UserError: The address cannot be read; the file is cut short or has another format; its pickle calls code, which
            the message names; or it holds something else than a dict.
    """
    name = str(origin)
    path = download(name, progress=progress) if is_address(name) else Path(name)
    if path.is_dir():
        raise UserError("is a folder; expected a checkpoint", file=name, remedy="give the file in it")
    if not path.is_file():
        raise MissingFileError("no such file; expected a checkpoint", file=name, remedy="check the path")
    if _is_safetensors(path):
        try:
            return Checkpoint(origin=name, path=path, content=load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(name, error) from error
    _refuse_torchscript(path, name)
    content, skipped = _read_pickle(path, name, trust=trust)
    if not isinstance(content, Mapping):
        raise _without_tensors(content, name)
    return Checkpoint(origin=name, path=path, content=content, skipped=tuple(sorted(skipped)))


def _without_tensors(content: Any, name: str) -> UserError:
    found = f" with the keys {sorted(map(str, content))[:6]}" if isinstance(content, Mapping) else ""
    return UserError(
        "expected a checkpoint with tensors, at the top or under 'state_dict' or 'model', got a "
        f"{type(content).__name__}{found}",
        file=name,
        remedy="give the file that a training wrote",
    )


def _is_safetensors(path: Path) -> bool:
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:  # eight bytes of length, then JSON
        start = file.read(9)
    return start[8:9] == b"{" and not start.startswith((b"PK", b"\x80"))


def _refuse_torchscript(path: Path, name: str) -> None:
    try:
        is_code = is_torchscript(path)
    except Exception as error:  # a damaged file can raise any error in the reader of zip files, too
        raise _unreadable(name, error) from error
    if is_code:
        raise UserError(
            "expected a checkpoint, got a TorchScript program, which is code",
            file=name,
            remedy="give the state dict of its model",
        )


def _read_pickle(path: Path, name: str, *, trust: bool) -> tuple[Any, Iterable[str]]:
    skipped: dict[str, type] = {}
    histories: list[Any] = []
    module = pickle if trust else pickle_module(skipped, histories)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", pickle_module=module, weights_only=False)
    except CodeInPickleError as error:
        raise UserError(
            f"its pickle calls {error}, which is code; nothing of it was run",
            file=name,
            remedy="get the weights from a source that you trust, as safetensors or as a state dict",
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file, or one of another format, can raise any error in its reader
        raise _unreadable(name, error, skipped) from error
    restore_histories(histories)
    return (content if trust else plain(content)), skipped


def _unreadable(name: str, error: Exception, skipped: Iterable[str] = ()) -> UserError:
    first_line = next(iter(str(error).splitlines()), "")[:160]
    if skipped:
        found = ", ".join(sorted(skipped)[:5])
        return UserError(
            f"cannot be read without running its code: it is built from {found}",
            file=name,
            remedy="save its state dict alone to a new file, or, if you made the file yourself, read it with trust",
        )
    return UserError(
        f"is not a checkpoint, or was cut short ({type(error).__name__}: {first_line})",
        file=name,
        remedy="give a .safetensors file or what torch.save wrote; download it again if it was downloaded",
    )


def surprising(skipped: tuple[str, ...]) -> tuple[str, ...]:
    """The types that were not built, without those that OpenMMLab's trainings write."""
    return tuple(name for name in skipped if not name.startswith(_HARMLESS))
