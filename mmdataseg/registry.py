"""Registries of mmdataseg: children of mmengine's, scope ``mmdataseg``.

Name a component from any OpenMMLab config by its prefix, ``type='mmdataseg.DaTaSeg'``: mmengine then imports this
module, and the registry imports the modules in its ``locations``. No
``custom_imports`` is needed.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

SCOPE = "mmdataseg"

MODELS = Registry("model", parent=MMENGINE_MODELS, scope=SCOPE, locations=["mmdataseg.models"])
TASK_UTILS = Registry("task util", parent=MMENGINE_TASK_UTILS, scope=SCOPE, locations=["mmdataseg.models"])
DATASETS = Registry("dataset", parent=MMENGINE_DATASETS, scope=SCOPE, locations=["mmdataseg.datasets"])
DATA_SAMPLERS = Registry("data sampler", parent=MMENGINE_DATA_SAMPLERS, scope=SCOPE, locations=["mmdataseg.datasets"])
TRANSFORMS = Registry("transform", parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=["mmdataseg.datasets"])
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope=SCOPE, locations=["mmdataseg.evaluation"])
EVALUATOR = Registry("evaluator", parent=MMENGINE_EVALUATOR, scope=SCOPE, locations=["mmdataseg.evaluation"])
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope=SCOPE, locations=["mmdataseg.engine"])
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope=SCOPE, locations=["mmdataseg.engine"])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope=SCOPE,
    locations=["mmdataseg.engine"],
)
OPTIM_WRAPPERS = Registry(
    "optimizer wrapper", parent=MMENGINE_OPTIM_WRAPPERS, scope=SCOPE, locations=["mmdataseg.engine"]
)


def components() -> dict[str, type]:
    """Name -> class of everything that is registered here by now."""
    registries = (
        *(MODELS, TASK_UTILS, DATASETS, DATA_SAMPLERS, TRANSFORMS, METRICS, EVALUATOR, HOOKS, LOOPS),
        *(OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS),
    )
    return {name: component for registry in registries for name, component in registry.module_dict.items()}
