"""Ablation of dataseg_r50_3ds: training without MERGE.

Shows the effect of MERGE in training. Inference still merges. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_no-merge.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(merge="none"))
