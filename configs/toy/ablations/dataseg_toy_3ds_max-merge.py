r"""Ablation of dataseg_toy_3ds: semantic maps by the maximum over proposals instead of their sum. Test only.

Shows what the probability-weighted MERGE in inference gives; the weights are the same.
Command: mim test mmdataseg configs/toy/ablations/dataseg_toy_3ds_max-merge.py --checkpoint \
    work_dirs/dataseg_toy_3ds/iter_2400.pth
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(postprocessors=dict(semantic=dict(merge="max")))
# test only
train_cfg = None
train_dataloader = None
optim_wrapper = None
param_scheduler = None
val_cfg = None
val_dataloader = None
val_evaluator = None
