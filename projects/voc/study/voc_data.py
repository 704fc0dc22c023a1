"""Describes the study's data, so that no page mixes results of different photographs, embeddings or weights."""

import hashlib
import os
from pathlib import Path
from typing import Any

from mmdataseg.apis.config.reading import read_config
from mmdataseg.formats.paths import require_dir, require_file
from mmdataseg.text.embeddings import read_metadata
from projects.voc.published.sets import SETS
from projects.voc.study.voc_rows import ALL, CONFIGS

_REMEDY = "prepare it as projects/voc/README.md says"


def data_root() -> Path:
    """Return the folder of the photographs: environment variable ``MMDATASEG_REAL_WORLD``, or data/real_world."""
    return Path(os.environ.get("MMDATASEG_REAL_WORLD", "data/real_world"))


def read_data() -> dict[str, Any]:
    """Describe the data that the configs read.

    Returns:
        ``images``: number of images per set; ``names``, ``embeddings`` and ``weights``: the first digits of the SHA-256
        of the names of all images, of the text rows and of the backbone's file.

    Raises:
        MissingFileError: A folder or a file is missing.
    """
    names = {
        name: sorted(p.name for p in require_dir(data_root() / "voc/images" / name, "folder of photographs").iterdir())
        for name in SETS
    }
    cfg = read_config(CONFIGS / f"{ALL}.py")
    embeddings = {}
    for source in cfg.model.sources:
        path = require_file(Path(source["embeddings"]), "text embeddings", remedy=_REMEDY)
        embeddings[path.stem] = read_metadata(path)["matrix_sha256"][:12]
    weights = require_file(Path(cfg.model.backbone.init_cfg.checkpoint), "weights of the backbone", remedy=_REMEDY)
    return {
        "images": {name: len(found) for name, found in names.items()},
        "names": _digest("\n".join(f"{name}/{file}" for name, found in names.items() for file in found).encode()),
        "embeddings": embeddings,
        "weights": _digest(weights.read_bytes()),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
