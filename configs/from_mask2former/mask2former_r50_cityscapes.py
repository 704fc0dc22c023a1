r"""Mask2Former, ResNet-50, Cityscapes: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 80.44:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024/mask2former_r50_8xb2-90k_cityscapes-512x1024_20221202_140802-ffd9d750.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r50_cityscapes/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r50_cityscapes.py --checkpoint \
    work_dirs/mask2former_r50_cityscapes/converted.pth
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/sources/cityscapes_semantic.py",
    "../_base_/co_training.py",
    "../_base_/runtime.py",
]

sources = [_base_.cityscapes_semantic, _base_.cityscapes_panoptic]

model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = val_cfg = val_dataloader = val_evaluator = None
