"""A template to copy: few label maps and many boxes of your own, one vocabulary, one GPU. Not a row of the paper.

The 4,000 iterations are for a start from a pretrained segmentation model: set load_from (docs/own_data.md). Without it,
only the backbone is pretrained, on ImageNet: add --iterations 40000 to the command. Ours: not run at this size.
Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/own_data/garden_with_boxes.py
"""

_base_ = [
    "./_base_/garden_boxes.py",  # also defines garden, whose vocabulary it uses
    "../_base_/models/dataseg_r50.py",
    "../_base_/schedules/adamw_4k.py",
]

train_sources = [_base_.garden, _base_.garden_boxes]
test_sources = [_base_.garden]

model = dict(backbone=dict(with_cp=True), sources=train_sources)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
