"""x"""
_base_ = ["../_base_/models/mask2former_r50.py", "../_base_/sources/coco_panoptic.py", "../_base_/co_training.py", "../_base_/runtime.py"]
sources = [_base_.coco_panoptic]
model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
train_cfg = train_dataloader = val_cfg = val_dataloader = val_evaluator = None
