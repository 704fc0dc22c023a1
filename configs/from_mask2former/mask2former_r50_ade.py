r"""Mask2Former, ResNet-50, ADE20K: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 47.87:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_r50_8xb2-160k_ade20k-512x512/mask2former_r50_8xb2-160k_ade20k-512x512_20221204_000055-2d1f55f1.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r50_ade/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r50_ade.py --checkpoint \
    work_dirs/mask2former_r50_ade/converted.pth
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/sources/ade_semantic.py",
    "../_base_/sources/ade_panoptic.py",
    "../_base_/co_training.py",
    "../_base_/runtime.py",
]

sources = [_base_.ade_semantic, _base_.ade_panoptic]

model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = val_cfg = val_dataloader = val_evaluator = None
