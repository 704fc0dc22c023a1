"""Data samples from tiny maps, as the model passes them to the metrics, and a metric that reports its samples."""

import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from mmengine.structures import InstanceData, PixelData

CLASSES = ("dog", "cat", "grass", "sky")
IS_THING = (True, True, False, False)
META = dict(classes=CLASSES, is_thing=IS_THING, source="pets")
LABEL_SPACE = dict(name="pets", classes=CLASSES, is_thing=IS_THING)


def id_map(ids, labels, crowd=None, **metainfo):
    """A sample with ground truth: ids (H, W) with -1 = void, labels of the rows."""
    sample = DetDataSample(metainfo=metainfo)
    sample.gt_id_map = PixelData(data=torch.tensor(ids, dtype=torch.int32)[None])
    sample.gt_instances = InstanceData(labels=torch.tensor(labels, dtype=torch.long))
    if crowd is not None:
        sample.gt_instances.is_crowd = torch.tensor(crowd)
    return sample


def panoptic(ids, labels, predicted, crowd=None, **metainfo):
    """Adds a panoptic prediction: (H, W) of class + 1000 * n, void 0."""
    sample = id_map(ids, labels, [False] * len(labels) if crowd is None else crowd, **metainfo)
    sample.pred_panoptic_seg = PixelData(
        sem_seg=torch.tensor(predicted)[None], metainfo=dict(label_names=CLASSES, ignore_index=0)
    )
    return sample


def semantic(ids, labels, predicted, **metainfo):
    """Adds a semantic prediction: (H, W) of labels."""
    sample = id_map(ids, labels, **metainfo)
    sample.pred_sem_seg = PixelData(sem_seg=torch.tensor(predicted)[None])
    return sample


def instances(masks, labels, scores=None, **metainfo):
    """A sample with detections: masks (N, H, W)."""
    masks = torch.stack([torch.as_tensor(mask) for mask in masks]).bool() if len(masks) else masks
    sample = DetDataSample(metainfo=dict(ori_shape=tuple(masks.shape[-2:])) | metainfo)
    num = len(labels)
    sample.pred_instances = InstanceData(
        labels=torch.tensor(labels, dtype=torch.long),
        scores=torch.linspace(0.9, 0.5, num) if scores is None else torch.tensor(scores),
        bboxes=torch.zeros(num, 4),
        masks=masks,
    )
    return sample


def score(metric, samples, meta=META):
    """What a metric says of some samples, on its own."""
    metric.dataset_meta = meta
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(samples))


def pets(index):
    """Of 4 pixels of a dog, ``index`` are missed: IoU 1, 0.75, then no match."""
    row = [0] * index + [1000] * (4 - index)
    return panoptic([[0] * 4], [0], [row], source="pets", sample_idx=index)


@METRICS.register_module(force=True)
class OrderMetric(BaseMetric):
    """Reports which samples it was given and in which order; two results a sample."""

    default_prefix = ""

    def process(self, data_batch, data_samples):
        assert data_batch is None
        self.results += [sample["sample_idx"] for sample in data_samples for _ in range(2)]

    def compute_metrics(self, results):
        order = sum(index * 10**place for place, index in enumerate(reversed(results[::2])))
        return dict(order=float(order), classes=float(len(self.dataset_meta["classes"])), results=float(len(results)))


def source(name, metrics, *, task="panoptic", label_space=LABEL_SPACE):
    return dict(name=name, task=task, label_space=label_space, test=dict(type="Any"), metrics=metrics)
