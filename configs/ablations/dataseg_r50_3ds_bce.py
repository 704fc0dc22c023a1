"""Ablation of dataseg_r50_3ds: binary cross-entropy in place of the focal loss, as in Mask2Former.

Shows the effect of the paper's focal loss. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_bce.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
