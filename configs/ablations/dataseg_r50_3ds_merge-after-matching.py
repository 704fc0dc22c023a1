"""Ablation of dataseg_r50_3ds: MERGE comes after the matching, not before it.

Single proposals are matched, and an unmatched one joins the target of its class. Shows the effect of MERGE before
the matching. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_merge-after-matching.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(merge="after_matching"))
