"""All components of the package, registered at once."""

import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO

ROOMS = ("models", "datasets", "evaluation", "engine")


def register_all_modules() -> None:
    """Import every room, so that all components are registered.

    A config's ``type='mmdataseg.X'`` does this by itself, but mmengine then hides an ImportError behind "X is not in
    the registry"; here it is raised. What mmdet prints and warns of at import concerns options that nothing here uses,
    and is not passed on: its prints have no logger, so only their text tells them.
    """
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    warnings.filterwarnings("ignore", message="torch.meshgrid")  # mmdet's deformable attention, when it runs
    with redirect_stdout(StringIO()) as printed:
        for room in ROOMS:
            import_module(f"mmdataseg.{room}")
    for line in printed.getvalue().splitlines():
        if not line.startswith("Could not import OneDL"):
            print(line)
