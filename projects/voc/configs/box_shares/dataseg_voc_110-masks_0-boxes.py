"""110 images with masks and none with boxes: the first of the rows that add boxes.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/box_shares/dataseg_voc_110-masks_0-boxes.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

_train = dict(_base_.voc_panoptic.train, indices=110)
masks = dict(_base_.voc_panoptic, name="voc_panoptic_110", train=_train, test=None, metrics=[])
train_sources = [masks]

model = dict(sources=[*_base_.test_sources, masks])
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
