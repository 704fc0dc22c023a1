"""Ablation of dataseg_toy_3ds: training without MERGE.

Shows the effect of MERGE in training. Inference still merges.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_no-merge.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(merge="none"))
