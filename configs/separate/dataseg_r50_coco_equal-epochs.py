"""dataseg_r50_coco for as many iterations as COCO has in dataseg_r50_3ds: 4 of 9, 22 epochs instead of 50.

Not a row of the paper, which does not say how long its separate models train; dataseg_r50_coco, the default, has all
368,750 iterations (docs/method.md). Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_r50_coco_equal-epochs.py --launcher pytorch --gpus 8
"""

_base_ = ["./dataseg_r50_coco.py"]

share = 4 / 9  # share of the source in the ratios of dataseg_r50_3ds
max_iters = round(share * _base_.max_iters)
param_scheduler = dict(end=max_iters, milestones=[round(share * step) for step in _base_.param_scheduler.milestones])
train_cfg = dict(max_iters=max_iters)
