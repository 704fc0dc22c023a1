"""Several sources as one dataset."""

import bisect
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmdataseg.datasets.foreign import build_and_read, first_difference, names_as_spelt
from mmdataseg.datasets.seeding import ATTEMPT, derive_seed, seeded_generators
from mmdataseg.datasets.transforms.loading import LoadInstances, LoadPanopticMap
from mmdataseg.errors import UserError, named, naming
from mmdataseg.registry import DATASETS
from mmdataseg.sources import Source, build_sources

SPLITS = ("train", "test")
# Mistakes in the layout of the data: taking another sample would hide them.
_NOT_THE_SAMPLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


@DATASETS.register_module()
class MultiSourceDataset(Dataset):
    """Concatenate the images of several sources, each with its own dataset and pipeline.

    A source's dataset may be any dataset in the style of mmengine (ours, mmdet's, mmseg's): it takes ``metainfo`` and
    has ``get_data_info`` and ``pipeline``. It is built with the classes of the source's label space. Before its
    pipeline runs, each sample gets ``source`` (str), ``task`` (`Task`), ``label_space`` (`LabelSpace`) and
    ``sample_idx`` (int, position in this dataset).

    If the index is a `SeededIndex`, its seed sets the generators of ``random``, numpy and torch (CPU) while the
    pipeline runs; their states are restored afterwards. So the sample depends on the index and the seed only, not on
    the process that makes it.

    In training, a sample cannot be used if its pipeline returns None or its image cannot be read or decoded. It is
    logged, counted and replaced by another one of the same source, at most ``max_refetch`` times. The replacement
    depends on the sample's seed only. Any other error, such as a missing file or a wrong annotation, is raised at once
    with the source's name and the image's path, and so is every error in testing.

    Args:
        sources: Configs of the sources (`mmdataseg.sources.Source`), in the order of the sampler's ratios.
        split: Which of a source's two datasets to use, ``train`` or ``test``.
        max_refetch: How often in a row a sample is replaced, at least 0.

    Raises:
        UserError: The split is unknown; a source does not have it, or has no images; two sources have the same name; a
            train pipeline loads annotations for scoring; or a dataset cannot be built or used. The message has the
            source's name. If a file is missing, the error is a `MissingFileError`.
    """

    def __init__(self, *, sources: Sequence[Mapping[str, Any] | Source], split: str, max_refetch: int = 10) -> None:
        if split not in SPLITS:
            raise UserError(f"MultiSourceDataset: expected split to be one of {list(SPLITS)}, got {split!r}")
        if isinstance(max_refetch, bool) or not isinstance(max_refetch, int) or max_refetch < 0:
            raise UserError(f"MultiSourceDataset: expected max_refetch to be an int >= 0, got {max_refetch!r}")
        self.sources = build_sources(sources)
        self.split = split
        self.max_refetch = max_refetch
        self.num_replaced = dict.fromkeys(self.source_names, 0)  # in this process; each worker counts its own
        self.datasets = [_build_dataset(source, split) for source in self.sources]
        self.cumulative_sizes: list[int] = np.cumsum([len(d) for d in self.datasets]).tolist()

    @property
    def source_names(self) -> list[str]:
        """The names of the sources, in their order."""
        return [s.name for s in self.sources]

    @property
    def sizes(self) -> list[int]:
        """The number of images of each source."""
        return [len(d) for d in self.datasets]

    @property
    def metainfo(self) -> dict[str, Any]:
        """The metainfo, in plain values. mmengine's loops pass it to the visualizer and write it into checkpoints.

        Returns:
            ``sources``: for each name, ``task``, ``label_space`` (its name), ``classes``, ``thing_classes``,
            ``stuff_classes`` and ``is_thing``. If all sources share one label space, the last four are also top-level
            keys, where components for a single dataset look for them.
        """
        sources = {
            s.name: {"task": s.task.value, "label_space": s.label_space.name, **s.label_space.metainfo}
            for s in self.sources
        }
        spaces = {s.label_space for s in self.sources}
        common = self.sources[0].label_space.metainfo if len(spaces) == 1 else {}
        return {"sources": sources, **common}

    def full_init(self) -> None:
        """Do nothing: the constructor has read all annotations. mmengine calls this method."""

    def get_source(self, idx: int) -> tuple[int, int]:
        """Return the position of a sample's source, and the sample's index within that source.

        Raises:
            IndexError: There is no such sample.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f"MultiSourceDataset: expected an index in [0, {len(self)}), got {idx}")
        position = bisect.bisect_right(self.cumulative_sizes, idx)
        return position, int(idx) - (self.cumulative_sizes[position - 1] if position else 0)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of a sample, with its source's name, task and label space."""
        position, within = self.get_source(idx)
        source = self.sources[position]
        info = self.datasets[position].get_data_info(within)
        info.update(source=source.name, task=source.task, label_space=source.label_space, sample_idx=int(idx))
        return info

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> Any:
        position, within = self.get_source(idx)
        seed = getattr(idx, "seed", None)
        offset = int(idx) - within
        size = len(self.datasets[position])
        problem: Exception | None = None
        for attempt in range(self.max_refetch + 1):
            # without a seed, use the index in its place, so that a replacement does not depend on the process
            attempt_seed = derive_seed(ATTEMPT, int(idx) if seed is None else seed, attempt)
            place = within if attempt == 0 else attempt_seed % size
            with nullcontext() if seed is None else seeded_generators(attempt_seed):
                sample, problem = self._load(position, offset + place)
            if problem is None:
                return sample
            self._log_replaced(position, problem)
        raise UserError(
            f"{problem}. {self.max_refetch + 1} samples of this source in a row could not be used; check its files "
            "and its pipeline, or raise max_refetch"
        ) from problem

    def _load(self, position: int, idx: int) -> tuple[Any, Exception | None]:
        """Run the pipeline once. Return a sample and None, or None and the reason why the sample cannot be used."""
        source, dataset = self.sources[position], self.datasets[position]
        path = None
        try:
            info = self.get_data_info(idx)
            path = info.get("img_path")
            sample = dataset.pipeline(info)
        except Exception as raised:
            # OpenCV raises its own type for an image that it cannot decode
            error = OSError(f"OpenCV: {raised}") if isinstance(raised, cv2.error) else raised
            problem = named(error, source=source.name, file=path or f"sample {idx}")
            if self.split == "train" and _is_unreadable(error, path):
                return None, problem
            raise problem from (raised if problem is not raised else raised.__cause__)
        if sample is not None:
            return sample, None
        problem = UserError("the pipeline returned no sample", source=source.name, file=path or f"sample {idx}")
        if self.split == "test":
            raise problem
        return None, problem

    def _log_replaced(self, position: int, problem: Exception) -> None:
        name = self.sources[position].name
        self.num_replaced[name] += 1
        count = self.num_replaced[name]
        if count <= 10 or count % 100 == 0:  # a pipeline that drops many samples would flood the log
            print_log(
                f"{problem}. Replaced by another sample of the source ({count} so far in this process)",
                logger="current",
                level=logging.WARNING,
            )


def _build_dataset(source: Source, split: str) -> Any:
    config = getattr(source, split)
    if config is None:
        raise UserError(
            f"source {source.name!r} has no '{split}' dataset; add one to its config, or remove the source from "
            f"the {split} sources"
        )
    config = dict(config)
    metainfo = dict(config.pop("metainfo", None) or {})
    classes = source.label_space.metainfo
    other = sorted(key for key in set(metainfo) & set(classes) if list(metainfo[key] or ()) != list(classes[key]))
    if other:
        raise UserError(
            f"metainfo key {other[0]!r} of its {split} dataset differs from label space '{source.label_space.name}', "
            "which the model is trained with",
            source=source.name,
            remedy="remove the key, or correct one of them",
        )
    where = config.get("ann_file") or config.get("data_root") or config.get("type")
    try:
        dataset, category_names = build_and_read(
            {**config, "metainfo": {**metainfo, **names_as_spelt(classes, config)}}
        )
    except Exception as error:
        problem = named(error, source=source.name, file=where)
        raise problem from (error if problem is not error else error.__cause__)
    if category_names and category_names != source.label_space.classes:
        raise UserError(
            f"source {source.name!r}, {where}: a {type(dataset).__name__} numbers classes in the order of the file, "
            f"{first_difference(category_names, source.label_space)}; give the label space the names and order of the "
            "file, or use a dataset of mmdataseg"
        )
    missing = [a for a in ("get_data_info", "pipeline", "__len__") if not hasattr(dataset, a)]
    if missing:
        raise UserError(
            f"a {type(dataset).__name__} has no {missing[0]!r}",
            source=source.name,
            remedy="expected a dataset derived from mmengine's BaseDataset",
        )
    if len(dataset) == 0:
        raise UserError(f"its {split} dataset has no image", source=source.name, remedy="check its paths and filters")
    if split == "train":
        _check_training(source, dataset)
    return dataset


def _check_training(source: Source, dataset: Any) -> None:
    """Check that a dataset gives targets to train on.

    Raises:
        UserError: The dataset has none, or its pipeline loads crowd regions as targets.
    """
    if hasattr(dataset, "require_targets"):
        with naming(source=source.name):
            dataset.require_targets()
    for step in getattr(dataset.pipeline, "transforms", ()):
        if isinstance(step, LoadPanopticMap | LoadInstances) and step.scoring:
            raise UserError(
                f"the train pipeline has {type(step).__name__}(scoring=True), which is for test pipelines: crowd "
                "regions would be trained as objects",
                source=source.name,
                remedy="remove scoring=True from the train pipeline",
            )


def _is_unreadable(error: Exception, path: str | None) -> bool:
    """Whether the error means that the sample's file cannot be read or decoded, and not a mistake in the set-up."""
    if isinstance(error, AssertionError):  # raised by mmcv's LoadImageFromFile if the image cannot be decoded
        return path is not None and Path(path).is_file() and mmcv.imread(path) is None
    return isinstance(error, OSError) and not isinstance(error, _NOT_THE_SAMPLE)
