"""Direct transfer without its model: four vocabularies that no training here has, and ADE20K panoptic. Test only."""

_base_ = [
    "./sources/pascal_context459.py",  # also defines pascal_context59, from which it is derived
    "./sources/coco_semantic.py",  # also defines coco_panoptic
    "./sources/cityscapes_panoptic.py",
    "./sources/ade_panoptic.py",
    "./schedules/adamw_368k.py",
]

sources = [
    _base_.pascal_context59,
    _base_.pascal_context459,
    _base_.coco_semantic,
    _base_.cityscapes_panoptic,
    _base_.ade_panoptic,
]
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = optim_wrapper = param_scheduler = val_cfg = val_dataloader = val_evaluator = None
