"""A template to copy: objects with polygons or RLE masks in COCO's format, on one GPU. Not a row of the paper.

The 4,000 iterations are for a start from a pretrained segmentation model: set load_from (docs/own_data.md). Without it,
only the backbone is pretrained, on ImageNet: add --iterations 40000 to the command. Ours: not run at this size.
Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/own_data/garden_instances.py
"""

_base_ = [
    "./_base_/garden_instances.py",
    "../_base_/models/dataseg_r50.py",
    "../_base_/schedules/adamw_4k.py",
]

sources = [_base_.garden_instances]

model = dict(backbone=dict(with_cp=True), sources=sources)
train_dataloader = dict(dataset=dict(sources=sources), batch_sampler=dict(ratios=[1]))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=sources)
test_evaluator = val_evaluator
