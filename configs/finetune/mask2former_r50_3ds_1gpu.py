"""mask2former_r50_3ds on one GPU: 8 iterations of 2 images a step, in bfloat16, with gradient checkpointing.

As many images and steps, and the same learning rate, as on 8 GPUs; the batches of a step may be of several sources.
Ours: not run. Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/finetune/mask2former_r50_3ds_1gpu.py
"""

_base_ = ["./mask2former_r50_3ds.py"]

accumulated = 8
max_iters = 36875 * accumulated
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(type="mmdataseg.Bfloat16OptimWrapper", accumulative_counts=accumulated)
param_scheduler = dict(end=max_iters, milestones=[32778 * accumulated, 35509 * accumulated])
train_cfg = dict(max_iters=max_iters, val_interval=5000 * accumulated)
default_hooks = dict(checkpoint=dict(interval=5000 * accumulated))
auto_scale_lr = dict(base_batch_size=2)
