r"""Mask2Former, Swin-B, ADE20K: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmseg, mIoU 52.44:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-b-in1k-384x384-pre_8xb2-160k_ade20k-640x640/mask2former_swin-b-in1k-384x384-pre_8xb2-160k_ade20k-640x640_20221129_125118-a4a086d2.pth
mmseg, ImageNet-22k, mIoU 53.9:
https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640/mask2former_swin-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640_20221203_235230-7ec0f569.pth
Hugging Face, mIoU 52.4*:
https://huggingface.co/facebook/mask2former-swin-base-ade-semantic/resolve/main/pytorch_model.bin
Hugging Face, mIoU 53.9*:
https://huggingface.co/facebook/mask2former-swin-base-IN21k-ade-semantic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-b_ade/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-b_ade.py --checkpoint \
    work_dirs/mask2former_swin-b_ade/converted.pth
"""

_base_ = ["./mask2former_r50_ade.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_b, _delete_=True),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
