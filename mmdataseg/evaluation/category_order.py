"""Checks the metrics of mmdet that number classes in the order of their annotation file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.evaluation import CocoMetric, CocoPanopticMetric
from mmengine.evaluator import BaseMetric

from mmdataseg.errors import UserError
from mmdataseg.evaluation.instance import InstanceMetric
from mmdataseg.formats.json_stream import stream_json
from mmdataseg.sources import Source


def check_category_order(metric: BaseMetric, config: Mapping[str, Any], source: Source) -> None:
    """Check that the categories of the file are in the order of the label space.

    mmdet's metrics take the categories whose names are among the classes, in the order of the file, and read label k as
    the k-th of them. With another order, or if a class is missing, the scores are those of other classes. Only metrics
    of mmdet are checked: `InstanceMetric` matches by name.

    Raises:
        UserError: The order differs, or a class is missing or appears twice.
    """
    file = config.get("ann_file")
    if not isinstance(metric, CocoMetric | CocoPanopticMetric) or isinstance(metric, InstanceMetric) or not file:
        return
    categories = [c for key, c in stream_json(Path(file)) if key == "categories" and isinstance(c, Mapping)]
    classes = source.label_space.classes
    used = [category.get("name") for category in categories if category.get("name") in classes]
    if used == list(classes):
        return
    missing = [name for name in classes if name not in used]
    repeated = [name for name in classes if used.count(name) > 1]
    if missing:
        what = f"the file has no category {missing[0]!r}"
    elif repeated:
        what = f"category {repeated[0]!r} appears twice in the file"
    else:
        pairs = enumerate(zip(used, classes, strict=True))
        label, theirs, ours = next((label, *pair) for label, pair in pairs if pair[0] != pair[1])
        what = f"label {label} is {theirs!r} there, and {ours!r} in label space '{source.label_space.name}'"
    raise UserError(
        f"{type(metric).__name__} numbers classes in the order of the file, and {what}",
        source=source.name,
        file=file,
        remedy="give the label space the order of the file or, for mask AP, use mmdataseg.InstanceMetric",
    )
