"""Adapts the datasets of mmdet and mmseg, so that a source can use them."""

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset

from mmdataseg.errors import UserError
from mmdataseg.formats.json_stream import stream_json
from mmdataseg.registry import DATASETS
from mmdataseg.structures import LabelSpace


def names_as_spelt(classes: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the class names in the spelling of the dataset's METAINFO: mmseg's ADE20K has "bed ", not "bed".

    Args:
        classes: Metainfo of a label space: ``classes``, ``thing_classes``, ``stuff_classes`` and other keys.
        config: Config of the dataset.

    Returns:
        The same metainfo, with each name as the dataset spells it.
    """
    kind = _class_of(config)
    own = {name.strip(): name for name in (getattr(kind, "METAINFO", None) or {}).get("classes", ())}
    names = ("classes", "thing_classes", "stuff_classes")
    return {**classes, **{key: tuple(own.get(name, name) for name in classes[key]) for key in names}}


def _class_of(config: Mapping[str, Any]) -> Any:
    """Return the class that ``DATASETS.build`` would build. A name without a scope is looked up in the default one."""
    kind = config.get("type")
    if not isinstance(kind, str):
        return kind
    with DATASETS.switch_scope_and_registry(config.get("_scope_")) as registry:
        return registry.get(kind)


def build_and_read(config: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Build a dataset from its config and read its annotations.

    Returns:
        The dataset, and the class names in the order of its labels. The names are empty if the labels are those of
        ``metainfo``. mmdet's COCO and LVIS datasets number the labels in the order of the file's categories instead,
        and OpenImages replaces the classes by those of its own files.

    Raises:
        UserError: The dataset has no image, or wraps other datasets.
    """
    kind = _class_of(config)
    if isinstance(kind, type) and issubclass(kind, ConcatDataset | RepeatDataset | ClassBalancedDataset):
        raise UserError(
            f"a {kind.__name__} wraps other datasets, but a source has one dataset",
            remedy="give the dataset without the wrapper, or a source for each of them; ratios of the batch_sampler "
            "decide how often a source is drawn",
        )
    by_file = hasattr(kind, "COCOAPI")
    dataset = DATASETS.build({**config, "lazy_init": True} if _may_be_lazy(kind) else config)
    names: dict[int, str] = {}
    if by_file:
        read = dataset.COCOAPI  # the class attribute by which mmdet lets a dataset choose its reader

        def read_and_note_names(*args: Any) -> Any:
            content = read(*args)
            names.update({c["id"]: c["name"] for c in content.dataset["categories"]})
            return content

        # the dataset drops the names once it is read, so they are noted while it reads, for this instance only
        dataset.COCOAPI = read_and_note_names
        _init(dataset)
        del dataset.COCOAPI
        if not names:  # LVIS does not use this attribute
            names.update(_category_names(Path(dataset.ann_file)))
        return dataset, tuple(names[i].strip() for i in dataset.cat_ids)
    if hasattr(dataset, "full_init"):
        _init(dataset)
    own = tuple(name.strip() for name in (getattr(dataset, "metainfo", None) or {}).get("classes") or ())
    given = tuple(name.strip() for name in (config.get("metainfo") or {}).get("classes", ()))
    return dataset, own if own != given else ()


def _category_names(path: Path) -> dict[int, str]:
    return {c["id"]: c["name"] for key, c in stream_json(path) if key == "categories" and c is not None}


def _may_be_lazy(kind: Any) -> bool:
    """Whether a class accepts mmengine's ``lazy_init``, by name or by ``**kwargs``."""
    if not (isinstance(kind, type) and issubclass(kind, BaseDataset)):
        return False
    parameters = signature(kind).parameters
    return "lazy_init" in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


def _init(dataset: Any) -> None:
    """Read the annotations. An empty list of images, on which mmengine fails obscurely, becomes a clear error."""
    try:
        dataset.full_init()
    except UserError:
        raise
    except ValueError:
        if isinstance(dataset, BaseDataset):
            dataset.data_list = dataset.load_data_list()
            if not dataset.filter_data():
                raise UserError("the dataset has no image", remedy="check its paths and filters") from None
        raise


def first_difference(names: Sequence[str], label_space: LabelSpace) -> str:
    """Describe the first difference between the categories of a file, in the order of the labels, and the classes of a
    label space: a clause for a message. They must differ."""
    missing = [c for c in label_space.classes if c not in names]
    if missing:
        return f"and the file has no category {missing[0]!r} of label space '{label_space.name}'"
    pairs = zip(names, label_space.classes, strict=True)
    label, (theirs, ours) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    return f"where label {label} is {theirs!r}, not {ours!r} as in label space '{label_space.name}'"
