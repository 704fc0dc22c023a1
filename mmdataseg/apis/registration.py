"""Register all components of the package at once."""

import warnings
from importlib import import_module

ROOMS = ("models", "datasets", "evaluation", "engine")


def register_all_modules() -> None:
    """Import every subpackage with components, so that all components are registered.

    A ``type='mmdataseg.X'`` in a config triggers the same imports, but mmengine then hides an ImportError behind "X is
    not in the registry"; here it is raised.
    """
    warnings.filterwarnings("ignore", message="torch.meshgrid")  # mmdet's deformable attention, when it runs
    for room in ROOMS:
        import_module(f"mmdataseg.{room}")
