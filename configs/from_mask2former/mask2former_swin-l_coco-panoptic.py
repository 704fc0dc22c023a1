r"""Mask2Former, Swin-L, COCO panoptic: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, ImageNet-21k, PQ 57.6:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic/mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic_20220407_104949-82f8d28d.pth
Hugging Face, PQ 57.8*:
https://huggingface.co/facebook/mask2former-swin-large-coco-panoptic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-l_coco-panoptic/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-l_coco-panoptic.py --checkpoint \
    work_dirs/mask2former_swin-l_coco-panoptic/converted.pth
"""

_base_ = ["./mask2former_r50_coco-panoptic.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_l, _delete_=True),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536], num_queries=200),
)
