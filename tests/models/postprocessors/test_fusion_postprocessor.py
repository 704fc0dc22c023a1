"""mmdet's panoptic rule over our label spaces; apis/test_convert.py shows that converted models give mmdet's pixels."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict

from mmdataseg.models import FusionPanopticPostProcessor
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.structures import LabelSpace

SIZES = ImageSizes(padded=(8, 12), image=(8, 12), original=(16, 24))
SPACE = LabelSpace(name="three", classes=("sky", "cat", "dog"), is_thing=(False, True, True))


def answer(labels: list[int], masks: torch.Tensor, space: LabelSpace = SPACE) -> torch.Tensor:
    classes = 9 * torch.eye(len(space) + 1)[labels]
    processor = FusionPanopticPostProcessor(score_threshold=0.5, kept_share=0.5)
    return processor(classes, masks, space, SIZES)["pred_panoptic_seg"].sem_seg


@pytest.fixture
def masks() -> torch.Tensor:
    """Left and right above, left and right below; the last column is in no mask."""
    found = torch.full((4, 8, 12), -9.0)
    found[0, :4, :6] = found[1, :4, 6:] = found[2, 4:, :6] = found[3, 4:, 6:11] = 9.0
    return found


def test_classes_numbers_and_void_by_hand_with_stuff_before_things(masks):
    ids = answer([2, 2, 0, 0], masks)
    assert ids.shape == (1, 16, 24)
    left, right, below, beside, void = (int(ids[0, y, x]) for y, x in ((0, 0), (0, -1), (-1, 0), (-1, 16), (-1, -1)))
    assert (left % 1000, right % 1000, below % 1000, void) == (2, 2, 0, 0)
    assert left != right, "two dogs"
    assert below == beside, "one sky"
    assert min(left, right, below) >= 1000


def test_scores_are_in_the_order_of_the_ids_and_of_the_surest_member(masks):
    classes = torch.tensor([5.0, 7.0, 6.0, 8.0])[:, None] * torch.eye(4)[[2, 2, 0, 0]]
    processor = FusionPanopticPostProcessor(score_threshold=0.5, kept_share=0.5)
    found = processor(classes, masks, SPACE, SIZES)["pred_panoptic_seg"]
    ids = [int(found.sem_seg[0, y, x]) for y, x in ((0, 0), (0, -1), (-1, 0))]
    probability = {name: classes[q].softmax(-1).max().item() for name, q in (("left", 0), ("right", 1), ("sky", 3))}
    expected = dict(zip(ids, probability.values(), strict=True))
    assert found.scores == pytest.approx([expected[i] for i in sorted(expected)])


def test_the_order_of_the_classes_does_not_matter(masks):
    turned = LabelSpace(name="turned", classes=("cat", "dog", "sky"), is_thing=(True, True, False))
    ids, other = answer([2, 1, 0, 0], masks), answer([1, 0, 2, 2], masks, turned)
    names = [*SPACE.classes]
    classes = torch.tensor([names.index(name) for name in turned.classes])[other % 1000]
    assert torch.equal(torch.where(other == 0, -1, classes), torch.where(ids == 0, -1, ids % 1000))


def test_without_remaining_proposals_all_pixels_are_void(masks):
    assert not answer([3, 3, 3, 3], masks).any()
    processor = FusionPanopticPostProcessor(score_threshold=0.5, kept_share=0.5)
    assert processor(9 * torch.eye(4)[[3] * 4], masks, SPACE, SIZES)["pred_panoptic_seg"].scores == []


def test_mmdet_gets_only_the_proposals_that_it_keeps_and_says_the_same(monkeypatch):
    space = LabelSpace(name="things first", classes=("cat", "dog", "sky"), is_thing=(True, True, False))
    generator = torch.Generator().manual_seed(0)
    classes, masks = 3 * torch.randn(30, 4, generator=generator), torch.randn(30, 8, 12, generator=generator)
    test_cfg = ConfigDict(object_mask_thr=0.7, iou_thr=0.2, filter_low_score=True)
    fusion = MaskFormerFusionHead(num_things_classes=2, num_stuff_classes=1, test_cfg=test_cfg)
    sizes = ImageSizes(padded=(32, 48), image=(30, 44), original=(61, 90))
    sample = DetDataSample(metainfo={"img_shape": sizes.image, "ori_shape": sizes.original})
    enlarged = F.interpolate(masks[None], sizes.padded, mode="bilinear", align_corners=False)
    theirs = fusion.predict(classes[None], enlarged, [sample], rescale=True)[0]["pan_results"].sem_seg[0]
    seen, predict = [], MaskFormerFusionHead.predict
    monkeypatch.setattr(
        MaskFormerFusionHead,
        "predict",
        lambda self, logits, *rest, **options: seen.append(logits.shape[1]) or predict(self, logits, *rest, **options),
    )
    processor = FusionPanopticPostProcessor(score_threshold=0.7, kept_share=0.2)
    ours = processor(classes, masks, space, sizes)["pred_panoptic_seg"].sem_seg[0]
    probability, label = classes.softmax(-1).max(-1)
    assert seen == [int(((label != 3) & (probability > 0.7)).sum())]
    pairs = {(a, b) for a, b in zip(ours.flatten().tolist(), theirs.flatten().tolist(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) > 4
    assert all(b == 3 if a == 0 else a % 1000 == b % 1000 for a, b in pairs)
