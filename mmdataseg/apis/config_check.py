"""Check the names and keywords of components in a config, before anything is built."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config

from mmdataseg import registry
from mmdataseg.apis.config_files import leaf_configs_of, short_path
from mmdataseg.errors import UserError

PREFIX = "mmdataseg."
# settings that mmengine takes out of a config before it builds the component there
_TAKEN = {"optim_wrapper": ("constructor", "paramwise_cfg")}
# Components of other packages that users often change: place, or place of the list or dict of them -> registry, and
# the settings that mmengine takes out. A mistake in others ends with the traceback of their package.
_OF_OTHERS = {
    "optim_wrapper.optimizer": ("OPTIMIZERS", ()),
    "param_scheduler": ("PARAM_SCHEDULERS", ("convert_to_iter_based",)),
    "default_hooks": ("HOOKS", ("priority",)),
    "custom_hooks": ("HOOKS", ("priority",)),
}
# in these modules, a class that takes any keyword passes it on to its base class
_PASSING_ON = (PREFIX, "mmengine.optim.scheduler.")
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


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
    if isinstance(model, str) and not model.startswith(PREFIX) and _found("MODELS", model, cfg) is None:
        raise UserError(f"config: model.type: no model is registered as {model!r}; import its module in custom_imports")
    for place, content in dicts(cfg.to_dict()):
        kind = content.get("type")
        if place in _LOADERS:
            _check_loader(place, content)
        elif isinstance(kind, str) and kind.startswith(PREFIX):
            name = kind.removeprefix(PREFIX)
            if name not in components:
                raise UserError(f"config: {place}.type: there is no {kind!r}{_nearest(name, components)}")
            _check_keywords(place, kind, components[name], content, _TAKEN.get(place, ()))
        elif isinstance(kind, str):
            _check_other(place, kind, content, cfg)


def _check_other(place: str, kind: str, content: Mapping[str, Any], cfg: Config) -> None:
    of = _OF_OTHERS.get(place) or _OF_OTHERS.get(place.rpartition(".")[0])
    if of is None:
        return
    name, taken = of
    component = _found(name, kind, cfg)
    if component is None:
        near = _near(kind, getattr(mmengine_registry, name).module_dict)
        remedy = f"did you mean {near!r}?" if near else "import its module in custom_imports"
        raise UserError(f"config: {place}.type: nothing is registered as {kind!r}", remedy=remedy)
    _check_keywords(place, kind, component, content, taken)


def _check_loader(place: str, content: Mapping[str, Any]) -> None:
    from torch.utils.data import DataLoader  # here, since torch takes seconds

    # mmengine reads this one itself
    _check_keywords(place, "a data loader", DataLoader, content, ("num_batch_per_epoch",))


def _found(name: str, kind: str, cfg: Config) -> type | None:
    """Return the component that mmengine would build, or None."""
    with getattr(mmengine_registry, name).switch_scope_and_registry(cfg.get("default_scope")) as found:
        return found.get(kind)


def _check_keywords(
    place: str, kind: str, component: type, content: Mapping[str, Any], taken: Sequence[str] = ()
) -> None:
    parameters = _parameters(component)
    if parameters is None:
        return
    for keyword in content:
        if keyword not in parameters and keyword not in ("type", "_scope_", *taken):
            raise UserError(f"config: {place}: {kind} has no setting {keyword!r}{_nearest(keyword, parameters)}")


def _parameters(component: Any) -> Mapping[str, Parameter] | None:
    """Return what a constructor takes, with what it passes on to its base class; None: any keyword."""
    if not isinstance(component, type):  # a function may be registered, too
        return signature(component).parameters
    found: dict[str, Parameter] = {}
    takes_any = False
    for base in component.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        own = dict(list(signature(vars(base)["__init__"]).parameters.items())[1:])  # without self
        found |= {name: p for name, p in own.items() if p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}
        takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in own.values())
        if not takes_any or not base.__module__.startswith(_PASSING_ON):
            break
    return None if takes_any else found


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = _near(name, known)
    return f"; did you mean {near!r}?" if near else f"; expected one of {', '.join(sorted(known))}"


def _near(name: str, known: Mapping[str, Any]) -> str | None:
    by_letters = {other.lower(): other for other in known}  # "Adamw" is nearer to "AdamW" than to "Adam"
    near = get_close_matches(name.lower(), by_letters, n=1)
    return by_letters[near[0]] if near else None


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
