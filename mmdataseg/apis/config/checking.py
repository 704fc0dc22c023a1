"""Check the names and keywords of components in a config, before anything is built."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmdataseg import registry
from mmdataseg.apis.config.files import leaf_configs_of, short_path
from mmdataseg.errors import UserError, suggestion

PREFIX = "mmdataseg."
# Components that users often change. Each row has the place; mmengine's registry of other packages' components (None:
# those are not checked); and the settings that mmengine takes out before it builds. In other places, a mistake in
# another package's component ends with the traceback of that package.
_PLACES = (
    (re.compile(r"optim_wrapper"), None, ("constructor", "paramwise_cfg")),
    (re.compile(r"optim_wrapper\.optimizer"), "OPTIMIZERS", ()),
    (re.compile(r"param_scheduler(\.\d+)?"), "PARAM_SCHEDULERS", ("convert_to_iter_based",)),
    (re.compile(r"(default|custom)_hooks\.[^.]+"), "HOOKS", ("priority",)),
)
# in these modules, a class that takes any keyword passes it on to its base class
_PASSING_ON = (PREFIX, "mmengine.optim.scheduler.")
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_TAKEN_OF_LOADERS = ("num_batch_per_epoch", "disable_subprocess_warning")


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
    """Check every component of this package in a config, and the optimizer, schedulers, hooks and data loaders.

    All components must be registered.

    Raises:
        UserError: A component does not exist, or its constructor does not take a keyword. The message says where in the
            config, and suggests the nearest name.
    """
    components = registry.components()
    model = cfg.get("model", {}).get("type")
    if isinstance(model, str) and not model.startswith(PREFIX) and _found("MODELS", cfg.model, cfg) is None:
        raise UserError(f"config: model.type: no model is registered as {model!r}; import its module in custom_imports")
    for place, content in dicts(cfg.to_dict()):
        kind = content.get("type")
        if place in _LOADERS:
            from torch.utils.data import DataLoader  # here, since torch takes seconds

            _check_keywords(place, "a data loader", DataLoader, content, _TAKEN_OF_LOADERS)
        elif isinstance(kind, str):
            of, taken = next(((of, taken) for places, of, taken in _PLACES if places.fullmatch(place)), (None, ()))
            if kind.startswith(PREFIX):
                _check_keywords(place, kind, _own(place, kind, components), content, taken)
            elif of is not None:
                _check_keywords(place, kind, _other(place, of, content, cfg), content, taken)


def _own(place: str, kind: str, components: Mapping[str, Any]) -> Any:
    name = kind.removeprefix(PREFIX)
    # an import path: mmengine writes it for the class that a config in its pure Python style gives
    component = get_object_from_string(kind) if "." in name else components.get(name)
    if component is None:
        raise UserError(f"config: {place}.type: there is no {kind!r}{_nearest(name, components)}")
    return component


def _other(place: str, of: str, content: Mapping[str, Any], cfg: Config) -> Any:
    component, kind = _found(of, content, cfg), content["type"]
    if component is None:
        hint = suggestion(kind, getattr(mmengine_registry, of).module_dict) or "import its module in custom_imports"
        raise UserError(f"config: {place}.type: nothing is registered as {kind!r}", remedy=hint)
    return component


def _found(of: str, content: Mapping[str, Any], cfg: Config) -> Any:
    """Return the component that mmengine would build, or None."""
    scope = content.get("_scope_", cfg.get("default_scope"))  # the former: from a base of another package
    with getattr(mmengine_registry, of).switch_scope_and_registry(scope) as found:
        return found.get(content["type"])


def _check_keywords(place: str, kind: str, component: Any, content: Mapping[str, Any], taken: Sequence[str]) -> None:
    parameters = _parameters(component)
    if parameters is None:
        return
    for keyword in content:
        if keyword not in parameters and keyword not in ("type", "_scope_", *taken):
            raise UserError(f"config: {place}: {kind} has no setting {keyword!r}{_nearest(keyword, parameters)}")


def _parameters(component: Any) -> Mapping[str, Parameter] | None:
    """Return what a constructor takes, with what it passes on to its base class; None: any keyword."""
    if not isinstance(component, type):  # a function may be registered, too
        found, takes_any = _named(signature(component).parameters.values())
        return None if takes_any else found
    if component.__new__ is not object.__new__:
        return None
    found, takes_any = {}, False
    for base in component.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        own, takes_any = _named(list(signature(vars(base)["__init__"]).parameters.values())[1:])  # without self
        found |= own
        if not takes_any or not base.__module__.startswith(_PASSING_ON):
            break
    return None if takes_any else found


def _named(parameters: Collection[Parameter]) -> tuple[dict[str, Parameter], bool]:
    """Return the parameters with a name of their own, and whether any other keyword is taken."""
    own = {p.name: p for p in parameters if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}
    return own, any(p.kind is Parameter.VAR_KEYWORD for p in parameters)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    others = f"expected one of {', '.join(sorted(known))}" if known else "it has none"
    return f"; {suggestion(name, known) or others}"


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
