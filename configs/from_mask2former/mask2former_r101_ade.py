r"""Mask2Former, ResNet-101, ADE20K: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 48.6:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_r101_8xb2-160k_ade20k-512x512/mask2former_r101_8xb2-160k_ade20k-512x512_20221203_233905-b7135890.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r101_ade/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r101_ade.py --checkpoint \
    work_dirs/mask2former_r101_ade/converted.pth
"""

_base_ = ["./mask2former_r50_ade.py"]

model = dict(backbone=dict(depth=101))
