"""VOC's boxes alone: a row of the study of training sources.

Not a row of the paper. Data: projects/voc/README.md
Command: mim train mmdataseg projects/voc/configs/separate/dataseg_voc_boxes.py
"""

_base_ = ["../dataseg_voc_3ds.py"]

train_sources = [_base_.voc_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1]))
