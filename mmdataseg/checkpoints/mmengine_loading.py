"""Make mmengine open every checkpoint with `read_checkpoint`: no file runs code unless the user trusts it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models
from torch import Tensor

from mmdataseg.checkpoints.reading import read_checkpoint, surprising
from mmdataseg.errors import UserError

LOCAL, WEB = "", ("http://", "https://", "file://")
TORCHVISION = ("torchvision://", "modelzoo://")
REFUSED = ("open-mmlab://", "openmmlab://", "mmcls://", "pavi://", "petrel://", "ceph://", "s3://")


def use_safe_reader(*, trust: bool = False) -> None:
    """From now on, mmengine loads every checkpoint in this process with `read_checkpoint`.

    This covers ``load_from``, ``--resume``, the checkpoint of a test, and ``init_cfg=dict(type='Pretrained')``.

    Args:
        trust: Build every object that a file names, which runs whatever code it holds.
    """

    def load_from_safe_reader(filename: str, map_location: Any = None) -> Any:  # noqa: ARG001  # mmengine's signature
        found = read_checkpoint(resolve(filename), trust=trust)
        if surprising(found.skipped):
            print_log(
                f"'{filename}': left out, because they are neither tensors nor plain values: "
                f"{', '.join(surprising(found.skipped))}; --trust-checkpoint reads them",
                logger="current",
                level=logging.WARNING,
            )
        return _as_checkpoint(found.content)

    CheckpointLoader.register_scheme((LOCAL, *WEB, *TORCHVISION), load_from_safe_reader, force=True)
    CheckpointLoader.register_scheme(REFUSED, load_from_refused_address, force=True)


def _as_checkpoint(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put a file that holds only weights under ``state_dict``, where hooks such as mmengine's EMAHook expect them."""
    only_weights = bool(content) and all(isinstance(value, Tensor) for value in content.values())
    return {"state_dict": content} if only_weights else content


def load_from_refused_address(filename: str, map_location: Any = None) -> Any:  # noqa: ARG001  # mmengine's signature
    """Raise a `UserError` for an address of a kind that `read_checkpoint` does not read."""
    raise UserError(
        "checkpoints at this kind of address are not read",
        file=filename,
        remedy="download the file and give its path, or give its https:// address",
    )


def resolve(filename: str) -> str:
    """Return the address or the path that mmengine's name of a checkpoint stands for.

    It may be a name of torchvision's weights, such as ``torchvision://resnet50``.

    Raises:
        UserError: torchvision has no weights of this name.
    """
    for prefix in TORCHVISION:
        if filename.startswith(prefix):
            name, known = filename.removeprefix(prefix), get_torchvision_models()
            if name not in known:
                raise UserError(f"torchvision has no weights {name!r}", file=filename)
            return known[name]
    return filename if filename.startswith(WEB) else str(Path(filename).expanduser())
