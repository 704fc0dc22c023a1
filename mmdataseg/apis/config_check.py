"""Check the names and keywords of this package's components in a config, before anything is built."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdataseg import registry
from mmdataseg.apis.config_files import leaf_configs_of, short_path
from mmdataseg.errors import UserError

PREFIX = "mmdataseg."
# settings that mmengine takes out of a config before it builds the component there
_TAKEN = {"optim_wrapper": ("constructor", "paramwise_cfg")}


def check_leaf(cfg: Config) -> None:
    """Check that a config can be run by itself: a file in ``_base_`` defines only a part of a config.

    Raises:
        UserError: The model, or both training and test are missing. The message says what the file defines, and names
            leaf configs that use it.
    """
    has_model = cfg.get("model") is not None
    if has_model and ("train_cfg" in cfg or "test_cfg" in cfg):
        return
    sources = [name for name, value in cfg.items() if isinstance(value, dict) and {"task", "label_space"} <= set(value)]
    if sources:
        what = f"the source{'s' * (len(sources) > 1)} {', '.join(sources)}, not a model"
    else:
        what = "a model without data" if has_model else "no model"
    leaves = leaf_configs_of(Path(cfg.filename)) if cfg.filename else []
    named = f" such as {', '.join(map(short_path, leaves[:3]))}" if leaves else " that names it in its _base_"
    raise UserError(f"this file defines {what}", file=cfg.filename, remedy=f"give a leaf config{named}")


def check_components(cfg: Config) -> None:
    """Check every component of this package in a config. Other packages' registries check their own components.

    All components must be registered.

    Raises:
        UserError: A ``type='mmdataseg.X'`` does not exist, or its constructor does not take a keyword. The message
            says where in the config, and suggests the nearest name.
    """
    components = registry.components()
    model = cfg.get("model", {}).get("type")
    if isinstance(model, str) and not model.startswith(PREFIX) and not _is_model(model, cfg):
        raise UserError(f"config: model.type: no model is registered as {model!r}; import its module in custom_imports")
    for place, content in dicts(cfg.to_dict()):
        kind = content.get("type")
        if isinstance(kind, str) and kind.startswith(PREFIX):
            name = kind.removeprefix(PREFIX)
            if name not in components:
                raise UserError(f"config: {place}.type: there is no {kind!r}{_nearest(name, components)}")
            _check_keywords(place, kind, components[name], content)


def _is_model(kind: str, cfg: Config) -> bool:
    with registry.MODELS.switch_scope_and_registry(cfg.get("default_scope")) as models:
        return models.get(kind) is not None


def _check_keywords(place: str, kind: str, component: type, content: Mapping[str, Any]) -> None:
    parameters = signature(component).parameters
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
        return  # it passes keywords on to a class of another package, which checks them
    for keyword in content:
        if keyword not in parameters and keyword not in ("type", "_scope_", *_TAKEN.get(place, ())):
            raise UserError(f"config: {place}: {kind} has no setting {keyword!r}{_nearest(keyword, parameters)}")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(sorted(known))}"


def dicts(content: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (dotted place, dict) for every dict in a config, or in the part of it at ``place``."""
    if isinstance(content, Mapping):
        if place:
            yield place, content
        items = content.items()
    elif isinstance(content, list | tuple):
        items = enumerate(content)
    else:
        return
    for key, value in items:
        yield from dicts(value, f"{place}.{key}" if place else str(key))
