r"""Mask2Former, ResNet-50, COCO panoptic: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, PQ 52.0:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic/mask2former_r50_8xb2-lsj-50e_coco-panoptic_20230118_125535-54df384a.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r50_coco-panoptic/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r50_coco-panoptic.py --checkpoint \
    work_dirs/mask2former_r50_coco-panoptic/converted.pth
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/sources/coco_semantic.py",
    "../_base_/co_training.py",
    "../_base_/runtime.py",
]

sources = [_base_.coco_panoptic, _base_.coco_semantic]

model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = val_cfg = val_dataloader = val_evaluator = None
