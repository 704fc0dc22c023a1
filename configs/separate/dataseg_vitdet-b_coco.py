"""DaTaSeg, ViTDet-B, trained on COCO panoptic alone.

Paper (Gu et al., NeurIPS 2023, main results, separate): COCO PQ 51.9. Ours: not run.
Command: mim train mmdataseg configs/separate/dataseg_vitdet-b_coco.py --launcher pytorch --gpus 8
"""

_base_ = ["../dataseg_vitdet-b_3ds.py"]

train_sources = [_base_.coco_panoptic]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
