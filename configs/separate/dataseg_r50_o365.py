"""DaTaSeg, ResNet-50, trained on Objects365 boxes alone.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 11.0, COCO PQ 12.4, ADE PQ 5.8, Objects365 mask AP
12.3. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_r50_o365.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.objects365_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
