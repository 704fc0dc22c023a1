"""110 images with masks and 440 with boxes, 1 : 1.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/box_shares/dataseg_voc_110-masks_440-boxes.py
"""

_base_ = ["./dataseg_voc_110-masks_0-boxes.py"]

boxes = dict(
    _base_.voc_boxes, name="voc_boxes_440", train=dict(_base_.voc_boxes.train, indices=440), test=None, metrics=[]
)
train_sources = [_base_.masks, boxes]

model = dict(sources=[*_base_.test_sources, *train_sources])
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 1]))
