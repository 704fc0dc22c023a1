"""Ablation of dataseg_toy_3ds: boxes are matched by class only; the projection is only a loss.

Shows the effect of the projection in the cost of matching.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_no-projection-cost.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(targets=dict(boxes=dict(cost=None))))
