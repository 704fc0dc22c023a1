"""DaTaSeg, ViTDet-B from MAE weights, trained on ADE20K semantic, COCO panoptic and Objects365 boxes, 1 : 4 : 4.

Paper (Gu et al., NeurIPS 2023, main results): ADE mIoU 51.4, COCO PQ 52.8, ADE PQ 32.9, Objects365 mask AP 16.1.
Ours: not run.
Weights: mae_pretrain_vit_base.pth of the MAE authors (He et al., 2022), put into checkpoints/.
Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/dataseg_vitdet-b_3ds.py --launcher pytorch --gpus 8
"""

_base_ = ["./_base_/ade_coco_objects365.py", "./_base_/models/dataseg_vitdet-b.py"]

model = dict(
    backbone=dict(
        drop_path_rate=0.1,
        with_cp=False,
        init_cfg=dict(type="Pretrained", checkpoint="checkpoints/mae_pretrain_vit_base.pth"),
    ),
    sources=[*_base_.test_sources, _base_.objects365_boxes],
)
optim_wrapper = dict(
    constructor="mmdataseg.LayerDecayOptimWrapperConstructor", paramwise_cfg=dict(_delete_=True, decay_rate=0.7)
)
