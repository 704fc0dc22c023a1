"""DaTaSeg, ResNet-50, trained together on ADE20K semantic, COCO panoptic and Objects365 boxes, 1 : 4 : 4.

Paper (Gu et al., NeurIPS 2023, main results): ADE mIoU 48.1, COCO PQ 49.0, ADE PQ 29.8, Objects365 mask AP 14.3.
Ours: not run. The ratios are reported, not verified; what else is not known of the recipe: docs/method.md.
Hardware, memory and hours: not measured. 16 images an iteration: 8 GPUs x 2; for another number pass --auto-scale-lr.
Command: mim train mmdataseg configs/dataseg_r50_3ds.py --launcher pytorch --gpus 8
"""

_base_ = [
    "./_base_/sources/ade_semantic.py",
    "./_base_/sources/coco_panoptic.py",
    "./_base_/sources/objects365_boxes.py",
    "./_base_/sources/ade_panoptic.py",
    "./_base_/sources/objects365_instances.py",
    "./_base_/models/dataseg_r50.py",
    "./_base_/schedules/adamw_368k.py",
]

train_sources = [_base_.ade_semantic, _base_.coco_panoptic, _base_.objects365_boxes]
test_sources = [_base_.ade_semantic, _base_.coco_panoptic, _base_.ade_panoptic, _base_.objects365_instances]

model = dict(sources=[*test_sources, _base_.objects365_boxes])
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4, 4]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
