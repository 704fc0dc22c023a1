"""Ablation of dataseg_r50_3ds: raw proposals are matched, and those that are left join a target.

Shows what MERGE before the matching gives. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_merge-after-matching.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(merge="after_matching"))
