"""dataseg_voc_3ds on a plain ViT: timm's DINOv3-S with a simple feature pyramid, its first half frozen.

Not a row of the paper. Ours: not run. timm fetches the weights from its hub. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/backbones/dataseg_voc_3ds_dinov3.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type="mmdataseg.TimmBackbone",
        model="vit_small_patch16_dinov3.lvd1689m",
        out_indices=(-1,),
        frozen_stages=6,
        pretrained=True,
    ),
    neck=dict(type="mmdataseg.SimpleFeaturePyramid", in_channels=384, out_channels=96),
    panoptic_head=dict(in_channels=[96, 96, 96, 96]),
)
