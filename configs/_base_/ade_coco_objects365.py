"""The main experiment without its model: ADE20K semantic, COCO panoptic and Objects365 boxes, 1 : 4 : 4.

A leaf adds a model and tells it the sources, as dataseg_r50_3ds does.
"""

_base_ = [
    "./sources/ade_semantic.py",
    "./sources/coco_panoptic.py",
    "./sources/objects365_boxes.py",
    "./sources/ade_panoptic.py",
    "./sources/objects365_instances.py",
    "./schedules/adamw_368k.py",
]

train_sources = [_base_.ade_semantic, _base_.coco_panoptic, _base_.objects365_boxes]
test_sources = [_base_.ade_semantic, _base_.coco_panoptic, _base_.ade_panoptic, _base_.objects365_instances]

train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
