"""Learning rates that decrease from a ViT's last block to its first (Li et al., 2022, arXiv 2203.16527, appendix)."""

import math
from collections import defaultdict

from mmengine.logging import print_log
from torch import nn

from mmdataseg.engine.fused_optimizer import FusedOptimWrapperConstructor
from mmdataseg.errors import UserError
from mmdataseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

EXAMPLE = "paramwise_cfg=dict(decay_rate=0.7)"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(FusedOptimWrapperConstructor):
    """Sets the learning rate of layer i of a backbone of n blocks to lr * decay_rate ** (n + 1 - i), and lr elsewhere.

    Layer 0 is the embeddings and layer i + 1 is block i, as in ViTDet. So the last block is scaled once. The backbone
    assigns parameters to layers by ``backbone.layer_of(name)`` and ``backbone.depth``, see `mmdataseg.ViTDet`. mmdet's
    own ``LearningRateDecayOptimizerConstructor`` only knows the names of ConvNeXt and cannot be extended.

    Norms, biases and other vectors or scalars (the background vector, the logit scale) have no weight decay, nor do
    learned tables: absolute and relative positions, queries, levels. Deviation: ViTDet decays biases and relative
    positions.

    Parameters with the same rate and decay share a group. The groups with the full rate come first, since mmengine's
    log shows the rate of the first group.

    Args:
        optim_wrapper_cfg: As in mmengine. The optimizer must set ``lr`` and ``weight_decay``.
        paramwise_cfg: ``dict(decay_rate=r)``, 0 < r <= 1; ViTDet: 0.7 for base, 0.8 for large.

    Raises:
        UserError: ``paramwise_cfg`` has other keys; ``lr`` or ``weight_decay`` is missing; or, when called, the model's
            backbone does not assign parameters to layers.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if set(self.paramwise_cfg) != {"decay_rate"}:
            raise UserError(
                f"LayerDecayOptimWrapperConstructor: expected {EXAMPLE} and nothing else, got {paramwise_cfg}"
            )
        self.decay_rate = self.paramwise_cfg["decay_rate"]
        if not (math.isfinite(self.decay_rate) and 0 < self.decay_rate <= 1):
            raise UserError(f"LayerDecayOptimWrapperConstructor: expected decay_rate in (0, 1], got {self.decay_rate}")
        if self.base_lr is None or self.base_wd is None:
            raise UserError(
                f"LayerDecayOptimWrapperConstructor: the optimizer must set lr and weight_decay, "
                f"got lr={self.base_lr}, weight_decay={self.base_wd}"
            )

    def add_params(self, params: list[dict], module: nn.Module) -> None:
        """Append the groups of a model to ``params``.

        Args:
            params: List to extend in place, by groups with the keys ``params``, ``param_names``, ``lr``,
                ``weight_decay`` and ``lr_scale``.
            module: The model, with a ``backbone``.

        Raises:
            UserError: The backbone does not assign parameters to layers.
        """
        backbone = getattr(module, "backbone", None)
        if not (hasattr(backbone, "layer_of") and hasattr(backbone, "depth")):
            raise UserError(
                f"LayerDecayOptimWrapperConstructor: the backbone ({type(backbone).__name__}) has no layer_of(name) "
                "and depth; use mmdataseg.ViTDet, or mmengine's DefaultOptimWrapperConstructor for other backbones"
            )
        tables = undecayed(module)
        members: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]] = defaultdict(list)
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            in_backbone = name.startswith("backbone.")
            layer = backbone.layer_of(name.removeprefix("backbone.")) if in_backbone else backbone.depth + 1
            members[layer, name not in tables].append((name, parameter))
        for layer, decayed in sorted(members, reverse=True):
            names, group = zip(*members[layer, decayed], strict=True)
            scale = self.decay_rate ** (backbone.depth + 1 - layer)
            params.append(
                {
                    "params": list(group),
                    "param_names": list(names),
                    "lr_scale": scale,
                    "lr": self.base_lr * scale,
                    "weight_decay": self.base_wd if decayed else 0.0,
                }
            )
            print_log(
                f"layer {layer}: lr {self.base_lr * scale:.3g} (x {scale:.3g}), weight decay "
                f"{params[-1]['weight_decay']:g}, {len(group)} parameters",
                logger="current",
            )


def undecayed(model: nn.Module) -> set[str]:
    """Return the names of the parameters without weight decay: those of vectors and scalars (which include all norms
    and biases), embedding tables and positions."""
    names = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            table = isinstance(module, nn.Embedding) or "pos_embed" in name or "rel_pos" in name
            if parameter.ndim <= 1 or table:
                names.add(f"{prefix}.{name}" if prefix else name)
    return names
