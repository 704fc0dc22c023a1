"""Ablation of dataseg_toy_3ds: binary cross-entropy in place of the focal loss, as in Mask2Former.

Shows the effect of the paper's focal loss.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_bce.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
