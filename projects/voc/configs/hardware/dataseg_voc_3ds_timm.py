"""dataseg_voc_3ds from the weights that timm publishes, with their padding and normalisation.

Not a row of the paper. Ours: not run. timm fetches the weights from its hub. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/hardware/dataseg_voc_3ds_timm.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(options=dict(pad_type=""), init_cfg=None, pretrained=True),
)
