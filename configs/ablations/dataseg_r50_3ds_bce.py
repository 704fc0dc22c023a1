"""Ablation of dataseg_r50_3ds: binary cross-entropy, Mask2Former's, in place of focal loss.

Shows what the paper's focal loss gives. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_bce.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
