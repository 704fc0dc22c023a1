"""Ablation of dataseg_r50_3ds: boxes are matched by class only; the projection is only a loss.

Shows the effect of the projection in the cost of matching. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_no-projection-cost.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

model = dict(criterion=dict(targets=dict(boxes=dict(cost=None))))
