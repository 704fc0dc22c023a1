r"""Mask2Former, ResNet-101, COCO instances: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, mask AP 44.0:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_r101_8xb2-lsj-50e_coco/mask2former_r101_8xb2-lsj-50e_coco_20220426_100250-ecf181e2.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r101_coco-instance/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r101_coco-instance.py --checkpoint \
    work_dirs/mask2former_r101_coco-instance/converted.pth
"""

_base_ = ["./mask2former_r50_coco-instance.py"]

model = dict(backbone=dict(depth=101))
