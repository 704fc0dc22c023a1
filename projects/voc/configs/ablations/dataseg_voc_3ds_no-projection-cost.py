"""Ablation of dataseg_voc_3ds: boxes are matched by class only; the projection is only a loss.

Shows the effect of the projection in the cost of matching.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_no-projection-cost.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

model = dict(criterion=dict(targets=dict(boxes=dict(cost=None))))
