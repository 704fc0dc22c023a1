"""Photographs on two CPU cores: VOC's label maps, panoptic segments and boxes together, 1 : 2 : 1.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/dataseg_voc_3ds.py
"""

_base_ = [
    "./_base_/sources/voc_semantic.py",
    "./_base_/sources/voc_panoptic.py",
    "./_base_/sources/voc_boxes.py",
    "./_base_/models/dataseg_mobilenetv2.py",
    "./_base_/schedules/adamw_900.py",
]

train_sources = [_base_.voc_semantic, _base_.voc_panoptic, _base_.voc_boxes]
test_sources = train_sources

model = dict(sources=test_sources)
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 2, 1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
