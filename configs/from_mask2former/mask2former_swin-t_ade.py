r"""Mask2Former, Swin-T, ADE20K: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 48.66:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-t_8xb2-160k_ade20k-512x512/mask2former_swin-t_8xb2-160k_ade20k-512x512_20221203_234230-7d64e5dd.pth
Hugging Face, mIoU 47.7*:
https://huggingface.co/facebook/mask2former-swin-tiny-ade-semantic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-t_ade/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-t_ade.py --checkpoint \
    work_dirs/mask2former_swin-t_ade/converted.pth
"""

_base_ = ["./mask2former_r50_ade.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_t, _delete_=True),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
