"""Ablation of dataseg_r50_3ds: training without MERGE.

Shows what MERGE in training gives. Inference still merges. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_no-merge.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(merge="none"))
