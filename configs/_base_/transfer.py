"""Direct transfer without its model: four vocabularies that no training here has, and ADE20K panoptic. Test only."""

_base_ = [
    "./sources/pascal_context459.py",  # has pascal_context59, too: it is made of it
    "./sources/coco_semantic.py",  # has coco_panoptic, too
    "./sources/cityscapes_panoptic.py",
    "./sources/ade_panoptic.py",
    "./schedules/adamw_368k.py",
]

sources = [
    *[_base_.pascal_context59, _base_.pascal_context459, _base_.coco_semantic],
    *[_base_.cityscapes_panoptic, _base_.ade_panoptic],
]
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
