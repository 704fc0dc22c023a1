r"""Mask2Former, Swin-B, COCO instances: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
Hugging Face, mask AP 46.7* or, from ImageNet-21k, 48.1*:
https://huggingface.co/facebook/mask2former-swin-base-coco-instance/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-b_coco-instance/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-b_coco-instance.py --checkpoint \
    work_dirs/mask2former_swin-b_coco-instance/converted.pth
"""

_base_ = ["./mask2former_r50_coco-instance.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_b, _delete_=True),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
