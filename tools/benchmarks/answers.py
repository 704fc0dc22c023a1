"""`postprocess`: from proposals to the answer at the size of the image on disk."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmengine.config import ConfigDict
from torch import Tensor

from mmdataseg.models import InstancePostProcessor, PanopticPostProcessor, SemanticPostProcessor
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.structures import LabelSpace
from mmdataseg.text.vocabularies import get_label_space
from tools.benchmarks.comparing import Comparison, Setting

STRIDE = 4
SURE = 0.35  # share of the proposals that are sure of a class


def proposals(setting: Setting, space: LabelSpace) -> tuple[Tensor, Tensor, ImageSizes]:
    """Class logits of which some are sure, and mask logits of discs, some of them overlapping."""
    generator = torch.Generator().manual_seed(0)
    height, width = (-(-side // 32) * 32 for side in setting.answer)
    class_logits = torch.randn(setting.queries, len(space) + 1, generator=generator)
    sure = max(1, int(SURE * setting.queries))
    class_logits[sure:, -1] += 10
    class_logits[torch.arange(sure), torch.randint(len(space), (sure,), generator=generator)] += 12
    y, x = torch.meshgrid(torch.arange(height // STRIDE), torch.arange(width // STRIDE), indexing="ij")
    shape = (setting.queries, 1, 1)
    top, left = (torch.rand(shape, generator=generator) * side for side in y.shape)
    radius = (0.05 + 0.2 * torch.rand(shape, generator=generator)) * y.shape[0]
    mask_logits = 0.5 * (radius - ((y - top).square() + (x - left).square()).sqrt())
    mask_logits += 0.1 * torch.randn(mask_logits.shape, generator=generator)
    sizes = ImageSizes(padded=(height, width), image=setting.answer, original=setting.answer)
    return class_logits.to(setting.device), mask_logits.clamp(min=-12).to(setting.device), sizes


def postprocessings(setting: Setting) -> list[Comparison]:
    """Rows of `postprocess`."""
    sizes = f"{setting.queries} proposals, {setting.answer[0]} x {setting.answer[1]}"
    fusion = "mmdet MaskFormerFusionHead"
    return [
        Comparison("panoptic answer", fusion, lambda: _panoptic(setting), f"{sizes}, 133 classes"),
        Comparison("semantic answer, probability", "einsum", lambda: _semantic(setting), f"{sizes}, 150 classes"),
        Comparison("semantic answer, max", "einsum", lambda: _semantic(setting, "max"), f"{sizes}, 150 classes"),
        Comparison("instances", fusion, lambda: _instances(setting), f"{sizes}, 80 classes"),
    ]


def _enlarged(mask_logits: Tensor, sizes: ImageSizes) -> Tensor:
    """As mmdet's head and fusion head do it."""
    logits = F.interpolate(mask_logits[None], size=sizes.padded, mode="bilinear", align_corners=False)[0]
    logits = logits[:, : sizes.image[0], : sizes.image[1]]
    return F.interpolate(logits[:, None], size=sizes.original, mode="bilinear", align_corners=False)[:, 0]


def _fusion_head(space: LabelSpace) -> MaskFormerFusionHead:
    things = len(space.thing_classes)
    test_cfg = ConfigDict(object_mask_thr=0.8, iou_thr=0.8, filter_low_score=True, max_per_image=100)
    return MaskFormerFusionHead(num_things_classes=things, num_stuff_classes=len(space) - things, test_cfg=test_cfg)


def _panoptic(setting: Setting) -> dict[str, Callable[[], Any]]:
    space = get_label_space("coco133")
    classes, masks, sizes = proposals(setting, space)
    ours, theirs = PanopticPostProcessor(), _fusion_head(space)
    return {
        "ours": lambda: ours(classes, masks, space, sizes),
        "theirs": lambda: theirs.panoptic_postprocess(classes, _enlarged(masks, sizes)),
    }


def _instances(setting: Setting) -> dict[str, Callable[[], Any]]:
    space = get_label_space("coco80")
    classes, masks, sizes = proposals(setting, space)
    ours, theirs = InstancePostProcessor(), _fusion_head(space)
    return {
        "ours": lambda: ours(classes, masks, space, sizes),
        "theirs": lambda: theirs.instance_postprocess(classes, _enlarged(masks, sizes)),
    }


def _semantic(setting: Setting, merge: str = "probability") -> dict[str, Callable[[], Any]]:
    """Against MaskFormer's: all proposals at full size, one einsum."""
    space = get_label_space("ade150")
    classes, masks, sizes = proposals(setting, space)
    ours = SemanticPostProcessor(merge=merge)

    def theirs() -> Tensor:
        probs = classes.softmax(-1)[:, :-1]
        return torch.einsum("qk,qhw->khw", probs, _enlarged(masks, sizes).sigmoid()).argmax(0)

    return {"ours": lambda: ours(classes, masks, space, sizes), "theirs": theirs}
