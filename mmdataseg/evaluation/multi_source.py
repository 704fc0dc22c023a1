"""Evaluates several sources at once: each sample goes to the metrics of its source, and one table lists all scores."""

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import combinations, count
from typing import Any

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import print_log
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement
from mmengine.utils import apply_to
from torch import Tensor

from mmdataseg.errors import UserError, named
from mmdataseg.evaluation.category_order import check_category_order
from mmdataseg.registry import EVALUATOR
from mmdataseg.sources import Source, build_sources

BASELINES = {"_chance": "chance", "_filled_boxes": "filled boxes"}
"""Suffixes of the names of metrics that are the baseline of another metric -> name of the baseline."""


@dataclass(frozen=True)
class Score:
    """A row of the table.

    Args:
        source: Name of the source.
        task: Task of the source.
        images: Number of tested images.
        metric: Name of the metric.
        value: Usually in percent; nan if there is nothing to score.
        baseline: The values of its baselines as text; empty without a baseline.
    """

    source: str
    task: str
    images: int
    metric: str
    value: float
    baseline: str = ""


@EVALUATOR.register_module()
class MultiSourceEvaluator(Evaluator):
    """Evaluator of one model on several sources, each with its own metrics.

    A sample goes only to the metrics of its source, which is in its metainfo ``source``. Each metric's ``dataset_meta``
    is that of its source: ``classes``, ``thing_classes``, ``stuff_classes``, ``is_thing``, ``source``.

    In distributed evaluation, a sampler pads with repeated samples, and ranks have different numbers of samples of a
    source. mmengine truncates the gathered list, which would count some samples twice and lose others. Here results
    are gathered by ``sample_idx``, each is counted once, and they are scored in the order of the dataset. So the scores
    do not depend on the number of ranks.

    Any metric of an OpenMMLab project works if it keeps one or more results per sample in ``results``. It is called
    with one sample at a time and without the batch (``data_batch=None``). A metric ``X_chance`` or ``X_filled_boxes``
    is shown as the baseline of ``X``, in the same row of the table.

    The metrics of a source must report different names. Which ones a metric reports is known after the test; if two
    share a name then, the later metric gets its class as the prefix, with a warning, and no score is lost.

    Args:
        metrics: The tested sources, as configs (see ``configs/_base_/sources``) or built. The argument has this name
            because mmengine's Runner builds a custom evaluator only from a config with this key.
        classwise: Also report each class: metrics whose constructor takes ``classwise`` are built with it.

    Raises:
        MissingFileError: A file that a metric reads is missing.
        TypeError: A source or a metric has an unknown key.
        UserError: Two sources have the same name; a source has no metric; two metrics of a source have the same prefix
            and compute the same scores by the same method; a metric of mmdet would mix up the classes; or a metric
            refuses its file or, in ``check_source``, its source.
    """

    def __init__(self, *, metrics: Sequence[Mapping[str, Any] | Source], classwise: bool = False) -> None:
        self.sources = build_sources(metrics)
        for source in self.sources:
            if not source.metrics:
                raise UserError(f"source '{source.name}' is tested but has no metric; give it metrics=[...]")
        self._whole_meta: dict | None = None
        super().__init__([_build(source, metric, classwise) for source in self.sources for metric in source.metrics])
        built = iter(self.metrics)
        self._metrics = {source.name: [next(built) for _ in source.metrics] for source in self.sources}
        self._results: dict[str, dict[int, list[list[Any]]]] = {source.name: {} for source in self.sources}
        for source in self.sources:
            _check_prefixes(source, self._metrics[source.name])
            for metric in self._metrics[source.name]:
                if hasattr(metric, "check_source"):
                    metric.check_source(source)
                # a metric may compare its files with the classes here
                metric.dataset_meta = {"source": source.name, **source.label_space.metainfo}

    @property
    def dataset_meta(self) -> dict | None:
        """Metainfo of the whole test set, set by the loop. The metrics keep those of their sources."""
        return self._whole_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._whole_meta = dataset_meta

    def process(self, data_samples: Sequence[BaseDataElement | dict], data_batch: Any = None) -> None:  # noqa: ARG002
        """Send each sample, with metainfo ``source`` and ``sample_idx``, to the metrics of its source.

        Raises:
            UserError: The source of a sample is not tested here, or a sample has no ``sample_idx``.
        """
        for element in data_samples:
            sample = element.to_dict() if isinstance(element, BaseDataElement) else element
            name = sample.get("source")
            if name not in self._metrics:
                raise UserError(
                    f"sample {sample.get('img_path', '?')} is from source {name!r}, but the evaluator has "
                    f"{list(self._metrics)}; give test_dataloader and test_evaluator the same sources"
                )
            if "sample_idx" not in sample:
                raise UserError(
                    f"source '{name}', {sample.get('img_path', '?')}: no 'sample_idx' in the metainfo; test with "
                    "mmdataseg.MultiSourceDataset and mmdataseg.PackInputs"
                )
            self._results[name][int(sample["sample_idx"])] = [
                _results_of(metric, sample) for metric in self._metrics[name]
            ]

    def evaluate(self, size: int) -> dict[str, float]:
        """Score everything processed since the last call, on all ranks, and print the table.

        Args:
            size: Number of samples in the whole test set.

        Returns:
            ``<source>/<metric>`` -> value, the same on every rank.
        """
        values: dict[str, float] = {}
        rows: list[Score] = []
        num_samples = 0
        for source in self.sources:
            parts = all_gather_object(self._results[source.name])
            self._results[source.name] = {}
            if not is_main_process():
                continue
            by_sample = {index: results for part in parts for index, results in part.items()}
            num_samples += len(by_sample)
            scores = self._score(source, [by_sample[index] for index in sorted(by_sample)])
            values |= {f"{source.name}/{name}": value for name, value in scores.items()}
            rows += _rows(source, len(by_sample), scores)
        if is_main_process():
            if num_samples != size:
                _warn(f"tested {num_samples} different samples, but the test set has {size}")
            print_log("scores by source\n" + format_table(rows), logger="current")
        shared = [values]
        broadcast_object_list(shared)
        return shared[0]

    def _score(self, source: Source, results: Sequence[list[list[Any]]]) -> dict[str, float]:
        """Return the scores of one source. The results have one entry per sample: a list for each metric."""
        if not results:
            _warn(f"source '{source.name}': no image was tested, so it has no scores")
            return {}
        scores: dict[str, float] = {}
        metric_of: dict[str, str] = {}
        for number, metric in enumerate(self._metrics[source.name]):
            found = metric.compute_metrics([one for sample in results for one in sample[number]])
            named_scores = {f"{metric.prefix}/{name}" if metric.prefix else name: v for name, v in found.items()}
            kind = type(metric).__name__
            if taken := [name for name in named_scores if name in scores]:
                prefix = _free_prefix(kind, named_scores, scores)
                _warn(
                    f"source '{source.name}': {metric_of[taken[0]]} and {kind} both report '{taken[0]}'; the scores of "
                    f"the latter are named '{prefix}/...'. To choose the name, give one of them a prefix, prefix='...'"
                )
                named_scores = {f"{prefix}/{name}": value for name, value in named_scores.items()}
            scores |= named_scores
            metric_of |= dict.fromkeys(named_scores, kind)
        return scores


def format_table(rows: Iterable[Score]) -> str:
    """Format scores as a table for a log in a monospaced font, with lines of equal length.

    Consecutive rows with the same source, task and images show these once. There is a baseline column if a row has a
    baseline.
    """
    rows = list(rows)
    head = ["source", "task", "images", "metric", "value", "baseline"]
    cells, last = [head], None
    for row in rows:
        of_source = [row.source, row.task, str(row.images)]
        cells.append([*(of_source if of_source != last else ["", "", ""]), row.metric, _shown(row.value), row.baseline])
        last = of_source
    if not any(row.baseline for row in rows):
        cells = [line[:-1] for line in cells]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    to_right = {2, 4}
    lines = [
        " | ".join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _rows(source: Source, images: int, scores: Mapping[str, float]) -> list[Score]:
    """Return the rows of a source. A baseline is in the row of its metric."""
    if not scores:
        return [Score(source.name, source.task.value, images, "not tested", float("nan"))]
    return [
        Score(source.name, source.task.value, images, key, value, _baseline_of(key, scores))
        for key, value in scores.items()
        if not any(key.endswith(ending) and key.removesuffix(ending) in scores for ending in BASELINES)
    ]


def _baseline_of(key: str, scores: Mapping[str, float]) -> str:
    present = [(scores[key + ending], label) for ending, label in BASELINES.items() if key + ending in scores]
    return ", ".join(f"{_shown(value)} ({label})" for value, label in present)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _build(source: Source, metric: Mapping[str, Any], classwise: bool) -> BaseMetric:
    """Build a metric from its config, with ``classwise`` if it takes that. Its errors get the name of the source."""
    of_each_class = {"classwise": True} if classwise and _takes_classwise(metric) else {}
    try:
        built = METRICS.build({**metric, **of_each_class})
        check_category_order(built, metric, source)
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise named(error, source=source.name) from error
    return built


def _takes_classwise(metric: Mapping[str, Any]) -> bool:
    """Whether the constructor of a metric takes ``classwise``, or passes any keyword on to a base class that does."""
    kind = metric.get("type")
    if isinstance(kind, str):
        with METRICS.switch_scope_and_registry(metric.get("_scope_")) as registry:
            kind = registry.get(kind)
    for base in getattr(kind, "__mro__", ()):
        if "__init__" not in vars(base):
            continue
        parameters = signature(vars(base)["__init__"]).parameters
        if "classwise" in parameters:
            return True
        if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in parameters.values()):
            return False
    return False


def _check_prefixes(source: Source, metrics: Sequence[BaseMetric]) -> None:
    """Refuse two metrics that have the same prefix and inherit `compute_metrics` one from the other."""
    for first, second in combinations(metrics, 2):
        one, other = type(first), type(second)
        related = issubclass(one, other) or issubclass(other, one)
        # `InstanceMetric`, and others of mmdet, say in `metrics` whether they score masks or boxes
        shapes, other_shapes = (getattr(metric, "metrics", None) for metric in (first, second))
        alike = first.prefix == second.prefix and shapes == other_shapes
        if related and alike and one.compute_metrics is other.compute_metrics:
            both = f"two {one.__name__}" if one is other else f"{one.__name__} and {other.__name__}"
            raise UserError(
                f"{both} would report under the same names",
                source=source.name,
                remedy="give one of them a prefix, prefix='...'",
            )


def _free_prefix(kind: str, names: Iterable[str], taken: Collection[str]) -> str:
    """Return the name of a metric's class, with a number if one of the names would be taken with it, too."""
    names = list(names)
    prefixes = (kind if number == 1 else f"{kind}{number}" for number in count(1))
    return next(prefix for prefix in prefixes if not any(f"{prefix}/{name}" in taken for name in names))


def _results_of(metric: BaseMetric, sample: dict) -> list[Any]:
    """Return a metric's results for one sample, removed from its list and, as in `BaseMetric`, copied to the CPU."""
    metric.process(None, [sample])
    results = apply_to(metric.results, lambda v: isinstance(v, Tensor | BaseDataElement), lambda v: v.to("cpu"))
    metric.results.clear()
    return results


def _warn(message: str) -> None:
    print_log(message, logger="current", level=logging.WARNING)
