"""Ablation of dataseg_toy_3ds: nothing is merged in training.

Shows what MERGE in training gives; in inference it stays.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_no-merge.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(criterion=dict(merge="none"))
