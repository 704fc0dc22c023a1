"""Where a config's data should be, and how to get them: what the docstring of the source's file says."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdataseg.apis.config.files import config_roots
from mmdataseg.errors import MissingFileError
from mmdataseg.sources import Source

_DATA = re.compile(r"^Data\b[^:\n]*: (.+?)(?=\nText embeddings:|\n\n|\Z)", flags=re.MULTILINE | re.DOTALL)
_ENVIRONMENT = re.compile(r"\{\{\$\w+:([^}]*)\}\}")  # mmengine's way to read a variable, with its default
_SPLITS = {"train_dataloader": "train", "val_dataloader": "test", "test_dataloader": "test"}


def check_data_roots(cfg: Config, *loaders: str) -> None:
    """Check that the folders of a config's data exist, before anything is built.

    Args:
        cfg: The config.
        loaders: The data loaders to check, such as ``train_dataloader``.

    Raises:
        MissingFileError: The ``data_root`` of a source does not exist; the message says how to get the data.
    """
    for key in loaders:
        for source in ((cfg.get(key) or {}).get("dataset") or {}).get("sources") or ():
            if isinstance(source, Source | Mapping):  # otherwise the dataset refuses it
                check_data_root(source, _SPLITS[key], filename=cfg.filename)


def check_data_root(source: Source | Mapping[str, Any], split: str, *, filename: str | None = None) -> None:
    """Check that the folder of one source's data exists.

    Args:
        source: The source, or its config. Building a source may import torch and mmdet, which takes seconds.
        split: ``train`` or ``test``.
        filename: Path of the config that names the source, if there is one.

    Raises:
        MissingFileError: It does not; the message says how to get the data.
    """
    values = source if isinstance(source, Mapping) else vars(source)
    root, name = (values.get(split) or {}).get("data_root"), str(values.get("name", "?"))
    if not isinstance(root, str) or Path(root or ".").exists():
        return
    told = how_to_get(name, root, filename=filename)
    raise MissingFileError(
        f"folder '{root}' does not exist{'' if Path(root).is_absolute() else f' in {Path.cwd()}'}",
        source=name,
        remedy=f"get the data: {told}" if told else "put the data there, or set data_root in the source's config",
    )


def how_to_get(source: str, data_root: str = "", *, filename: str | None = None) -> str | None:
    """Return what follows ``Data:`` in the docstring of the file that defines a source.

    Args:
        source: Name of the source, which is also that of its file.
        data_root: Folder of its data: if there is no such file, one that names this folder is taken.
        filename: Path of the config that names the source. Files below its folder come before those of this package.

    Returns:
        One line; None if there is no such file or line.
    """
    roots = [*([Path(filename).resolve().parent] if filename else []), *config_roots()]
    files = [file for root in roots for file in sorted(root.rglob("*.py")) if "_base_" in file.parts]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    named = [text for file, text in texts.items() if file.stem == source]
    alike = [text for text in texts.values() if data_root and f'"{data_root}"' in _ENVIRONMENT.sub(r"\1", text)]
    for text in [*named, *alike]:
        found = _DATA.search(ast.get_docstring(ast.parse(text)) or "")
        if found is not None:
            told = " ".join(found[1].split())
            other = re.match(r"as (\w+)", told)
            return how_to_get(other[1], filename=filename) if other else told
    return None
