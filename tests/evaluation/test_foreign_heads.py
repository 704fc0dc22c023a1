"""The metrics read the output of mmdet's and mmseg's heads, with every option on."""

import pytest
import torch
from mmdet.models.seg_heads.panoptic_fusion_heads import HeuristicFusionHead, MaskFormerFusionHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData

from mmdataseg.evaluation.panoptic_quality import PanopticQualityMetric
from mmdataseg.evaluation.semantic import SemanticMetric
from mmdataseg.models import PanopticPostProcessor
from mmdataseg.ops.enlarging import ImageSizes
from mmdataseg.structures import LabelSpace

from .samples import CLASSES, IS_THING, META, id_map, score

IDS = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
LABELS = [0, 1, 2, 3]


def truth():
    return id_map(IDS, LABELS, [False] * 4, sample_idx=0)


def maskformer():
    head = MaskFormerFusionHead(
        num_things_classes=2,
        num_stuff_classes=2,
        test_cfg=dict(object_mask_thr=0.5, iou_thr=0.8, filter_low_score=True),
    )
    scores = torch.full((4, 5), -10.0)
    scores[range(4), LABELS] = 10
    masks = torch.stack([torch.where(torch.tensor(IDS) == row, 10.0, -10.0) for row in range(4)])
    sem_seg = head.panoptic_postprocess(scores, masks).sem_seg
    return sem_seg.reshape(4, 4)


def heuristic():
    cfg = ConfigDict(mask_overlap=0.5, stuff_area_limit=1)
    head = HeuristicFusionHead(num_things_classes=2, num_stuff_classes=2, test_cfg=cfg)
    ids = torch.tensor(IDS)
    things = InstanceData(
        labels=torch.tensor([0, 1]),
        scores=torch.tensor([0.9, 0.8]),
        bboxes=torch.zeros(2, 4),
        masks=torch.stack([ids == 0, ids == 1]),
    )
    logits = torch.zeros(3, 4, 4)
    for channel, row in ((0, 2), (1, 3)):
        logits[channel][ids == row] = 5
    (prediction,) = head.predict([things], logits[None])
    return prediction.sem_seg[0]


def ours():
    classes = torch.full((4, 5), -10.0)
    classes[range(4), LABELS] = 10
    masks = torch.stack([torch.where(torch.tensor(IDS) == row, 10.0, -10.0) for row in range(4)])
    space = LabelSpace(name="pets", classes=CLASSES, is_thing=IS_THING)
    sizes = ImageSizes(padded=(4, 4), image=(4, 4), original=(4, 4))
    return PanopticPostProcessor()(classes, masks, space, sizes)["pred_panoptic_seg"].sem_seg[0]


@pytest.mark.parametrize("head", [maskformer, heuristic, ours])
@pytest.mark.parametrize("dtype", [None, torch.int32, torch.int64])
def test_panoptic_quality_of_mmdets_and_our_heads(head, dtype):
    """Whatever integers they come in: MaskFormer's are int32, those of the heuristic head and ours int64."""
    prediction = head()
    sample = truth()
    sample.pred_panoptic_seg = PixelData(sem_seg=(prediction if dtype is None else prediction.to(dtype))[None])
    subsets = {"pets": CLASSES[:2]}
    got = score(PanopticQualityMetric(chance=20, classwise=True, errors=True, subsets=subsets), [sample])
    assert got["PQ"] == got["PQ_pets"] == got["found"] == 100
    assert 0 < got["PQ_chance"] < 100
    assert [got[f"PQ/{name}"] for name in CLASSES] == [100] * 4


@pytest.mark.parametrize("key", ["sem_seg", "data"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_mean_iou_of_mmsegs_and_our_heads(key, dtype):
    """mmseg's heads write ``data``, mmdet's and ours ``sem_seg``."""
    sample = truth()
    sample.pred_sem_seg = PixelData(**{key: torch.tensor(IDS, dtype=dtype)[None]})
    got = score(SemanticMetric(chance=20, classwise=True, subsets={"pets": CLASSES[:2]}), [sample], META)
    assert got["mIoU"] == got["mIoU_pets"] == got["aAcc"] == 100
    assert got["mIoU_chance"] < 100
