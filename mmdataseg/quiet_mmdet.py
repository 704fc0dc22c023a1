"""Imports mmdet without what it prints. Rooms that use mmdet's components import this module first.

At import, mmdet prints messages and warns about options that this package does not use. It prints without a logger, so
its messages are recognised by their text.
"""

import warnings
from contextlib import redirect_stdout
from io import StringIO

with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    import mmdet.datasets
    import mmdet.evaluation  # noqa: F401

for line in printed.getvalue().splitlines():
    if not line.startswith("Could not import OneDL"):
        print(line)
