"""Panoptic quality as an OpenMMLab metric, computed in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.evaluation import INSTANCE_OFFSET
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.evaluation.class_counts import PackedCounts, chance_generator, mean_percent, pack_counts, sum_counts
from mmdataseg.evaluation.count_metric import CountMetric
from mmdataseg.evaluation.ground_truth import (
    classes_of,
    describe,
    id_map_of,
    thing_flags_of,
)
from mmdataseg.evaluation.source_checks import check_loaded, check_task, steps_of_test
from mmdataseg.ops.panoptic_map import read_panoptic_map
from mmdataseg.ops.panoptic_quality import panoptic_counts, panoptic_quality, segment_intersections
from mmdataseg.ops.segment_errors import KINDS, error_kinds, invented_segments
from mmdataseg.registry import METRICS
from mmdataseg.sources import Source


@METRICS.register_module()
class PanopticQualityMetric(CountMetric):
    """COCO's panoptic quality, with exactly its counts, but without panopticapi and PNG files.

    It reads ``gt_id_map`` with ``gt_instances`` (labels, is_crowd) and ``pred_panoptic_seg`` of each data sample. The
    latter's ``sem_seg`` (1, H, W) holds ``class + 1000 * n``, or ``ignore_index`` for void. mmdet's own heads have no
    ``ignore_index`` and mark void by the number of classes, which is also read. ``dataset_meta`` must have ``classes``
    and ``is_thing``.

    Reports in percent PQ, SQ and RQ, also over things (``PQ_th`` ...) and over stuff (``PQ_st`` ...): means over the
    classes that are in the ground truth or in the prediction.

    Args:
        chance: Number of draws in which each predicted segment gets a random class of its kind (thing or stuff). The
            means of their scores are reported as ``PQ_chance``, ``PQ_th_chance`` and ``PQ_st_chance``: the quality of
            the segments with meaningless classes. Draws depend on the sample's ``sample_idx`` only. 0: none.
        classwise: Also report ``PQ/<class>``.
        errors: Also report what happened to the true segments: the share of each kind of
            `mmdataseg.ops.segment_errors`, in percent of all of them (``found``, ``wrong_class`` ...), of the things
            (``found_th`` ...) and of the stuff (``found_st`` ...). ``invented`` is the number of
            `mmdataseg.ops.segment_errors.invented_segments`, in percent of the number of true segments.
        subsets: Name of a group of classes -> its classes, for ``PQ_<name>``.
        prefix: Prefix of the names of the metrics.

    Raises:
        UserError: The number of draws is negative, or a group has no classes.
    """

    draws_chance = True

    def __init__(self, *, errors: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.errors = errors

    def check_source(self, source: Source) -> None:
        """Check the task and how annotations are loaded, at the start of a training.

        Raises:
            UserError: The task is not panoptic; the test pipeline loads no annotations, or as for training; or
                `CountMetric.check_source` refuses the source.
        """
        check_task(source, "panoptic", metric=self)
        check_loaded(source, "LoadPanopticMap")
        super().check_source(source)
        for kind, step in steps_of_test(source):
            if kind == "LoadPanopticMap" and not step.get("scoring"):
                raise UserError(
                    "the test pipeline loads annotations as for training, without crowd regions, so predictions in "
                    "them would count as wrong",
                    source=source.name,
                    remedy="set scoring=True in LoadPanopticMap",
                )

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """Count the segments of some images.

        Raises:
            UserError: A sample has no ground truth or no prediction; the ground truth was not loaded for scoring; the
                sizes differ; or a class is not in the label space.
        """
        for sample in data_samples:
            pred_ids, pred_labels = self._prediction(sample, len(classes_of(self.dataset_meta)))
            gt_ids, gt_labels, is_crowd = id_map_of(sample, size=pred_ids.shape)
            if is_crowd is None:
                raise UserError(
                    f"{describe(sample)}: the annotation was loaded as for training, without crowd regions, so "
                    "predictions in them would count as wrong; load it with scoring=True in the test pipeline, or "
                    "pack gt_instances.is_crowd"
                )
            pairs = segment_intersections(gt_ids, pred_ids, num_gt=len(gt_labels), num_pred=len(pred_labels))
            counts = self.count_segments(
                pairs,
                gt_labels_N=gt_labels.cpu(),
                gt_is_crowd_N=is_crowd.cpu(),
                pred_labels_M=pred_labels,
                generator=chance_generator(sample, len(self.results)),
            )
            self.results.append(counts)

    def count_segments(
        self,
        intersections_N1M1: Tensor,
        *,
        gt_labels_N: Tensor,
        gt_is_crowd_N: Tensor,
        pred_labels_M: Tensor,
        generator: torch.Generator,
    ) -> PackedCounts:
        """Count the segments of one image, by class.

        The arguments are those of `panoptic_counts`, and ``generator`` for the chance draws.

        Returns:
            One of the ``results`` of `compute_metrics`.
        """
        classes, is_thing = classes_of(self.dataset_meta), thing_flags_of(self.dataset_meta)
        truth: dict[str, Any] = dict(gt_labels_N=gt_labels_N, gt_is_crowd_N=gt_is_crowd_N, num_classes=len(classes))
        drawn = [draw_labels(pred_labels_M, is_thing, generator=generator) for _ in range(self.chance)]
        counts = [
            panoptic_counts(intersections_N1M1, pred_labels_M=labels, **truth) for labels in [pred_labels_M, *drawn]
        ]
        if self.errors:
            errors = _count_errors(intersections_N1M1, pred_labels_M=pred_labels_M, **truth)
            counts = [torch.cat([table, errors], dim=1) for table in counts]
        return pack_counts(torch.stack(counts))

    def compute_metrics(self, results: Sequence[PackedCounts]) -> dict[str, float]:
        """Return the qualities from the counts of all images.

        Returns:
            Name -> percent; nan if no class has a count.
        """
        classes, is_thing = classes_of(self.dataset_meta), thing_flags_of(self.dataset_meta)
        counts_RKC = sum_counts(results, num_classes=len(classes))
        qualities = dict(zip(("PQ", "SQ", "RQ"), panoptic_quality(counts_RKC[..., :4]), strict=True))
        groups = {"": torch.ones_like(is_thing), "_th": is_thing, "_st": ~is_thing}
        groups = {suffix: wanted for suffix, wanted in groups.items() if wanted.any()}
        metrics = {
            name + suffix: mean_percent(values[0, wanted])
            for suffix, wanted in groups.items()
            for name, values in qualities.items()
        }
        if self.errors:
            for suffix, wanted in groups.items():
                metrics |= {name + suffix: v for name, v in _error_shares(counts_RKC[0, wanted, 4:]).items()}
        if self.chance:
            for suffix, wanted in groups.items():
                metrics[f"PQ{suffix}_chance"] = mean_percent(qualities["PQ"][1:, wanted].nanmean(dim=1))
        metrics |= self.subset_means("PQ", qualities["PQ"][0], classes)
        if self.classwise:
            metrics |= {f"PQ/{name}": float(v * 100) for name, v in zip(classes, qualities["PQ"][0], strict=True)}
        return metrics

    def _prediction(self, sample: Mapping[str, Any], num_classes: int) -> tuple[Tensor, Tensor]:
        """Return ``pred_panoptic_seg`` as ids (H, W), value = row, -1 = void, and the rows' labels (M,) on the CPU."""
        if "pred_panoptic_seg" not in sample:
            raise UserError(
                f"{describe(sample)}: no prediction 'pred_panoptic_seg'; panoptic quality needs a source whose task is "
                "'panoptic'"
            )
        prediction = sample["pred_panoptic_seg"]
        try:
            return read_panoptic_map(
                prediction["sem_seg"][0],
                num_classes=num_classes,
                offset=INSTANCE_OFFSET,
                ignore_index=prediction.get("ignore_index"),
            )
        except ValueError as error:
            raise UserError(f"{describe(sample)}: {error}") from None


def _count_errors(
    pairs: Tensor, *, gt_labels_N: Tensor, gt_is_crowd_N: Tensor, pred_labels_M: Tensor, num_classes: int
) -> Tensor:
    """Return the counts (K, len(KINDS) + 1) of one image: the kinds of the true segments, then invented segments."""
    labels = dict(gt_labels_N=gt_labels_N, gt_is_crowd_N=gt_is_crowd_N, pred_labels_M=pred_labels_M)
    kinds_N = error_kinds(pairs, **labels, num_classes=num_classes)
    has_kind_N = kinds_N >= 0
    invented_M = invented_segments(pairs, **labels, num_classes=num_classes)
    counts = torch.zeros(num_classes, len(KINDS) + 1, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    counts.index_put_((gt_labels_N[has_kind_N], kinds_N[has_kind_N]), one, accumulate=True)
    counts[:, -1] = torch.bincount(pred_labels_M[invented_M], minlength=num_classes)
    return counts


def _error_shares(counts: Tensor) -> dict[str, float]:
    """Return the percentages of counts (classes, len(KINDS) + 1), summed over the classes; nan without a true
    segment."""
    totals = counts.sum(0)
    shares = totals / totals[: len(KINDS)].sum() * 100
    return dict(zip((*KINDS, "invented"), shares.tolist(), strict=True))


def draw_labels(labels_M: Tensor, is_thing_K: Tensor, *, generator: torch.Generator) -> Tensor:
    """Draw a random class for each segment among the classes of its kind (thing or stuff).

    Args:
        labels_M: (M,) int64, label of each segment.
        is_thing_K: (K,) bool, whether each class is a thing.
        generator: Generator of the draw.

    Returns:
        (M,) int64.
    """
    drawn = torch.empty_like(labels_M)
    for kind in (True, False):
        members = (is_thing_K == kind).nonzero().flatten()
        of_kind = is_thing_K[labels_M] == kind
        if of_kind.any():
            picks = torch.randint(len(members), (int(of_kind.sum()),), generator=generator)
            drawn[of_kind] = members[picks]
    return drawn
