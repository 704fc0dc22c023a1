"""For comparison: mmdet's Mask2Former on one panoptic source, with mmdet's classifier, losses and fusion.

All but model and criterion is as in mask2former_toy_panoptic; docs/method.md lists the differences. At toy scale.
Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/others/mmdet-mask2former_toy_panoptic.py
"""

_base_ = ["./mask2former_toy_panoptic.py"]

_match_costs = [
    dict(type="ClassificationCost", weight=4.0),
    dict(type="CrossEntropyLossCost", weight=5.0),
    dict(type="DiceCost", weight=5.0, pred_act=True, eps=1.0),
]
_assigner = dict(type="HungarianAssigner", match_costs=_match_costs)

model = dict(
    _delete_=True,
    type="Mask2Former",
    data_preprocessor=dict(
        _base_.model.data_preprocessor,
        type="mmdataseg.MMDetPanopticPreprocessor",
        sources=_base_.train_sources,
        pad_mask=True,
        pad_seg=True,
    ),
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    panoptic_head=dict(
        _base_.model.panoptic_head,
        type="Mask2FormerHead",
        pixel_decoder=dict(_base_.model.panoptic_head.pixel_decoder, type="MSDeformAttnPixelDecoder"),
        num_things_classes=15,
        num_stuff_classes=5,
        num_transformer_feat_level=2,
        loss_cls=dict(type="CrossEntropyLoss", loss_weight=4.0, class_weight=[1.0] * 20 + [0.1]),
        loss_mask=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=5.0),
        loss_dice=dict(type="DiceLoss", naive_dice=True, eps=1.0, loss_weight=5.0),
    ),
    panoptic_fusion_head=dict(type="MaskFormerFusionHead", num_things_classes=15, num_stuff_classes=5),
    train_cfg=dict(num_points=512, assigner=_assigner, sampler=dict(type="MaskPseudoSampler")),
    test_cfg=dict(object_mask_thr=0.5, iou_thr=0.8, filter_low_score=True),
)
