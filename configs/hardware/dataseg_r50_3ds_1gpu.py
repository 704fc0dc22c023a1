"""dataseg_r50_3ds on one GPU: 8 iterations of 2 images per step, in bfloat16, with gradient checkpointing.

8 times as many iterations as on 8 GPUs, with the same number of images and steps and the same learning rate. Deviation:
the 8 batches of a step may be of several sources, each drawn by ratio. For another number of images per step, without
accumulation, pass --auto-scale-lr.
Ours: not run; hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/hardware/dataseg_r50_3ds_1gpu.py
"""

_base_ = ["./dataseg_r50_3ds_bf16.py"]

accumulated = 8
max_iters = 368750 * accumulated
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(accumulative_counts=accumulated)
param_scheduler = dict(end=max_iters, milestones=[327778 * accumulated, 355092 * accumulated])
train_cfg = dict(max_iters=max_iters, val_interval=5000 * accumulated)
default_hooks = dict(checkpoint=dict(interval=5000 * accumulated))
auto_scale_lr = dict(base_batch_size=2)  # images per iteration that the learning rate is for, before accumulation
