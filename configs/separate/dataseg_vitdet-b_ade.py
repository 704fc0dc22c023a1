"""DaTaSeg, ViTDet-B, trained on ADE20K semantic alone.

Paper (Gu et al., NeurIPS 2023, main results, separate): ADE mIoU 46.3 and ADE PQ 27.5. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_vitdet-b_ade.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_vitdet-b_3ds.py"]

train_sources = [_base_.ade_semantic]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
