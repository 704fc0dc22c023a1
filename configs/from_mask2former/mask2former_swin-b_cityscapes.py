r"""Mask2Former, Swin-B, Cityscapes: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, ImageNet-22k, mIoU 83.52:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024_20221203_045030-9a86a225.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-b_cityscapes/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-b_cityscapes.py --checkpoint \
    work_dirs/mask2former_swin-b_cityscapes/converted.pth
"""

_base_ = ["./mask2former_r50_cityscapes.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_b, _delete_=True),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
