"""Any model of timm's as a backbone: its feature maps, frozen stages, norms in eval mode, and weights that must fit.

Letters: B images, C channels of a map, (H, W) its size.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import timm
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from timm.layers import Format
from torch import Tensor, nn

from mmdataseg.checkpoints.reading import read_checkpoint
from mmdataseg.errors import UserError
from mmdataseg.registry import MODELS
from mmdataseg.text.hub import why_unavailable

# all whose running statistics change in a training step
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """The feature maps of a timm model, as ``timm.create_model(model, features_only=True)`` gives them.

    Levels are timm's: a ResNet has 5 (the stem of stride 2, then four stages), a ConvNeXt 4, a plain ViT one for each
    block. A plain ViT gives maps of one stride; `SimpleFeaturePyramid` as the neck makes four strides of one map.

    The image size must suit the model. Set ``data_preprocessor.pad_size_divisor`` to a multiple of the largest stride,
    because some models drop the last rows and columns of other sizes and others refuse them. Models that are made for
    one image size take others if their options say so: ``dynamic_img_size=True`` for most ViTs,
    ``strict_img_size=False`` for Swin.

    Args:
        model: timm's name, such as ``resnet50`` or, with a tag that names weights, ``resnet50.a1_in1k``.
        out_indices: Levels to give, ascending; -1 is the last one.
        frozen_stages: Number of levels, from the first, that are not trained, with everything before them; their norms
            and drop paths are in eval mode. 0: all are trained.
        norm_eval: Keep all batch norms in eval mode: their statistics stay as they are, their weights are trained.
        pretrained: Take timm's weights of this model, from its cache or from the hub, in ``init_weights``.
        options: Further arguments of the timm model, such as ``dict(pad_type="same")``.
        init_cfg: ``dict(type='Pretrained', checkpoint=<path or address>)`` of a file with weights of this model, in
            timm's format or one that timm converts, read in ``init_weights`` without running code; None: no file.

    Attributes:
        out_channels: C of each map.
        strides: Pixels of the image per cell of each map.

    Raises:
        UserError: timm has no such model or cannot give its feature maps; a level does not exist; ``frozen_stages`` is
            out of range or unclear; ``init_cfg`` is of another kind, or given beside ``pretrained``.
        TypeError: The timm model does not take one of the options.
    """

    def __init__(
        self,
        *,
        model: str,
        out_indices: Sequence[int],
        frozen_stages: int = 0,
        norm_eval: bool = False,
        pretrained: bool = False,
        options: Mapping[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        _check_weights(init_cfg, pretrained)
        super().__init__(init_cfg=init_cfg)
        self.model = model
        self.out_indices = tuple(out_indices)
        self.norm_eval = norm_eval
        self.pretrained = pretrained
        self.options = dict(options or {})
        self.net = self._create()
        self.out_channels: tuple[int, ...] = tuple(self.net.feature_info.channels())
        self.strides: tuple[int, ...] = tuple(self.net.feature_info.reduction())
        levels = self.net.feature_info.info
        if not 0 <= frozen_stages <= len(levels):
            raise UserError(
                f"TimmBackbone: frozen_stages must be from 0 to {len(levels)}, the number of levels of '{model}', got "
                f"{frozen_stages}"
            )
        self.frozen_stages = frozen_stages
        if frozen_stages:
            for module, _ in self._frozen_modules():
                # of a module that is trained in part, these come first: position embedding, class token
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad = False

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Extract features.

        Args:
            images_BCHW: (B, 3, height, width) float, normalised.

        Returns:
            For each of ``out_indices`` a map (B, C, H, W).

        Raises:
            UserError: The model does not take images of this size, or what it gives are not maps.
        """
        try:
            features = self.net(images_BCHW)
        except AssertionError as error:  # timm's way to refuse a size
            height, width = images_BCHW.shape[-2:]
            raise UserError(
                f"timm's '{self.model}' does not take images of {height} x {width} pixels: {error}",
                remedy="set data_preprocessor.pad_size_divisor to a multiple of the largest stride, "
                f"{self.strides[-1]}; for a model of one image size also backbone.options, to "
                "dict(dynamic_img_size=True) for a ViT or dict(strict_img_size=False) for a Swin",
            ) from error
        if getattr(self.net, "output_fmt", Format.NCHW) == Format.NHWC:
            features = [maps.permute(0, 3, 1, 2).contiguous() for maps in features]
        for maps, channels in zip(features, self.out_channels, strict=True):
            if maps.ndim != 4 or maps.shape[1] != channels:
                raise UserError(
                    f"timm's '{self.model}' gives features of shape {tuple(maps.shape)}; expected maps (images, "
                    f"{channels}, height, width)",
                    remedy="choose a model whose features are maps",
                )
        return tuple(features)

    def train(self, mode: bool = True) -> "TimmBackbone":
        """Switch between training and evaluation; frozen levels, and all norms with ``norm_eval``, stay in eval
        mode."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.net.modules():
                if isinstance(module, BATCH_NORMS):
                    module.eval()
        if mode and self.frozen_stages:
            for module, inside in self._frozen_modules():
                module.training = module.training and not inside
        return self

    def init_weights(self) -> None:
        """Take timm's weights, those of the file, or none: then timm's initial values stay.

        Raises:
            MissingFileError: There is no such file.
            UserError: It cannot be read or does not fit; or timm has no weights of this model, or cannot load them.
        """
        if self.pretrained:
            self.net.load_state_dict(self._published().state_dict())
        elif self.init_cfg is not None:
            self.net.load_state_dict(self._from_file(self.init_cfg["checkpoint"]))
        self.is_init = True

    def _create(self, **weights: Any) -> nn.Module:
        """Create timm's model; what the user can correct becomes a `UserError`."""
        if not timm.is_model(self.model):
            near = get_close_matches(self.model, timm.list_models(), n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() has their names"
            raise UserError(f"timm has no model '{self.model}'", remedy=hint)
        create = dict(features_only=True, **self.options)
        try:
            return timm.create_model(self.model, out_indices=self.out_indices, **create, **weights)
        except (IndexError, AssertionError) as error:
            levels = timm.create_model(self.model, **create).feature_info.info
            if all(-len(levels) <= index < len(levels) for index in self.out_indices):
                raise
            raise UserError(
                f"TimmBackbone: out_indices {self.out_indices}: '{self.model}' has the levels 0 to {len(levels) - 1}, "
                f"of the strides {', '.join(str(level['reduction']) for level in levels)}; choose among them"
            ) from error
        except RuntimeError as error:
            if weights:
                raise
            raise UserError(f"timm cannot give the feature maps of '{self.model}': {error}") from error

    def _published(self) -> nn.Module:
        published = timm.models.get_pretrained_cfg(self.model)
        repo = None if published is None or "pretrained_cfg_overlay" in self.options else published.hf_hub_id
        reason = why_unavailable(repo) if repo else None
        if reason is not None:
            raise self._not_loaded(reason)
        try:
            return self._create(pretrained=True)
        except (RuntimeError, OSError, ValueError) as error:  # of timm, of the hub's client, of the network
            raise self._not_loaded(f"{type(error).__name__}: {error}") from error

    def _not_loaded(self, reason: str) -> UserError:
        return UserError(
            f"timm's weights of '{self.model}' cannot be loaded ({reason.splitlines()[0]})",
            remedy="check the name, its tag and the network, or give a file: init_cfg=dict(type='Pretrained', "
            "checkpoint=PATH) in place of pretrained=True",
        )

    def _from_file(self, file: str) -> dict[str, Tensor]:
        """State dict of ``net`` with the weights of a file, as timm converts it.

        timm tells only its log which weights it did not find. So it also gets the file with NaN in place of all
        numbers: a weight without NaN afterwards did not come from the file.
        """
        state = read_checkpoint(file).state_dict
        blank = {name: torch.full_like(value, torch.nan) for name, value in state.items() if value.is_floating_point()}
        try:
            with _quiet_timm():  # it warns of the classifier, which no backbone has
                filled, marked = (
                    self._create(pretrained=True, pretrained_cfg_overlay={"state_dict": content}).state_dict()
                    for content in (state, {**state, **blank})
                )
        except UserError:
            raise
        except Exception as error:  # timm's converters, on a file of something else, can raise any error
            raise UserError(
                f"does not fit timm's '{self.model}' ({type(error).__name__}: {' '.join(str(error).split())[:300]})",
                file=file,
                remedy="give weights of this very model",
            ) from error
        missing = [n for n, value in marked.items() if value.is_floating_point() and not value.isnan().any()]
        if missing:
            shown = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
            raise UserError(
                f"has no values for {len(missing)} of the {len(marked)} weights of timm's '{self.model}': {shown}",
                file=file,
                remedy="give weights of this very model",
            )
        print_log(f"'{file}': all {len(filled)} weights of timm's '{self.model}'", logger="current")
        return filled

    def _frozen_modules(self) -> Iterator[tuple[nn.Module, bool]]:
        """The modules up to the last frozen level in the order of their use, which is that of their registration.

        Yields:
            The module, and whether everything in it is frozen.
        """
        modules = list(self.net.named_modules())
        level = self.net.feature_info.info[self.frozen_stages - 1]["module"]
        end = max((i + 1 for i, (name, _) in enumerate(modules) if _belongs(name, level)), default=0)
        if not end:
            raise UserError(
                f"TimmBackbone: cannot tell which modules of '{self.model}' are its first {self.frozen_stages} levels",
                remedy="set frozen_stages to 0 or to another number",
            )
        parts = [name.split(".") for name, _ in modules[end:]]
        partly = {".".join(part[:depth]) for part in parts for depth in range(len(part))}
        for name, module in modules[:end]:
            yield module, name not in partly


def _belongs(name: str, level: str) -> bool:
    """Whether a module is that of a level, or in it, by its name in the model or in one of timm's wrappers: these add a
    prefix, or write ``layers_0`` for ``layers.0``."""
    own, wanted = (f"{text.replace('.', '_')}_" for text in (name, level))
    return own.removeprefix("model_").removeprefix("body_").startswith(wanted)


@contextmanager
def _quiet_timm() -> Iterator[None]:
    log = logging.getLogger("timm")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _check_weights(init_cfg: dict[str, Any] | None, pretrained: bool) -> None:
    if init_cfg is None:
        return
    if init_cfg.get("type") != "Pretrained" or set(init_cfg) != {"type", "checkpoint"}:
        raise UserError(
            f"TimmBackbone: init_cfg must be None or dict(type='Pretrained', checkpoint=<path>), got {init_cfg!r}"
        )
    if pretrained:
        raise UserError("TimmBackbone: weights by pretrained=True and by init_cfg; give one of the two")
