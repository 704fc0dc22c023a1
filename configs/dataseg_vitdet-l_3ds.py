"""DaTaSeg, ViTDet-L from MAE weights, trained on ADE20K semantic, COCO panoptic and Objects365 boxes, 1 : 4 : 4.

Paper (Gu et al., NeurIPS 2023, main results): ADE mIoU 54.0, COCO PQ 53.5, ADE PQ 33.4, Objects365 mask AP 16.4.
Ours: not run.
Weights: mae_pretrain_vit_large.pth of the MAE authors (He et al., 2022), put into checkpoints/.
Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/dataseg_vitdet-l_3ds.py --launcher pytorch --gpus 8
"""

_base_ = ["./dataseg_vitdet-b_3ds.py"]

model = dict(
    backbone=dict(
        arch="large",
        drop_path_rate=0.4,
        with_cp=True,
        init_cfg=dict(checkpoint="checkpoints/mae_pretrain_vit_large.pth"),
    )
)
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=0.8))
