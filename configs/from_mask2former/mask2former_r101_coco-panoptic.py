r"""Mask2Former, ResNet-101, COCO panoptic: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, PQ 52.4:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_r101_8xb2-lsj-50e_coco-panoptic/mask2former_r101_8xb2-lsj-50e_coco-panoptic_20220329_225104-c74d4d71.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r101_coco-panoptic/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r101_coco-panoptic.py --checkpoint \
    work_dirs/mask2former_r101_coco-panoptic/converted.pth
"""

_base_ = ["./mask2former_r50_coco-panoptic.py"]

model = dict(backbone=dict(depth=101))
