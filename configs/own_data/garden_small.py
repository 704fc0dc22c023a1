"""A template to try your own label maps on a CPU in minutes: a small model from scratch, 300 iterations of 4 images.

Not a row of the paper. It shows that the data are read and learned, not how good a model can be: images are scaled to
128 pixels, and the text embeddings are a stand-in. For full size, use garden_with_boxes.py (docs/own_data.md).
Command: mim train mmdataseg configs/own_data/garden_small.py
"""

_base_ = [
    "./_base_/garden_small.py",  # also defines garden, from which it is derived
    "../_base_/models/dataseg_small.py",
    "../_base_/schedules/adamw_2k.py",
]

sources = [_base_.garden_small]

model = dict(sources=sources)
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(sources=sources), batch_sampler=dict(ratios=[1])
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(sources=sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=sources)
test_evaluator = val_evaluator
max_iters = 300
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=50, end=max_iters, T_max=max_iters - 50, eta_min=1e-5, by_epoch=False),
]
