r"""Ablation of dataseg_toy_3ds: semantic maps of the best row instead of the sum over proposals. Test only.

Shows what the probability-weighted MERGE in inference gives; the weights are the same.
Command: mim test mmdataseg configs/toy/ablations/dataseg_toy_3ds_max-merge.py --checkpoint \
    work_dirs/dataseg_toy_3ds/iter_2000.pth
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(postprocessors=dict(semantic=dict(merge="max")))
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
