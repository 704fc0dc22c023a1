"""Intersection over union of semantic maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmdataseg.errors import UserError
from mmdataseg.evaluation.class_counts import PackedCounts, chance_generator, mean_percent, pack_counts, sum_counts
from mmdataseg.evaluation.count_metric import CountMetric
from mmdataseg.evaluation.ground_truth import classes_of, describe, id_map_of
from mmdataseg.evaluation.source_checks import check_loaded, check_task
from mmdataseg.ops.semantic_iou import class_areas, confusion_matrix, semantic_iou
from mmdataseg.registry import METRICS
from mmdataseg.sources import Source


@METRICS.register_module()
class SemanticMetric(CountMetric):
    """mIoU as in mmseg's ``IoUMetric``, with the ground truth from the id map.

    It reads ``gt_id_map`` with ``gt_instances`` and ``pred_sem_seg`` of each data sample. The latter has labels (1, H,
    W) in ``sem_seg`` or, from mmseg's heads, in ``data``. So it also scores panoptic ground truth: all segments of a
    class form one region, with its crowd regions, whose class is known. Void is left out.

    Reports in percent mIoU (classes in the ground truth or in the prediction), mAcc (classes in the ground truth) and
    aAcc (all pixels).

    Args:
        chance: Number of draws in which a random permutation of the K classes is applied to the prediction of an image.
            The mean of their scores is reported as ``mIoU_chance``: the quality of the regions with meaningless
            classes. Draws depend on the sample's ``sample_idx`` only. 0: none.
        classwise: Also report ``IoU/<class>``.
        subsets: Name of a group of classes -> its classes, for ``mIoU_<name>``.
        prefix: Prefix of the names of the metrics.

    Raises:
        UserError: The number of draws is negative, or a group has no classes.
    """

    draws_chance = True

    def check_source(self, source: Source) -> None:
        """Check the task, the test pipeline and the groups of classes, at the start of a training.

        Raises:
            UserError: The task is not semantic, the test pipeline loads no annotations, or `CountMetric.check_source`
                refuses the source.
        """
        check_task(source, "semantic", metric=self)
        check_loaded(source, "LoadSemanticMap")
        super().check_source(source)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:  # noqa: ARG002
        """Count the pixels of some images.

        Raises:
            UserError: A sample has no ground truth or no prediction; the sizes differ; or a class is not in the label
                space.
        """
        num_classes = len(classes_of(self.dataset_meta))
        for sample in data_samples:
            if "pred_sem_seg" not in sample:
                raise UserError(
                    f"{describe(sample)}: no prediction 'pred_sem_seg'; mIoU needs a source whose task is 'semantic'"
                )
            prediction = sample["pred_sem_seg"]
            predicted = prediction["sem_seg" if "sem_seg" in prediction else "data"][0]
            ids, labels, _ = id_map_of(sample, size=predicted.shape)
            # class of each pixel; void, index -1, reads the -1 at the end
            true = torch.cat([labels, labels.new_tensor([-1])])[ids]
            try:
                confusion = confusion_matrix(true, predicted, num_classes=num_classes)
            except ValueError as error:
                raise UserError(f"{describe(sample)}: {error}") from None
            generator = chance_generator(sample, len(self.results))
            orders = [torch.randperm(num_classes, generator=generator) for _ in range(self.chance)]
            areas = [class_areas(confusion, order) for order in [None, *orders]]
            self.results.append(pack_counts(torch.stack(areas)))

    def compute_metrics(self, results: Sequence[PackedCounts]) -> dict[str, float]:
        """Return the scores from the areas of all images.

        Returns:
            Name -> percent; nan if there is nothing to score.
        """
        classes = classes_of(self.dataset_meta)
        iou, accuracy, all_accuracy = semantic_iou(sum_counts(results, num_classes=len(classes)))
        metrics = {
            "mIoU": mean_percent(iou[0]),
            "mAcc": mean_percent(accuracy[0]),
            "aAcc": float(all_accuracy[0] * 100),
        }
        if self.chance:
            metrics["mIoU_chance"] = mean_percent(iou[1:].nanmean(dim=1))
        metrics |= self.subset_means("mIoU", iou[0], classes)
        if self.classwise:
            metrics |= {f"IoU/{name}": float(v * 100) for name, v in zip(classes, iou[0], strict=True)}
        return metrics
