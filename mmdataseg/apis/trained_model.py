"""Load a trained model from its checkpoint alone, or from a config and a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.registry import DefaultScope

from mmdataseg.apis.config.checking import check_components
from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.config.stored import check_stored, stored_config, without_data
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.checkpoints.reading import Checkpoint, read_checkpoint
from mmdataseg.engine.check_weights import account_of_weights
from mmdataseg.engine.whole_checkpoints import require_whole
from mmdataseg.errors import UserError
from mmdataseg.models.dataseg import DaTaSeg
from mmdataseg.registry import MODELS, type_name
from mmdataseg.sources import Source


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedModel:
    """A model with its weights, and the pipeline that prepares images for it.

    Args:
        model: The model, in evaluation mode, on its device.
        source: The source whose test pipeline is used.
        prepare: The test pipeline of that source without the steps that load the image and its annotations. It takes
            and returns a dict, as mmengine's ``Compose`` does.
        checkpoint: The checkpoint that the weights come from, without its tensors.
    """

    model: DaTaSeg
    source: Source
    prepare: Compose
    checkpoint: Checkpoint

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device


def load_trained_model(
    checkpoint: str | PathLike[str],
    *,
    config: str | PathLike[str] | Config | None = None,
    options: Mapping[str, Any] | None = None,
    source: str | None = None,
    device: str | torch.device | None = None,
    trust: bool = False,
) -> TrainedModel:
    """Build a model and load its weights. The arguments are those of `mmdataseg.apis.segmenter.Segmenter`.

    The embedding files that the config names need not exist: the checkpoint contains the embeddings.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        UserError: As `require_whole`, `read_checkpoint`, `stored_config`, `check_stored` and `read_config`; the model
            is not a `DaTaSeg`; the device or source does not exist; no source has a test pipeline; or the weights
            belong to another model.
    """
    register_all_modules()
    require_whole(checkpoint)
    found = read_checkpoint(checkpoint, trust=trust)
    place = _usable(device)
    cfg = read_config(config if config is not None else stored_config(found), options)
    model_cfg, scope = without_data(cfg.get("model") or {}), cfg.get("default_scope") or "mmdet"
    if config is None:
        imports = (cfg.get("custom_imports") or {}).get("imports", [])
        check_stored({"model": model_cfg}, scope=scope, imports=imports, file=found.origin)
    with DefaultScope.overwrite_default_scope(scope):
        model = _build(Config(dict(model=model_cfg, default_scope=scope)), found)
        tested = _tested_source(model.sources, source)
        prepare = Compose([step for step in tested.test["pipeline"] if not (type_name(step) or "").startswith("Load")])
    light = Checkpoint(origin=found.origin, path=found.path, content={"meta": found.meta}, skipped=found.skipped)
    return TrainedModel(model=model.to(place).eval(), source=tested, prepare=prepare, checkpoint=light)


def _usable(device: str | torch.device | None) -> torch.device:
    try:
        found = torch.device(device or get_device())
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:  # no such kind; none of it here; a torch built without it
        raise UserError(f"device {str(device)!r}: {error}", remedy="name another one, such as cpu") from None
    return found


def _build(cfg: Config, checkpoint: Checkpoint) -> DaTaSeg:
    check_components(cfg)
    if not cfg.model:
        raise UserError("the config has no model", remedy="leave the config out, or give the training config")
    model = MODELS.build(cfg.model)
    if not isinstance(model, DaTaSeg):
        raise UserError(f"expected a config whose model is mmdataseg.DaTaSeg, got {type(model).__name__}")
    state = checkpoint.state_dict
    account_of_weights(state, model.state_dict(), file=checkpoint.origin).require_all(checkpoint.origin)
    model.load_state_dict(state, strict=False)
    return model


def _tested_source(sources: Mapping[str, Source], name: str | None) -> Source:
    tested = [source for source in sources.values() if source.test is not None and "pipeline" in source.test]
    if not tested:
        raise UserError(
            f"none of the model's sources {list(sources)} has a test pipeline, which is needed to prepare images; give "
            "one of them test=dict(..., pipeline=[...])"
        )
    found = [source for source in tested if name in (None, source.name)]
    if not found:
        names = [source.name for source in tested]
        raise UserError(
            f"source {name!r}: expected one of the model's sources with a test pipeline, {names}; the class names of "
            "other sources can be given as own words"
        )
    return found[0]
