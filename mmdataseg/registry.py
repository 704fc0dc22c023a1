"""Registries of mmdataseg: children of mmengine's registries, with the scope ``mmdataseg``.

Any OpenMMLab config can name a component with the prefix, ``type='mmdataseg.DaTaSeg'``. mmengine then imports this
module, and the registry imports the modules in its ``locations``. No ``custom_imports`` is needed.
"""

from collections.abc import Mapping
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

SCOPE = "mmdataseg"


class MMDetAwareRegistry(Registry):
    """A registry that looks up a name without prefix in mmdet if this registry does not have it.

    Our configs are written for ``default_scope = "mmdet"``. A config that inherits them by ``mmdataseg::_base_/...``
    builds them in the scope ``mmdataseg``, where ``ResNet`` must have the same meaning. mmdet comes before mmengine's
    registries, in which mmcv has transforms of the same names: its ``Resize`` does not know mmdet's boxes.
    """

    def get(self, key: str) -> type | None:
        """Return the class with this name, or None."""
        self.import_from_location()
        found = super().get(f"mmdet.{key}") if "." not in key and key not in self.module_dict else None
        return super().get(key) if found is None else found


def _child_of(name: str, room: str = "registry") -> Registry:
    """Make a registry of this scope, a child of mmengine's registry ``name``. Importing ``room`` fills it."""
    parent = getattr(mmengine_registry, name)
    return MMDetAwareRegistry(parent.name, parent=parent, scope=SCOPE, locations=[f"{SCOPE}.{room}"])


MODELS = _child_of("MODELS", "models")
TASK_UTILS = _child_of("TASK_UTILS", "models")
DATASETS = _child_of("DATASETS", "datasets")
DATA_SAMPLERS = _child_of("DATA_SAMPLERS", "datasets")
TRANSFORMS = _child_of("TRANSFORMS", "datasets")
FUNCTIONS = _child_of("FUNCTIONS", "datasets")
METRICS = _child_of("METRICS", "evaluation")
EVALUATOR = _child_of("EVALUATOR", "evaluation")
HOOKS = _child_of("HOOKS", "engine")
LOOPS = _child_of("LOOPS", "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child_of("OPTIM_WRAPPER_CONSTRUCTORS", "engine")
OPTIM_WRAPPERS = _child_of("OPTIM_WRAPPERS", "engine")
# These hold none of our classes. A config inherited by scope finds the classes of mmdet and mmengine through them.
for _name in ("VISUALIZERS", "VISBACKENDS", "LOG_PROCESSORS", "OPTIMIZERS", "PARAM_SCHEDULERS", "WEIGHT_INITIALIZERS"):
    _child_of(_name)


def components() -> dict[str, Any]:
    """Return name -> class or function of all components registered so far."""
    registries = [value for value in globals().values() if isinstance(value, Registry)]
    return {name: component for registry in registries for name, component in registry.module_dict.items()}


def type_name(content: Any) -> str | None:
    """Return the name of a component, without prefix or import path, from its config; None if it is not a config."""
    kind = content.get("type") if isinstance(content, Mapping) else None
    # a config in mmengine's pure Python style has the class itself
    return None if kind is None else getattr(kind, "__name__", str(kind)).rpartition(".")[2]
