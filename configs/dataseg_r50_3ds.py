"""DaTaSeg, ResNet-50, trained together on ADE20K semantic, COCO panoptic and Objects365 boxes, 1 : 4 : 4.

Paper (Gu et al., NeurIPS 2023, main results): ADE mIoU 48.1, COCO PQ 49.0, ADE PQ 29.8, Objects365 mask AP 14.3.
Ours: not run. The ratios are reported, not verified; what else is not known of the recipe: docs/method.md.
Hardware, memory and hours: not measured. 16 images an iteration: 8 GPUs x 2; for another number pass --auto-scale-lr.
Command: mim train mmdataseg configs/dataseg_r50_3ds.py --launcher pytorch --gpus 8
"""

_base_ = ["./_base_/ade_coco_objects365.py", "./_base_/models/dataseg_r50.py"]

model = dict(sources=[*_base_.test_sources, _base_.objects365_boxes])
