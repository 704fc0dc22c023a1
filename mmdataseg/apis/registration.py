"""Register all components of the package at once."""

import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO

ROOMS = ("models", "datasets", "evaluation", "engine")


def register_all_modules() -> None:
    """Import every subpackage with components, so that all components are registered.

    A ``type='mmdataseg.X'`` in a config triggers the same imports, but mmengine then hides an ImportError behind "X is
    not in the registry"; here it is raised. At import, mmdet prints messages and warnings about options that this
    package does not use. They are hidden. mmdet prints without a logger, so its messages are recognised by their text.
    """
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    warnings.filterwarnings("ignore", message="torch.meshgrid")  # mmdet's deformable attention, when it runs
    with redirect_stdout(StringIO()) as printed:
        for room in ROOMS:
            import_module(f"mmdataseg.{room}")
    for line in printed.getvalue().splitlines():
        if not line.startswith("Could not import OneDL"):
            print(line)
