r"""Mask2Former, Swin-L, ADE20K: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, ImageNet-22k, mIoU 56.01:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-l-in22k-384x384-pre_8xb2-160k_ade20k-640x640/mask2former_swin-l-in22k-384x384-pre_8xb2-160k_ade20k-640x640_20221203_235933-7120c214.pth
Hugging Face, mIoU 56.1*:
https://huggingface.co/facebook/mask2former-swin-large-ade-semantic/resolve/main/pytorch_model.bin
Hugging Face, PQ 48.1*:
https://huggingface.co/facebook/mask2former-swin-large-ade-panoptic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-l_ade/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-l_ade.py --checkpoint \
    work_dirs/mask2former_swin-l_ade/converted.pth
"""

_base_ = ["./mask2former_r50_ade.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_l, _delete_=True),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536]),
)
