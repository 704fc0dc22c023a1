"""DaTaSeg, ResNet-50, trained on ADE20K semantic and COCO panoptic, 1 : 4.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 47.3, COCO PQ 49.0, ADE PQ 30.5, Objects365 mask AP
5.6. Ours: not run.
Command: mim train mmdataseg configs/two_sources/dataseg_r50_ade-coco.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.ade_semantic, _base_.coco_panoptic]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
