r"""Ablation of dataseg_toy_3ds: semantic maps by the sum over proposals instead of the best row. Test only.

Shows the effect of MaskFormer's probability-weighted sum; the weights are the same.
Command: mim test mmdataseg projects/toy/configs/ablations/dataseg_toy_3ds_probability-merge.py --checkpoint \
    work_dirs/dataseg_toy_3ds/iter_2000.pth
"""

_base_ = ["../dataseg_toy_3ds.py"]

model = dict(postprocessors=dict(semantic=dict(merge="probability")))
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
