"""Ablation of dataseg_voc_3ds: the sources are drawn equally often.

Shows the effect of the ratios 1 : 2 : 1.
Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/ablations/dataseg_voc_3ds_equal-ratios.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

train_dataloader = dict(batch_sampler=dict(ratios=[1, 1, 1]))
