"""Ablation of dataseg_r50_3ds: the sources are drawn equally often.

Shows the effect of the ratios 1 : 4 : 4. Ours: not run.
Command: mim train mmdataseg configs/ablations/dataseg_r50_3ds_equal-ratios.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_dataloader = dict(batch_sampler=dict(ratios=[1, 1, 1]))
