"""Co-training from a converted Mask2Former, not from ImageNet: ADE20K, COCO panoptic, Objects365 boxes, 1 : 4 : 4.

A tenth of the schedule of dataseg_r50_3ds and half its learning rate (ours, not tuned). Rows of the classifier go by
their text: what was learned of COCO's words stays, other words start from what their text gives.
First: python -m mmdataseg convert of a published R50, see configs/from_mask2former/mask2former_r50_coco-panoptic.py
Ours: not run. Hardware, memory and hours: not measured. 16 images an iteration: 8 GPUs x 2.
Command: mim train mmdataseg configs/finetune/mask2former_r50_3ds.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

load_from = "work_dirs/mask2former_r50_coco-panoptic/converted.pth"
max_iters = 36875
model = dict(backbone=dict(init_cfg=None), panoptic_head=dict(class_embed_layers=1), classifier=dict(normalize=False))
optim_wrapper = dict(optimizer=dict(lr=0.00005))
param_scheduler = dict(end=max_iters, milestones=[32778, 35509])
train_cfg = dict(max_iters=max_iters)
