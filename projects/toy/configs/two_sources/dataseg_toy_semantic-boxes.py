"""The toy world's label maps and boxes, 1 : 2: a row of the toy study of training sources.

Not a row of the paper. Data: python -m projects.toy.make_toy data/toy
Command: mim train mmdataseg projects/toy/configs/two_sources/dataseg_toy_semantic-boxes.py
"""

_base_ = ["../dataseg_toy_3ds.py"]

train_sources = [_base_.toy_semantic, _base_.toy_boxes]
train_dataloader = dict(dataset=dict(sources=train_sources), batch_sampler=dict(ratios=[1, 2]))
