"""DaTaSeg, ResNet-50, trained on COCO panoptic and Objects365 boxes, 4 : 4.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 18.3, COCO PQ 48.9, ADE PQ 12.3, Objects365 mask AP
15.2. Ours: not run.
Command: mim train mmdataseg configs/two_sources/dataseg_r50_coco-o365.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.coco_panoptic, _base_.objects365_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[4, 4]))
