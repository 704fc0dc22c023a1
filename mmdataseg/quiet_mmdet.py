"""Imports mmdet without what it prints. Rooms that use mmdet's components import this module first.

At import, mmdet prints messages and warns about options that this package does not use. It prints without a logger, so
its messages are recognised by their text.
"""

import warnings
from contextlib import redirect_stdout, suppress
from io import StringIO

# mmengine imports it, and torch 2.5 then shows a warning of its own whatever the filters are
with suppress(ImportError), warnings.catch_warnings(record=True):
    import torch.distributed.optim  # noqa: F401

with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="faster_coco_eval is not installed")
    import mmdet.datasets
    import mmdet.evaluation  # noqa: F401

for line in printed.getvalue().splitlines():
    if not line.startswith("Could not import OneDL"):
        print(line)
