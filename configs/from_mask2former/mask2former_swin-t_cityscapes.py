r"""Mask2Former, Swin-T, Cityscapes: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 81.71:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-t_8xb2-90k_cityscapes-512x1024/mask2former_swin-t_8xb2-90k_cityscapes-512x1024_20221127_144501-36c59341.pth
Hugging Face, mIoU 82.1*:
https://huggingface.co/facebook/mask2former-swin-tiny-cityscapes-semantic/resolve/main/pytorch_model.bin
Hugging Face, PQ 63.9*:
https://huggingface.co/facebook/mask2former-swin-tiny-cityscapes-panoptic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-t_cityscapes/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-t_cityscapes.py --checkpoint \
    work_dirs/mask2former_swin-t_cityscapes/converted.pth
"""

_base_ = ["./mask2former_r50_cityscapes.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_t, _delete_=True),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
