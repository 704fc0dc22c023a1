r"""Mask2Former, ResNet-50, COCO instances: what published checkpoints of it convert to. Test only.

Published by others, with the scores they give; ours: not run. The addresses were not tried.
mmdet, mask AP 42.9:
https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_r50_8xb2-lsj-50e_coco/mask2former_r50_8xb2-lsj-50e_coco_20220506_191028-41b088b6.pth
Convert: python -m mmdataseg convert ADDRESS --to work_dirs/mask2former_r50_coco-instance/converted.pth
Command: mim test mmdataseg configs/from_mask2former/mask2former_r50_coco-instance.py --checkpoint \
    work_dirs/mask2former_r50_coco-instance/converted.pth
"""

_base_ = [
    "../_base_/models/mask2former_r50.py",
    "../_base_/sources/coco_instances.py",
    "../_base_/co_training.py",
    "../_base_/runtime.py",
]

sources = [_base_.coco_instances]

model = dict(sources=sources)
test_dataloader = dict(dataset=dict(sources=sources))
test_evaluator = dict(metrics=sources)
# test only
train_cfg = train_dataloader = val_cfg = val_dataloader = val_evaluator = None
