"""A short training from a pretrained model on one GPU: 4,000 iterations of 4 images, half Mask2Former's learning rate.

Ours, not tuned. The steps down are where Mask2Former has them, at 8/9 and 26/27 of the way.
"""

_base_ = ["./adamw_368k.py"]

max_iters = 4000
optim_wrapper = dict(optimizer=dict(lr=0.00005))
param_scheduler = dict(end=max_iters, milestones=[3556, 3852])
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=max_iters, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=1000))
auto_scale_lr = dict(base_batch_size=4)
