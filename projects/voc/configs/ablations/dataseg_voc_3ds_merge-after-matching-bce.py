"""Ablation of dataseg_voc_3ds: MERGE comes after the matching, and binary cross-entropy replaces the focal loss.

Shows whether the gains of MERGE before the matching and of the focal loss add up.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_merge-after-matching-bce.py
"""

_base_ = ["dataseg_voc_3ds_merge-after-matching.py"]

model = dict(criterion=dict(targets=dict(masks=dict(focal_weight=0.0, bce_weight=5.0))))
