"""dataseg_toy_3ds with what dataseg_r50_3ds_1gpu sets: 2 iterations of 4 images per step, bfloat16, checkpointing.

Shows that these work together, also on a CPU. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/hardware/dataseg_toy_3ds_1gpu.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

accumulated = 2
max_iters = _base_.max_iters * accumulated
warm_up = 100 * accumulated
model = dict(backbone=dict(with_cp=True))
optim_wrapper = dict(type="mmdataseg.Bfloat16OptimWrapper", accumulative_counts=accumulated)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=warm_up, by_epoch=False),
    dict(
        type="CosineAnnealingLR", begin=warm_up, end=max_iters, T_max=max_iters - warm_up, eta_min=1e-5, by_epoch=False
    ),
]
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
