"""Pretrained weights for a plain ViT with relative positions, and a report of how they were used.

Four kinds of files are read, recognised by their parameters' names: MAE's own (He et al., 2022), MAE's in mmpretrain's
names, SAM's own image encoder, and timm's SAM-ViT.
"""

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from timm.layers import resample_abs_pos_embed_nhwc
from torch import Tensor, nn

from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.progress import first_names

RELATIVE_POSITION = re.compile(r"\.rel_pos_[hw]$")
# What such files hold beside the encoder's blocks and ViTDet does not use: class token, last norm, MAE's decoder, SAM's
# neck, prompt encoder and mask decoder, classification heads.
NOT_NEEDED = re.compile(
    r"^(cls_token|mask_token|dist_token|norm\.|fc_norm\.|head\.|neck\.|decoder|prompt_encoder\.|mask_decoder\.)"
)
# From other names to timm's. The first rule of a kind says how to recognise it.
SAM_NAMES = ((re.compile(r"^image_encoder\."), ""), (re.compile(r"\.mlp\.lin([12])\."), r".mlp.fc\1."))
MMPRETRAIN_NAMES = (
    (re.compile(r"^backbone\.layers\.(\d+)\."), r"blocks.\1."),
    (re.compile(r"^neck\."), "decoder."),
    (re.compile(r"^backbone\.ln1\."), "norm."),
    (re.compile(r"^backbone\."), ""),
    (re.compile(r"\.projection\."), ".proj."),
    (re.compile(r"\.ln([12])\."), r".norm\1."),
    (re.compile(r"\.ffn\.layers\.0\.0\."), ".mlp.fc1."),
    (re.compile(r"\.ffn\.layers\.1\."), ".mlp.fc2."),
)
KINDS = (("SAM", SAM_NAMES), ("mmpretrain", MMPRETRAIN_NAMES))


@dataclass(frozen=True)
class LoadReport:
    """What loading a checkpoint did; parameters have the names of the model.

    Args:
        path: The file.
        kind: The kind of names it had: ``SAM``, ``mmpretrain``, or ``MAE or timm``, which have the same names.
        loaded: Parameters taken from the file, resized ones included.
        resized: (name, old shape, new shape) of the positions that were interpolated.
        dropped: In the file, known, and not needed (class token, decoder, ...), under timm's names.
        missing: In the model and not in the file: they keep their initial values. For MAE exactly the relative
            positions.
        unexpected: In the file, unknown, not used.
    """

    path: str
    kind: str
    loaded: tuple[str, ...]
    resized: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    dropped: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def surprising(self) -> bool:
        """Whether anything but relative positions is missing, or anything is unknown."""
        return bool(self.unexpected) or any(not RELATIVE_POSITION.search(name) for name in self.missing)

    def __str__(self) -> str:
        new_positions = sum(bool(RELATIVE_POSITION.search(name)) for name in self.missing)
        other = [name for name in self.missing if not RELATIVE_POSITION.search(name)]
        lines = [f"{self.path} ({self.kind} names): {len(self.loaded)} parameters loaded"]
        lines += [f"  resized: {name} {old} -> {new}" for name, old, new in self.resized]
        lines += [f"  dropped, not needed: {first_names(self.dropped)}"] if self.dropped else []
        lines += [f"  missing, newly initialised: {new_positions} relative positions"] if new_positions else []
        lines += [f"  MISSING, newly initialised: {first_names(other)}"] if other else []
        lines += [f"  UNEXPECTED, not used: {first_names(self.unexpected)}"] if self.unexpected else []
        return "\n".join(lines)


def load_vit_checkpoint(vit: nn.Module, path: str | Path) -> LoadReport:
    """Initialise a timm ``VisionTransformerSAM`` from a file and log what was done.

    The position embedding is resized to the model's grid (bicubic, as in ViTDet), its class token dropped; relative
    positions of another length are interpolated linearly (as in SAM's code).

    Args:
        vit: The model; changed in place.
        path: A local ``.pth`` (read without executing code) or ``.safetensors`` file.

    Returns:
        The report; also logged, as a warning if it is surprising.

    Raises:
        MissingFileError: There is no such file, or ``path`` is an address.
        UserError: The file cannot be read, has no block of a ViT, or has a shape that interpolation cannot correct.
    """
    state, kind = rename(read_checkpoint(path).state_dict)
    targets = vit.state_dict()
    new_state, resized = {}, []
    for name in sorted(targets.keys() & state.keys()):
        new_state[name] = _fit(name, state[name], targets[name].shape, path)
        if new_state[name].shape != state[name].shape:
            resized.append((name, tuple(state[name].shape), tuple(new_state[name].shape)))
    if not any(name.startswith("blocks.") for name in new_state):
        names = first_names(sorted(state))
        raise UserError(
            f"no transformer block found; expected names like blocks.0.attn.qkv.weight, got {names}", file=path
        )
    vit.load_state_dict(new_state, strict=False)
    left = sorted(state.keys() - targets.keys())
    report = LoadReport(
        path=str(path),
        kind=kind,
        loaded=tuple(new_state),
        resized=tuple(resized),
        dropped=tuple(name for name in left if NOT_NEEDED.match(name)),
        missing=tuple(name for name in targets if name not in new_state),
        unexpected=tuple(name for name in left if not NOT_NEEDED.match(name)),
    )
    print_log(
        f"ViTDet initialised from {report}",
        logger="current",
        level=logging.WARNING if report.surprising else logging.INFO,
    )
    return report


def rename(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file under timm's names, and the kind of names that they had."""
    for kind, rules in KINDS:
        if any(rules[0][0].match(name) for name in state):
            return {_apply(rules, name): value for name, value in state.items()}, kind
    return dict(state), "MAE or timm"


def resize_position_embedding(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize a position embedding to another grid; a class token in front is dropped.

    Args:
        embedding: (1, N, C) tokens of a square grid in row order, with or without one class token in front, or (1, h,
            w, C).
        grid: (H, W) in tokens.

    Returns:
        (1, H, W, C), interpolated bicubically with the corners of the two grids' areas aligned; the same values where
        the size is the same.

    Raises:
        UserError: The tokens do not form a square.
    """
    if embedding.ndim == 3:
        tokens = embedding.shape[1]
        side = math.isqrt(tokens)
        if side * side != tokens:
            side = math.isqrt(tokens - 1)
            embedding = embedding[:, 1:]
        if side == 0 or side * side != embedding.shape[1]:
            raise UserError(
                f"pos_embed: expected the tokens of a square grid, with or without one class token, got {tokens} tokens"
            )
        embedding = embedding.reshape(1, side, side, -1)
    return resample_abs_pos_embed_nhwc(embedding, grid)


def resize_relative_positions(table: Tensor, length: int) -> Tensor:
    """Interpolate a table of relative positions linearly: (2n - 1, C) -> (length, C)."""
    if table.shape[0] == length:
        return table
    resized = F.interpolate(table.float().T[None], size=length, mode="linear")[0].T
    return resized.to(table.dtype).contiguous()


def _fit(name: str, value: Tensor, shape: torch.Size, path: str | Path) -> Tensor:
    if name == "pos_embed" and value.ndim in (3, 4) and value.shape[-1] == shape[-1]:
        return resize_position_embedding(value, (shape[1], shape[2]))
    if RELATIVE_POSITION.search(name) and value.ndim == 2 and value.shape[1] == shape[1]:
        return resize_relative_positions(value, shape[0])
    if value.shape != shape:
        raise UserError(
            f"{name} has shape {tuple(value.shape)}, the model's is {tuple(shape)}",
            file=path,
            remedy="is it a checkpoint of another size (arch)?",
        )
    return value


def _apply(rules: tuple[tuple[re.Pattern[str], str], ...], name: str) -> str:
    for pattern, replacement in rules:
        name = pattern.sub(replacement, name)
    return name
