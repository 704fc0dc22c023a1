r"""Mask2Former, Swin-B, COCO panoptic: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, ImageNet-21k, PQ 56.3:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-b-p4-w12-384-in21k_8xb2-lsj-50e_coco-panoptic/mask2former_swin-b-p4-w12-384-in21k_8xb2-lsj-50e_coco-panoptic_20220329_230021-05ec7315.pth
mmdet, PQ 55.1:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco-panoptic/mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco-panoptic_20220331_002244-8a651d82.pth
Hugging Face, PQ 55.1* or, from ImageNet-21k, 56.4*:
https://huggingface.co/facebook/mask2former-swin-base-coco-panoptic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-b_coco-panoptic/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-b_coco-panoptic.py --checkpoint \
    work_dirs/mask2former_swin-b_coco-panoptic/converted.pth
"""

_base_ = ["./mask2former_r50_coco-panoptic.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_b, _delete_=True),
    panoptic_head=dict(in_channels=[128, 256, 512, 1024]),
)
