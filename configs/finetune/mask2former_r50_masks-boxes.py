"""A small set of masks and a large set of boxes on one GPU, from a converted Mask2Former: 4,000 iterations of 4 images.

Put your own sources in the place of the two: the masks as coco_panoptic, here 1,000 of its images, the boxes as
objects365_boxes; of equal shares, 1 : 1. Their words need not be those of the checkpoint.
First: python -m mmdataseg convert of a published R50, see configs/from_mask2former/mask2former_r50_coco-panoptic.py
Ours: not run at this size (projects/toy/configs/from_mask2former ran). Hardware, memory and hours: not measured.
Command: mim train mmdataseg configs/finetune/mask2former_r50_masks-boxes.py
"""

_base_ = ["./mask2former_r50_3ds.py"]

my_masks = dict(_base_.coco_panoptic, name="my_masks", train=dict(_base_.coco_panoptic.train, indices=1000))
train_sources = [my_masks, _base_.objects365_boxes]
test_sources = [my_masks, _base_.objects365_instances]
max_iters = 4000

model = dict(backbone=dict(with_cp=True), sources=[*test_sources, _base_.objects365_boxes])
train_dataloader = dict(batch_size=4, dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 1]))
val_dataloader = dict(dataset=dict(sources=test_sources))
test_dataloader = val_dataloader
val_evaluator = dict(metrics=test_sources)
test_evaluator = val_evaluator
optim_wrapper = dict(type="mmdataseg.Bfloat16OptimWrapper")
param_scheduler = dict(end=max_iters, milestones=[3500, 3850])
train_cfg = dict(max_iters=max_iters, val_interval=2000)
auto_scale_lr = dict(base_batch_size=4)
