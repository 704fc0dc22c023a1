"""DaTaSeg, ResNet-50, trained on ADE20K semantic alone.

Paper (Gu et al., NeurIPS 2023, study of training sources): ADE mIoU 42.0, COCO PQ 8.4, ADE PQ 26.7, Objects365 mask AP
1.0. The paper's main results (separate) have an ADE PQ of 26.9 for this model. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_r50_ade.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_r50_3ds.py"]

train_sources = [_base_.ade_semantic]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
