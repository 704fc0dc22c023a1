"""110 images with masks and none with boxes: the first of the rows that add boxes.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/box_shares/dataseg_voc_110-masks_0-boxes.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

masks = dict(_base_.voc_panoptic, train=dict(_base_.voc_panoptic.train, indices=110))
train_sources = [masks]

train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
