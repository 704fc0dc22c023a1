r"""Mask2Former, ResNet-101, Cityscapes: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 80.8:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_r101_8xb2-90k_cityscapes-512x1024/mask2former_r101_8xb2-90k_cityscapes-512x1024_20221130_031628-43e68666.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r101_cityscapes/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r101_cityscapes.py --checkpoint \
    work_dirs/mask2former_r101_cityscapes/converted.pth
"""

_base_ = ["./mask2former_r50_cityscapes.py"]

model = dict(backbone=dict(depth=101))
