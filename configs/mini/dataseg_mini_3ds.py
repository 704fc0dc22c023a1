"""Three real sources together, eight images each, overfitted on a CPU: real files and CLIP embeddings, the whole path.

Not a row of the paper; it shows that learning works, not that it generalises. Data and embeddings: see the three
sources.
Command: mim train mmdataseg configs/mini/dataseg_mini_3ds.py
"""

_base_ = [
    "../_base_/sources/mini_semantic.py",
    "../_base_/sources/mini_panoptic.py",
    "../_base_/sources/mini_boxes.py",
    "../_base_/models/dataseg_mini.py",
    "../_base_/schedules/adamw_2k.py",
]

sources = [_base_.mini_semantic, _base_.mini_panoptic, _base_.mini_boxes]

model = dict(sources=sources)
train_dataloader = dict(batch_size=4, dataset=dict(sources=sources), batch_sampler=dict(ratios=[1, 1, 1]))
val_dataloader = dict(batch_size=4, dataset=dict(sources=sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=sources)
test_evaluator = val_evaluator
max_iters = 1500
train_cfg = dict(max_iters=max_iters, val_begin=0, val_interval=300)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=100, end=max_iters, T_max=max_iters - 100, eta_min=1e-5, by_epoch=False),
]
