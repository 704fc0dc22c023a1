r"""Mask2Former, Swin-L, Cityscapes: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, ImageNet-22k, mIoU 83.65:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-l-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024/mask2former_swin-l-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024_20221202_141901-28ad20f1.pth
Hugging Face, PQ 66.6*:
https://huggingface.co/facebook/mask2former-swin-large-cityscapes-panoptic/resolve/main/pytorch_model.bin
Hugging Face, mask AP 43.7*:
https://huggingface.co/facebook/mask2former-swin-large-cityscapes-instance/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-l_cityscapes/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-l_cityscapes.py --checkpoint \
    work_dirs/mask2former_swin-l_cityscapes/converted.pth
"""

_base_ = ["./mask2former_r50_cityscapes.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_l, _delete_=True),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536]),
)
