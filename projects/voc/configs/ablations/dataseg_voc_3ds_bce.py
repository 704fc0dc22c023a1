"""Ablation of dataseg_voc_3ds: binary cross-entropy in place of the focal loss, as in Mask2Former.

Shows the effect of the paper's focal loss.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_bce.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
