"""DaTaSeg, ViTDet-B, trained on Objects365 boxes alone.

Paper (Gu et al., NeurIPS 2023, main results, separate): Objects365 mask AP 14.7. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_vitdet-b_o365.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_vitdet-b_3ds.py"]

train_sources = [_base_.objects365_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
