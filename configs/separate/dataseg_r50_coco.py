"""DaTaSeg, ResNet-50, trained on COCO panoptic alone.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 15.3, COCO PQ 48.2, ADE PQ 11.6, Objects365 mask AP
5.8. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_r50_coco.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.coco_panoptic]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
