"""DaTaSeg, ResNet-50, trained on ADE20K semantic and Objects365 boxes, 1 : 4.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 46.3, COCO PQ 14.0, ADE PQ 26.4, Objects365 mask AP
15.0. Ours: not run.
Command: mim train mmdataseg configs/two_sources/dataseg_r50_ade-o365.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.ade_semantic, _base_.objects365_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 4]))
