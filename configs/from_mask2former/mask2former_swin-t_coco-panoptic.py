r"""Mask2Former, Swin-T, COCO panoptic: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, PQ 53.4:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic_20220326_224553-3ec9e0ae.pth
Hugging Face, PQ 53.2*:
https://huggingface.co/facebook/mask2former-swin-tiny-coco-panoptic/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-t_coco-panoptic/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-t_coco-panoptic.py --checkpoint \
    work_dirs/mask2former_swin-t_coco-panoptic/converted.pth
"""

_base_ = ["./mask2former_r50_coco-panoptic.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_t, _delete_=True),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
