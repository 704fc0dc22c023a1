"""Read the config in a checkpoint, and check it without running it, because the author may not be trusted.

mmengine's Runner saves the text of its config in ``meta['cfg']``. mmengine reads this text by running it as Python.
Here it is only parsed, and may contain only literals. Each ``type`` must be the name of a registered component, because
mmengine would import and call any other name.
"""

import ast
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import Registry

from mmdataseg.apis.config.checking import dicts
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.checkpoints.reading import Checkpoint
from mmdataseg.errors import UserError
from mmdataseg.models.dataseg import DaTaSeg

# Packages whose components a stored config may name.
KNOWN_PACKAGES = ("mmcv", "mmdataseg", "mmdet", "mmengine", "mmpretrain", "mmseg")
# Settings that a test takes from a stored config.
_TESTING = ("model", "default_scope", "test_cfg", "test_dataloader", "test_evaluator", "log_processor")
_TEST_HOOKS = {"visualization": {"type": "mmdataseg.DrawPredictions"}}  # for --show-dir
_FLOATS = ("inf", "-inf", "nan")
_OWN_CONFIG = "if you trust the file, put its config, a .py file, before it"


def stored_config(checkpoint: Checkpoint) -> Config:
    """Return the config that a checkpoint was trained with. Its components are not checked yet; see `check_stored`.

    Its ``model.compile`` is left out: it was chosen for that training, and the machine that tests or predicts may have
    no compiler.

    Raises:
        UserError: The checkpoint has no config, or the text of its config contains more than literals.
    """
    text = checkpoint.meta.get("cfg")
    if not isinstance(text, str):
        raise UserError(
            "holds weights without a config",
            file=checkpoint.origin,
            remedy="put its training config, a .py file, before it",
        )
    try:
        content = parse_literals(text)
        if isinstance(content.get("model"), dict):
            content["model"].pop("compile", None)
        return Config(content)
    except (ValueError, TypeError, KeyError) as error:  # no literal; a key that is a list; a name that Config reserves
        raise UserError(f"its config cannot be read: {error}", file=checkpoint.origin, remedy=_OWN_CONFIG) from error


def without_data(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's config without the data of its sources. Only their test pipelines are kept, for prediction."""
    sources = model.get("sources")
    if not isinstance(sources, list | tuple) or not all(isinstance(source, Mapping) for source in sources):
        return dict(model)
    return {**model, "sources": [_without_data(source) for source in sources]}


def _without_data(source: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: value for key, value in source.items() if key not in ("train", "test", "metrics")}
    if source.get("train") is not None:
        kept["train"] = {}  # its presence decides which parameters the source has
    if "pipeline" in (source.get("test") or {}):
        kept["test"] = {"pipeline": source["test"]["pipeline"]}
    return kept


def completed_for_test(cfg: Config | None, checkpoint: Checkpoint) -> Config:
    """Complete a config for testing with settings from the checkpoint.

    Args:
        cfg: A config with test data and without a model; None: the checkpoint's config supplies the data, too.
        checkpoint: The checkpoint.

    Returns:
        A config with the checkpoint's model, to which the sources of ``cfg`` are added.

    Raises:
        UserError: As `stored_config` and `check_stored`; or neither config has test data.
    """
    stored, own = stored_config(checkpoint), {} if cfg is None else cfg.to_dict()
    taken = {key: stored[key] for key in _TESTING if key not in own and key in stored}
    if "test_dataloader" not in {**taken, **own}:
        raise UserError("neither the config nor the checkpoint has a test_dataloader", file=checkpoint.origin)
    if "model" in taken:
        model = without_data(taken["model"])
        loader = own.get("test_dataloader") or {}
        added = {source["name"]: _without_data(source) for source in (loader.get("dataset") or {}).get("sources") or ()}
        known = [source for source in model.get("sources", ()) if source["name"] not in added]
        taken["model"] = {**model, "sources": [*known, *added.values()]}
    scope = taken.pop("default_scope", own.get("default_scope", "mmdet"))
    imports = (stored.get("custom_imports") or {}).get("imports", [])
    check_stored(taken, scope=scope, imports=imports, file=checkpoint.origin)
    more = {"default_scope": scope, "default_hooks": own.get("default_hooks", _TEST_HOOKS)}
    return Config({**taken, **own, **more}, filename=None if cfg is None else cfg.filename)


def parse_literals(text: str) -> dict[str, Any]:
    """Read assignments of literals, including ``dict(key=value)`` and ``float('inf')``, which mmengine writes.

    The text is parsed, not run.

    Raises:
        ValueError: The text is not Python or contains more than literals; the message names the line.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"it is not valid Python ({type(error).__name__})") from error
    found: dict[str, Any] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = _literal(value)
            case _:
                raise ValueError(f"line {statement.lineno}: expected NAME = VALUE")
    return found


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.Set(elts=items):
            return {_literal(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_literal(key): _literal(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {str(keyword.arg): _literal(keyword.value) for keyword in keywords}
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as value)], keywords=[]) if (
            value in _FLOATS
        ):
            return float(value)
    raise ValueError(f"line {node.lineno}: expected a literal, got {ast.unparse(node)[:60]}")


def check_stored(parts: Mapping[str, Any], *, scope: str, imports: Iterable[str], file: str) -> None:
    """Check that the parts of a stored config to build use only registered components of known packages.

    Args:
        parts: Name -> part of the config that will be built.
        scope: Default scope of the config.
        imports: Modules in its ``custom_imports``. Those of known packages are imported; others are skipped.
        file: The checkpoint, for messages.

    Raises:
        UserError: A part uses something else; the message says where.
    """
    if scope not in KNOWN_PACKAGES:
        raise UserError(
            f"its config has default_scope {scope!r}; expected one of {', '.join(KNOWN_PACKAGES)}",
            file=file,
            remedy=_OWN_CONFIG,
        )
    register_all_modules()
    for module in imports:
        if str(module).partition(".")[0] not in KNOWN_PACKAGES:
            continue  # what it registers is refused below, if it is used
        try:
            import_module(str(module))
        except ImportError as error:
            raise UserError(f"its config needs {module!r} ({error})", file=file, remedy="install it") from error
    known = _components()
    for place, content in dicts(parts):
        for key in ("type", "_scope_"):
            if key in content and not _is_harmless(f"{place}.{key}", content[key], known):
                raise UserError(
                    f"its config: {place}.{key}: {content[key]!r} is not a registered component of "
                    f"{', '.join(KNOWN_PACKAGES)}",
                    file=file,
                    remedy=_OWN_CONFIG,
                )


def _is_harmless(place: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> bool:
    if place.endswith("._scope_"):
        return value in KNOWN_PACKAGES
    if not isinstance(value, str):
        return False
    scope, _, name = value.rpartition(".")
    components = known.get(scope, {}) if scope else {k: v for found in known.values() for k, v in found.items()}
    component = components.get(name)
    if isinstance(component, type) and issubclass(component, BaseModel):
        # another model, or one nested in the model, may read a config file, which is Python code
        return place == "model.type" and issubclass(component, DaTaSeg)
    return component is not None


def _components() -> dict[str, dict[str, Any]]:
    """Return all registered components, package -> name -> component."""
    found: dict[str, dict[str, Any]] = {package: {} for package in KNOWN_PACKAGES}
    waiting = [value for value in vars(mmengine_registry).values() if isinstance(value, Registry)]
    while waiting:
        registry = waiting.pop()
        waiting += registry.children.values()
        if registry.scope in found:
            registry.import_from_location()
            found[registry.scope] |= registry.module_dict
    return found
