"""Ablation of dataseg_toy_3ds: the sources are drawn equally often.

Shows the effect of the ratios 1 : 3 : 2.
At toy scale. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_equal-ratios.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

train_dataloader = dict(batch_sampler=dict(ratios=[1, 1, 1]))
