r"""Mask2Former, Swin-S, COCO instances: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, mask AP 46.1:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth
Hugging Face, mask AP 46.3*:
https://huggingface.co/facebook/mask2former-swin-small-coco-instance/resolve/main/pytorch_model.bin
* Of Mask2Former's own model zoo, from which Hugging Face's files were converted.
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_swin-s_coco-instance/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_swin-s_coco-instance.py --checkpoint \
    work_dirs/mask2former_swin-s_coco-instance/converted.pth
"""

_base_ = ["./mask2former_r50_coco-instance.py", "../_base_/backbones/swin.py"]

model = dict(
    backbone=dict(_base_.swin_s, _delete_=True),
    panoptic_head=dict(in_channels=[96, 192, 384, 768]),
)
