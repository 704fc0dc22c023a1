"""Ablation of dataseg_toy_3ds: binary cross-entropy, Mask2Former's, in place of focal loss.

Shows what the paper's focal loss gives.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_bce.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
