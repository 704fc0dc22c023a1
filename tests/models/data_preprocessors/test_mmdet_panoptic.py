"""Our panoptic samples in mmdet's fields, and the output of mmdet's fusion head in our metric."""

import numpy as np
import pytest
import torch
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmdet.models.utils import preprocess_panoptic_gt
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData

from mmdataseg.evaluation import PanopticQualityMetric
from mmdataseg.models import MMDetPanopticPreprocessor
from mmdataseg.ops.panoptic_map import read_panoptic_map
from mmdataseg.structures import LabelSpace
from tests.models.conftest import LABEL_SPACE, make_batch, make_sample

VOID, NUM_CLASSES, OFFSET = 255, len(LABEL_SPACE), 1000
SOURCE = {"name": "panoptic", "task": "panoptic", "label_space": LABEL_SPACE}


def preprocessor(*sources, **changes):
    arguments = {"pad_size_divisor": 32, "pad_mask": True, "pad_seg": True, **changes}
    return MMDetPanopticPreprocessor(sources=list(sources) or [SOURCE], **arguments)


def sample_of(id_map, labels):
    """A sample of an image with these annotations."""
    id_map = torch.tensor(id_map, dtype=torch.int32)
    sample = DetDataSample(metainfo={"source": "panoptic", "img_shape": tuple(id_map.shape)})
    sample.gt_id_map = PixelData(data=id_map[None])
    sample.gt_instances = InstanceData(labels=torch.tensor(labels, dtype=torch.int64))
    return {"inputs": torch.zeros(3, *id_map.shape, dtype=torch.uint8), "data_samples": sample}


def segments(labels, masks):
    """The set of (label, mask) pairs, in any order."""
    return sorted(
        (int(label), mask.astype(bool).tolist()) for label, mask in zip(labels, np.asarray(masks), strict=True)
    )


# ---- ground truth


def test_a_sample_by_hand():
    """Two red discs, grass, sky, and a void corner; the padding to 32 x 32 is void and in no mask."""
    batch = make_batch(sample_of([[0, 0, 3, 3], [2, 1, 1, -1]], [0, 2, 0, 3]))
    (sample,) = preprocessor()(batch, training=True)["data_samples"]
    assert sample.gt_instances.labels.tolist() == [0, 0]
    assert isinstance(sample.gt_instances.masks, BitmapMasks)
    masks = sample.gt_instances.masks.masks
    assert masks[:, :2, :4].tolist() == [[[1, 1, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [1, 0, 0, 0]]]
    semantic = sample.gt_sem_seg.sem_seg[0]
    assert semantic[:2, :4].tolist() == [[0, 0, 3, 3], [0, 2, 2, VOID]]
    assert masks.shape[1:] == semantic.shape == (32, 32)
    assert masks.sum() == 3
    assert (semantic != VOID).sum() == 7
    assert "gt_id_map" not in sample
    assert sample.source == "panoptic"
    assert (sample.img_shape, sample.batch_input_shape) == ((2, 4), (32, 32))


@pytest.mark.parametrize("seed", range(3))
def test_mmdet_reads_every_segment_of_the_id_map(seed):
    """Read by mmdet's own function, for images of two sizes in one batch."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for size in ((40, 33), (25, 64)):
        labels = torch.tensor([2, 0, 1, 0, 3])[torch.randperm(5, generator=generator)]
        id_map = torch.randint(-1, 5, size, generator=generator)
        samples.append(sample_of(id_map.tolist(), labels.tolist()))
    truths = [(s["data_samples"].gt_id_map.data[0], s["data_samples"].gt_instances.labels) for s in samples]
    given = preprocessor()(make_batch(*samples), training=True)
    assert given["inputs"].shape[-2:] == (64, 64)
    for (id_map, labels), sample in zip(truths, given["data_samples"], strict=True):
        found = preprocess_panoptic_gt(
            sample.gt_instances.labels, sample.gt_instances.masks, sample.gt_sem_seg.sem_seg, 2, 2
        )
        padded = np.full((64, 64), -1)
        padded[: id_map.shape[0], : id_map.shape[1]] = id_map
        assert segments(*found) == segments(labels, [padded == row for row in range(len(labels))])


def test_an_image_without_annotations_has_no_masks_and_is_void():
    (sample,) = preprocessor()(make_batch(make_sample("panoptic", empty=True)), training=True)["data_samples"]
    assert sample.gt_instances.masks.masks.shape == (0, 64, 96)
    assert sample.gt_instances.labels.shape == (0,)
    assert (sample.gt_sem_seg.sem_seg == VOID).all()
    labels, masks = preprocess_panoptic_gt(
        sample.gt_instances.labels, sample.gt_instances.masks, sample.gt_sem_seg.sem_seg, 2, 2
    )
    assert (labels.shape, masks.shape) == ((0,), (0, 64, 96))


def test_the_samples_of_a_batch_are_left_as_they_are():
    """Training makes new samples; a test passes the samples on unchanged, for the metric."""
    batch = make_batch(make_sample("panoptic"))
    preprocessor()(batch, training=True)
    assert {"gt_id_map", "gt_instances"} == set(batch["data_samples"][0].keys())
    (tested,) = preprocessor()(batch)["data_samples"]
    assert torch.equal(tested.gt_id_map.data, make_sample("panoptic")["data_samples"].gt_id_map.data)


# ---- prediction


def fused(class_probs, masks):
    """mmdet's panoptic map of handmade proposals: (Q, K + 1) probabilities, Q masks of 0 and 1."""
    head = MaskFormerFusionHead(
        num_things_classes=2,
        num_stuff_classes=2,
        test_cfg=ConfigDict(object_mask_thr=0.5, iou_thr=0.8, filter_low_score=True),
    )
    logits = torch.tensor(class_probs).clamp(min=1e-6).log()
    return head.panoptic_postprocess(logits, 20.0 * torch.tensor(masks) - 10)


# two red discs, two parts of the sky, a blue disc that is too uncertain; the last pixel is in no mask
PROBS = [[0.9, 0, 0, 0, 0.1], [0.8, 0, 0, 0, 0.2], [0, 0, 0, 0.9, 0.1], [0, 0, 0, 0.7, 0.3], [0, 0.4, 0, 0, 0.6]]
MASKS = [
    [[1.0, 1, 0, 0, 0, 0, 0]],
    [[0.0, 0, 1, 0, 0, 0, 0]],
    [[0.0, 0, 0, 1, 1, 0, 0]],
    [[0.0, 0, 0, 0, 0, 1, 0]],
    [[0.0, 0, 0, 0, 0, 0, 1]],
]


def test_the_map_of_the_fusion_head_is_read():
    rows, labels = read_panoptic_map(fused(PROBS, MASKS).sem_seg[0], num_classes=NUM_CLASSES, offset=OFFSET)
    found = [(int(labels[row]), (rows[0] == row).nonzero().flatten().tolist()) for row in range(len(labels))]
    assert sorted(found) == [(0, [0, 1]), (0, [2]), (3, [3, 4, 5])]  # stuff of a class is one segment
    assert int(rows[0, 6]) == -1


def quality(sample):
    metric = PanopticQualityMetric(chance=2)  # as in the config: with random classes, too
    metric.dataset_meta = {"classes": LABEL_SPACE.classes, "is_thing": LABEL_SPACE.is_thing}
    metric.process(None, [sample.to_dict()])
    return metric.evaluate(1)


@pytest.mark.parametrize(
    ("id_map", "labels", "expected"),
    [
        ([0, 0, 1, 2, 2, 2, -1], [0, 0, 3], 1),
        # two thirds of one disc, a false disc beside it, and three quarters of the sky
        ([0, 0, 0, 1, 1, 1, 1], [0, 3], (2 / 3 / 1.5 + 3 / 4) / 2),
    ],
)
def test_the_metric_scores_the_map_of_the_fusion_head(id_map, labels, expected):
    sample = sample_of([id_map], labels)["data_samples"]
    sample.gt_instances.is_crowd = torch.zeros(len(labels), dtype=torch.bool)
    sample.pred_panoptic_seg = fused(PROBS, MASKS)
    assert quality(sample)["PQ"] == pytest.approx(100 * expected)


def test_an_image_without_predictions_is_scored():
    nothing = fused([[0, 0, 0, 0, 1.0]], [[[1.0, 1, 1]]])
    rows, labels = read_panoptic_map(nothing.sem_seg[0], num_classes=NUM_CLASSES, offset=OFFSET)
    assert rows.tolist() == [[-1, -1, -1]]
    assert labels.shape == (0,)
    sample = sample_of([[0, 0, -1]], [1])["data_samples"]
    sample.gt_instances.is_crowd = torch.tensor([False])
    sample.pred_panoptic_seg = nothing
    assert quality(sample)["PQ"] == 0


# ---- mistakes


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"task": "semantic"}, "source 'other': expected task 'panoptic', got 'semantic'"),
        (
            {"label_space": LabelSpace(name="late", classes=("a", "b", "c"), is_thing=(True, False, True))},
            r"label space 'late': .* got is_thing=\(True, False, True\); put the things first",
        ),
    ],
)
def test_sources_that_mmdets_heads_do_not_support_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        preprocessor({**SOURCE, "name": "other", **source})


def test_sources_of_two_vocabularies_are_refused():
    more = LabelSpace(name="more", classes=("a", "b"), is_thing=(True, False))
    with pytest.raises(ValueError, match=r"source 'other': .* label space 'more' has other classes than 'tiny'"):
        preprocessor(SOURCE, {**SOURCE, "name": "other", "label_space": more})
    preprocessor(SOURCE, {**SOURCE, "name": "other"})


@pytest.mark.parametrize("key", ["pad_mask", "pad_seg"])
def test_masks_that_are_not_padded_are_refused(key):
    with pytest.raises(ValueError, match="set pad_mask=True and pad_seg=True"):
        preprocessor(**{key: False})


def test_a_void_value_that_is_a_class_is_refused():
    with pytest.raises(ValueError, match=r"seg_pad_value 3 marks void, but it is also one of the 4 classes of 'tiny'"):
        preprocessor(seg_pad_value=3)
    preprocessor(seg_pad_value=4)
