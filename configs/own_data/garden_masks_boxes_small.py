"""A template to try few objects with polygons and many with only boxes on a CPU: a small model, 600 iterations.

Not a row of the paper. It shows that both kinds of annotation are read and learned, not how good a model can be: images
are scaled to 128 pixels, and the text embeddings are a stand-in. For full size: docs/own_data.md.
Command: mim train mmdataseg configs/own_data/garden_masks_boxes_small.py
"""

_base_ = ["./garden_small.py", "./_base_/garden_boxes_small.py"]

train_sources = [_base_.garden_instances_small, _base_.garden_boxes_small]
test_sources = [_base_.garden_instances_small]
max_iters = 600

model = dict(sources=train_sources)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=50, end=max_iters, T_max=max_iters - 50, eta_min=1e-5, by_epoch=False),
]
